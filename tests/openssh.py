"""Two real OpenSSH servers on loopback, one the jump host of the other: the truer twin of the sandbox.

It has the fault hooks of `remote.sandbox.Sandbox`, so that a test can run against either. On one machine
without network namespaces the target's port is reachable for everyone; that the route goes through the
jump host is asserted by the jump host's own PermitOpen and by what stops working when it is gone.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from core import locations
from remote.hops import Jump
from remote.hosts import Host
from tests.conftest import require

JUMP_ALIAS, HOST_ALIAS = "jump.openssh", "gh200.openssh"
HopName = Literal["host", "jump"]

# sshd takes the first value it meets: what a test adds comes first.
CONFIG = """\
{extra}
ListenAddress {address}
Port {port}
HostKey {key}
AuthorizedKeysFile {authorized}
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
PrintMotd no
UseDNS no
MaxSessions 50
MaxStartups 100:30:200
Subsystem sftp internal-sftp
AcceptEnv LANG LC_*
SetEnv HOME={home}
"""


def find_sshd() -> str | None:
    """sshd re-executes itself and wants to be called by its absolute path."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass
class Hop:
    """One sshd: its port, its keys, its process. namespace: the network namespace it lives in."""

    name: HopName
    alias: str
    root: Path
    extra: str = ""
    port: int = 0
    address: str = "127.0.0.1"
    namespace: str = ""
    process: subprocess.Popen[bytes] | None = None
    key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.root / f"{self.name}_key"

    @property
    def log(self) -> Path:
        return self.root / f"{self.name}.log"

    def start(self) -> None:
        """Raises AssertionError with sshd's own words when it does not come up."""
        if not self.key.exists():
            make_key(self.key)
        for _ in range(5):
            port = self.port or free_port(self.address)
            if self._try_start(port):
                self.port = port
                return
        raise AssertionError(f"sshd did not start:\n{self.log.read_text()}")

    def _try_start(self, port: int) -> bool:
        config = self.root / f"{self.name}.conf"
        text = CONFIG.format(
            extra=self.extra,
            address=self.address,
            port=port,
            key=self.key,
            authorized=self.root / "id_ed25519.pub",
            home=self.root / "home",
        )
        config.write_text(text)
        sshd = find_sshd()
        assert sshd
        within = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        said = self.log.stat().st_size if self.log.exists() else 0
        self.process = subprocess.Popen(
            [*within, sshd, "-D", "-f", str(config), "-E", str(self.log)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            if self.log.exists() and b"Server listening" in self.log.read_bytes()[said:]:
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def connections(self) -> list[int]:
        """The pids of the sshd processes that serve single connections, not of what they run."""
        assert self.process
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
        )
        rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
        family = {self.process.pid}
        served: list[int] = []
        grown = True
        while grown:
            grown = False
            for pid, parent, name in rows:
                daemon = Path(name.split()[0].rstrip(":")).name.startswith("sshd")
                if daemon and int(parent) in family and int(pid) not in family:
                    family.add(int(pid))
                    served.append(int(pid))
                    grown = True
        return served

    def signal_connections(self, number: signal.Signals) -> None:
        for pid in self.connections():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """No listener, no connection; what the connections ran in sessions of its own goes on."""
        if self.process is None:
            return
        served = self.connections() if self.process.poll() is None else []
        self.process.terminate()
        self.process.wait(10)
        for pid in served:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process = None


class OpenSSHPair:
    """`with OpenSSHPair() as pair: Route(pair.host, …)`. Needs OpenSSH's server; root or not."""

    def __init__(self, directory: Path | None = None) -> None:
        self._own = None if directory else tempfile.TemporaryDirectory(prefix="openssh-")
        self.directory = Path(directory or (self._own.name if self._own else ""))
        self.extra: dict[HopName, str] = {"host": "", "jump": ""}  # of sshd_config, before start
        self._host: Host | None = None
        self._hops: dict[HopName, Hop] = {}

    def start(self) -> Host:
        require(find_sshd() and shutil.which("ssh-keygen"), "an OpenSSH server (sshd)")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
        root = self.directory
        root.mkdir(parents=True, exist_ok=True)
        for name in ("home", "work"):
            (root / name).mkdir(exist_ok=True)
        if not (root / "id_ed25519").exists():
            make_key(root / "id_ed25519")
        try:
            host, jump = self._make_hops(root)
            self._hops["host"] = host
            host.start()
            jump.extra += f"AllowTcpForwarding local\nPermitOpen {host.address}:{host.port}\n"
            self._hops["jump"] = jump
            jump.start()
        except BaseException:
            self.stop()
            raise
        self._write_known_hosts()
        self._host = self._as_host(host, jump)
        return self._host

    def stop(self) -> None:
        for hop in self._hops.values():
            hop.stop()

    @property
    def host(self) -> Host:
        assert self._host, "not started"
        return self._host

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._own:
            self._own.cleanup()

    def _make_hops(self, root: Path) -> tuple[Hop, Hop]:
        """The host and the jump host, not yet started."""
        host = Hop("host", HOST_ALIAS, root, self.extra["host"] + "AllowTcpForwarding no\n")
        return host, Hop("jump", JUMP_ALIAS, root, self.extra["jump"])

    # making things go wrong

    def cut(self, hop: HopName = "jump") -> None:
        """Kill the sshd processes of that hop's connections; the listener stays."""
        self._hops[hop].signal_connections(signal.SIGKILL)

    def host_down(self) -> None:
        self._hops["host"].stop()

    def host_up(self) -> None:
        self._hops["host"].start()

    def jump_down(self) -> None:
        self._hops["jump"].stop()

    def jump_up(self) -> None:
        self._hops["jump"].start()

    def hop(self, which: HopName) -> Hop:
        return self._hops[which]

    def new_host_key(self, which: HopName = "host") -> None:
        hop = self._hops[which]
        hop.stop()
        hop.key = hop.root / f"{which}_other_key"
        hop.start()

    def freeze(self) -> None:
        """The connections stay open and say nothing."""
        self._hops["jump"].signal_connections(signal.SIGSTOP)

    def thaw(self) -> None:
        self._hops["jump"].signal_connections(signal.SIGCONT)

    # inside

    def _write_known_hosts(self) -> None:
        lines = [
            f"{hop.alias} {' '.join(public_key(hop.key).split()[:2])}\n"
            for hop in self._hops.values()
        ]
        (self.directory / "known_hosts").write_text("".join(lines))

    def _as_host(self, host: Hop, jump: Hop) -> Host:
        user = getpass.getuser()
        identity = self.directory / "id_ed25519"
        return Host(
            name="openssh",
            title="two OpenSSH servers",
            address=host.address,
            port=host.port,
            user=user,
            host_key_alias=HOST_ALIAS,
            jumps=(Jump(jump.address, jump.port, user, identity, JUMP_ALIAS),),
            identity_file=identity,
            known_hosts=self.directory / "known_hosts",
            workdir=str(self.directory / "work"),
            python=sys.executable,
            env={"QA_MODELS": str(locations.models_dir())},
            link_hours=0.0,
        )


def free_port(address: str = "127.0.0.1") -> int:
    """In another network namespace every port is free."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return 22
        port: int = probe.getsockname()[1]
        return port


def make_key(path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True
    )


def public_key(path: Path) -> str:
    return path.with_name(path.name + ".pub").read_text()
