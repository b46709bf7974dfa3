"""Two real OpenSSH servers behind a real network: laptop ↔ jump host ↔ host in network namespaces.

The laptop is this machine's own namespace with one leg to the jump host; the host has a leg to the
jump host alone, which does not forward packets. So the host cannot be reached but through an SSH
channel of the jump host, and a cable can be pulled.

    laptop 198.18.x.1 ── 198.18.x.2 jump 198.19.x.1 ── 198.19.x.2 host      (x from the process id)

Needs root and `ip`. All names carry the process id: test processes side by side do not meet.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from remote.hosts import Host
from tests.conftest import require
from tests.openssh import HOST_ALIAS, JUMP_ALIAS, Hop, OpenSSHPair

_numbers = itertools.count()


class Network:
    """Two namespaces and the cables between. `remove` may be called at any time, and twice."""

    def __init__(self) -> None:
        n = next(_numbers)
        tag = f"{os.getpid():x}{n:x}"[-9:]  # an interface name has 15 characters at most
        self.jump_ns, self.host_ns = (f"qa-{os.getpid()}-{n}-{hop}" for hop in ("jump", "host"))
        self.cable, self._jump_end = f"qa{tag}l", f"qa{tag}j"
        self._far_end, self._host_end = f"qa{tag}k", f"qa{tag}h"
        self.laptop, self.jump, self.jump_far, self.host = _addresses(os.getpid(), n)
        self._dropping = False

    def make(self) -> None:
        _remove_leftovers()
        for ns in (self.jump_ns, self.host_ns):
            _ip("netns", "add", ns)
            _ip("-n", ns, "link", "set", "lo", "up")
            sysctl = "/proc/sys/net/ipv4/ip_forward"
            _run("ip", "netns", "exec", ns, "sh", "-c", f"echo 0 > {sysctl}")
        near = (self.cable, self._jump_end)
        _ip("link", "add", near[0], "type", "veth", "peer", "name", near[1], "netns", self.jump_ns)
        far = ("type", "veth", "peer", "name", self._host_end, "netns", self.host_ns)
        _ip("-n", self.jump_ns, "link", "add", self._far_end, *far)
        for ns, end, address in (
            ("", self.cable, self.laptop),
            (self.jump_ns, self._jump_end, self.jump),
            (self.jump_ns, self._far_end, self.jump_far),
            (self.host_ns, self._host_end, self.host),
        ):
            within = ("-n", ns) if ns else ()
            _ip(*within, "addr", "add", f"{address}/30", "dev", end)
            _ip(*within, "link", "set", end, "up")
        _ip("route", "replace", "unreachable", f"{self.host}/32")  # not by another way either

    def link_down(self) -> None:
        """The laptop's cable is pulled."""
        _ip("link", "set", self.cable, "down")

    def link_up(self) -> None:
        _ip("link", "set", self.cable, "up")

    def move(self) -> str:
        """The laptop is in another network: its address is gone, and it gets this one."""
        address = f"198.51.100.{os.getpid() % 250 + 1}"
        _ip("addr", "flush", "dev", self.cable)
        _ip("addr", "add", f"{address}/32", "peer", self.jump, "dev", self.cable)
        _ip("-n", self.jump_ns, "route", "add", f"{address}/32", "dev", self._jump_end)
        return address

    def far_link_down(self) -> None:
        """The cable between jump host and host is pulled."""
        _ip("-n", self.jump_ns, "link", "set", self._far_end, "down")

    def far_link_up(self) -> None:
        _ip("-n", self.jump_ns, "link", "set", self._far_end, "up")

    def drop(self) -> None:
        """The jump host's packets vanish, each way, without a word."""
        for chain, way in (("INPUT", "-i"), ("OUTPUT", "-o")):
            self._iptables("-A", chain, way, self._jump_end, "-j", "DROP")
        self._dropping = True

    def pass_again(self) -> None:
        if self._dropping:
            self._iptables("-F")
            self._dropping = False

    def remove(self) -> None:
        """The cables go with their namespaces."""
        for words in (
            ("route", "del", "unreachable", f"{self.host}/32"),
            ("link", "del", self.cable),
            ("netns", "del", self.jump_ns),
            ("netns", "del", self.host_ns),
        ):
            with suppress(subprocess.CalledProcessError):
                _ip(*words)

    def _iptables(self, *words: str) -> None:
        _run("ip", "netns", "exec", self.jump_ns, "iptables", "-w", *words)


class NetnsBed(OpenSSHPair):
    """`with NetnsBed(tmp_path) as bed: Route(bed.host)`: OpenSSHPair with a network in between."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.net = Network()

    def start(self) -> Host:
        require(can_make_namespaces(), "root and network namespaces (ip netns)")
        try:
            self.net.make()
            return super().start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            self.net.remove()

    def _make_hops(self, root: Path) -> tuple[Hop, Hop]:
        net = self.net
        extra = self.extra["host"] + "AllowTcpForwarding no\n"
        return (
            Hop("host", HOST_ALIAS, root, extra, 22, net.host, net.host_ns),
            Hop("jump", JUMP_ALIAS, root, self.extra["jump"], 22, net.jump, net.jump_ns),
        )


@lru_cache(maxsize=1)
def can_make_namespaces() -> bool:
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"qa-{os.getpid()}-0-try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "del", name)
    except subprocess.CalledProcessError:
        return False
    return True


def _remove_leftovers() -> None:
    """Of a test process that was killed: its namespaces, and with them its cables."""
    for path in Path("/run/netns").glob("qa-*-*-*"):
        pid = path.name.split("-")[1]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", path.name)


def has_iptables() -> bool:
    return (
        shutil.which("iptables", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
    )


def _addresses(pid: int, n: int) -> tuple[str, str, str, str]:
    """Two /30 networks in the range set aside for testing network devices."""
    base = (pid * 16 + n) % (1 << 14) * 4
    high, low = divmod(base, 256)
    near, far = f"198.18.{high}", f"198.19.{high}"
    return f"{near}.{low + 1}", f"{near}.{low + 2}", f"{far}.{low + 1}", f"{far}.{low + 2}"


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)
