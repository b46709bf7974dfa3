"""How soon a host is usable; peer: `ssh -J` to the end of `true`, same way, in turns with ours.

Usable: the helper there has answered. The link process is ended before each first start. Needs a real
OpenSSH server and client.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.control_call import _config, _seconds
from benchmarks.figures import Figure, median
from core import locations
from remote.hosts import Host
from remote.linking.link_route import LinkRoute
from remote.linking.living import disconnect
from remote.linking.spawning import prepare
from tests.openssh import OpenSSHPair
from tests.remote.conftest import end_jobs

STARTS = 15
LOADED_S = 0.5  # an interpreter that was prepared has loaded by then


def run() -> Iterator[Figure]:
    with (
        tempfile.TemporaryDirectory() as tmp,
        _as_installed(Path(tmp)),
        OpenSSHPair(Path(tmp) / "ssh") as pair,
    ):
        try:
            yield from _starts(pair.host, _config(Path(tmp), pair.host))
        finally:
            disconnect(pair.host.name)
            end_jobs(Path(pair.host.workdir))


def _starts(host: Host, config: Path) -> Iterator[Figure]:
    def used() -> None:
        with LinkRoute(host) as route:
            route.open()
            route.helper().call("ping")

    def command() -> None:
        qa = [sys.executable, "-c", "from tui.cli import main; main()"]
        subprocess.run(
            [*qa, "hosts", "connect", "host"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=locations.project_root(),
        )

    def loaded_ahead() -> None:
        prepare(host.name)
        time.sleep(LOADED_S)

    ssh = ["ssh", "-F", str(config), "-o", "ControlPath=none", "host", "true"]
    os.environ["QA_SSH_CONFIG"] = str(config)
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "first start": (used, lambda: disconnect(host.name)),
        "later start": (used, lambda: None),
        "first start, loaded ahead": (
            used,
            lambda: (disconnect(host.name), loaded_ahead()),
        ),
        "first qa command": (command, lambda: disconnect("host")),
        "later qa command": (command, lambda: None),
    }
    mine: dict[str, list[float]] = {name: [] for name in ways}
    theirs: list[float] = []
    for n in range(STARTS + 1):
        for name, (start, before) in ways.items():
            before()
            seconds = _seconds(start)
            if n:  # the first time around the agent is carried over, and modules are compiled
                mine[name].append(seconds)
        theirs.append(_seconds(lambda: subprocess.run(ssh, check=True)))
    disconnect("host")
    for name, took in mine.items():
        goal = 1.0 if "command" in name else 0.5
        yield Figure(name, "s", median(took), "new ssh -J", median(theirs), goal, STARTS)


@contextlib.contextmanager
def _as_installed(tmp: Path) -> Iterator[None]:
    """State of its own, and modules that are compiled once, whatever the environment says of it."""
    before = dict(os.environ), sys.pycache_prefix, sys.dont_write_bytecode
    os.environ["QA_STATE"] = str(tmp / "state")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(tmp / "compiled")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("SSH_AUTH_SOCK", None)  # the peer's key is in a file too
    sys.dont_write_bytecode = False
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        sys.pycache_prefix, sys.dont_write_bytecode = before[1:]
