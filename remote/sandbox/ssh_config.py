"""An OpenSSH configuration with which plain `ssh`, `scp`, `sftp` and `rsync` reach the sandbox.

qa sandbox ssh-config > sandbox.conf
ssh -F sandbox.conf gh200.sandbox nvidia-smi
"""

from __future__ import annotations

from pathlib import Path

from remote.sandbox.files import HOST_ALIAS, HOST_PORT, JUMP_ALIAS, USER, Layout
from remote.sandbox.records import Record

_COMMON = """\
  User {user}
  HostKeyAlias {alias}
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  IdentityAgent none
  ForwardAgent no
"""


def ssh_config(layout: Layout, record: Record) -> str:
    """Strict about host keys, and independent of the operator's own configuration and agent."""

    def hop(alias: str, address: str, port: int, *more: str) -> str:
        head = f"Host {alias}\n  HostName {address}\n  Port {port}\n"
        common = _COMMON.format(user=USER, alias=alias, known_hosts=_quoted(layout.known_hosts))
        return head + common + "".join(f"  {line}\n" for line in more)

    key = (f"IdentityFile {_quoted(layout.identity)}", "IdentitiesOnly yes")
    asks = ("PubkeyAuthentication no", "PreferredAuthentications keyboard-interactive")
    jump = hop(
        JUMP_ALIAS, "127.0.0.1", record.jump_port, *(asks if record.options.second_factor else key)
    )
    host = hop(HOST_ALIAS, HOST_ALIAS, HOST_PORT, *key, f"ProxyJump {JUMP_ALIAS}", "RequestTTY no")
    return f"{jump}\n{host}"


def _quoted(path: Path) -> str:
    """As one word, with ssh's own signs for itself and its tokens."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
