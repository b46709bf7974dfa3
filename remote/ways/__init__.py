"""Which way leads to a host: hosts.yaml and the OpenSSH configuration, each value with its origin."""
