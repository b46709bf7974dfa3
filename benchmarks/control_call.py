"""A small question to the host over the helper's channel, as the app and commands ask it: through the link
process; peer: exec over OpenSSH ControlMaster.

Same jump host, same host, same machine. In turns, each of our calls comes right after a whole `ssh` has run
and finds its caches cold, as one a second would; in blocks, both sides ask several times in a row, as a
screen does that opens. Needs a real OpenSSH server and client.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, median
from remote.linking.link_route import LinkRoute
from remote.linking.living import disconnect
from remote.route import Route
from tests.openssh import OpenSSHPair

if TYPE_CHECKING:
    from remote.hosts import Host

CALLS = 60
BLOCK = 15


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp, OpenSSHPair(Path(tmp) / "ssh") as pair:
        config = _config(Path(tmp), pair.host)
        ssh = ["ssh", "-F", str(config), "host", "true"]
        with Route(pair.host) as route, LinkRoute(pair.host) as linked:
            linked.open()
            direct, helper = route.helper(), linked.helper()
            subprocess.run(ssh, check=True)  # opens the master connection
            inside, ours, peer = [], [], []
            for _ in range(CALLS):
                inside.append(_seconds(lambda: direct.call("ping")))
                ours.append(_seconds(lambda: helper.call("ping")))
                peer.append(_seconds(lambda: subprocess.run(ssh, check=True)))
            blocks, peers = [], []
            for _ in range(CALLS // BLOCK):
                blocks += [_seconds(lambda: helper.call("ping")) for _ in range(BLOCK)]
                peers += [_seconds(lambda: subprocess.run(ssh, check=True)) for _ in range(BLOCK)]
        disconnect(pair.host.name)
        subprocess.run(["ssh", "-F", str(config), "-O", "exit", "host"], check=True, stderr=-3)
        for name, took, against in (
            ("control call p50, in blocks", blocks, peers),
            ("control call p50, in turns with ssh", ours, peer),
            ("the same, SSH in the process that asks", inside, peer),
        ):
            yield Figure(
                name, "s", median(took), "ssh over ControlMaster", median(against), 0.1, CALLS
            )


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _config(tmp: Path, host: Host) -> Path:
    """An OpenSSH configuration with which plain `ssh` takes the same way."""
    jump = host.jump
    assert jump is not None
    known = f"UserKnownHostsFile {host.known_hosts}\n  StrictHostKeyChecking yes\n  BatchMode yes"
    text = f"""\
Host jump
  HostName {jump.address}
  Port {jump.port}
  User {jump.user}
  IdentityFile {jump.identity_file}
  HostKeyAlias {jump.host_key_alias}
  {known}
Host host
  HostName {host.address}
  Port {host.port}
  User {host.user}
  IdentityFile {host.identity_file}
  HostKeyAlias {host.host_key_alias}
  {known}
  ProxyJump jump
  ControlMaster auto
  ControlPath {tmp}/master
  ControlPersist 60
"""
    path = tmp / "ssh_config"
    path.write_text(text, "utf-8")
    return path
