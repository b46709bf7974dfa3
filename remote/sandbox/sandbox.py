"""The caller's end of the sandbox: start it, get its Host, make things go wrong, stop it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core import locations
from core.errors import EnvironmentProblem
from remote.hops import Jump
from remote.hosts import SANDBOX, Host
from remote.sandbox import records
from remote.sandbox.asking import ask
from remote.sandbox.faults import Faults
from remote.sandbox.files import (
    HOST_ALIAS,
    HOST_PORT,
    JUMP_ALIAS,
    PASSCODE,
    USER,
    Layout,
    disk_errors,
)
from remote.sandbox.options import Options
from remote.sandbox.records import Record
from remote.sandbox.servers_process import end, spawn

__all__ = ["PASSCODE", "Sandbox"]


class Sandbox(Faults):
    """One running pair of servers over `directory`: the detached ones of `qa sandbox up` if they are
    there and have what is wanted, else private ones.

    All state is in the directory: two of these may serve the same one at once, and a start finds
    the keys, the home and the jobs of the last. The methods may be called from any thread.

    second_factor: the jump host asks for a password (`password`) and a passcode (`PASSCODE`) by
    keyboard-interactive, and takes no key. The rest: see Options.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        port: int = 0,
        second_factor: bool = False,
        disk_bytes: int | None = None,
        clock_skew_s: float = 0.0,
    ) -> None:
        self.directory = Path(directory).absolute()
        self._layout = Layout(self.directory)
        self._options = Options(port, second_factor, disk_bytes, clock_skew_s)
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._record: Record | None = None
        self._host: Host | None = None

    def start(self) -> Host:
        """Attach, or start the servers and wait until they listen; while they run, the same Host again.

        Raises MissingComponent without asyncssh, PortTaken, DiskFull, EnvironmentProblem.
        """
        with self._lock:
            if self._host and self.running:
                return self._host
            self.stop()
            self._layout.make_directories()
            self._record = records.attachable(self._layout, self._options)
            if self._record is None:
                self._process, self._record = spawn(self._layout, self._options, stay=False)
            self._host = host_of(self._layout, self._record)
            return self._host

    def stop(self) -> None:
        """Close the lifeline and wait; commands still attached end, detached jobs go on.

        Servers that were there before are only left alone.
        """
        with self._lock:
            process, self._process, self._host = self._process, None, None
            record, self._record = self._record, None
            if process is None:
                return
            end(process)
            if record:
                records.remove(self._layout, record)  # it could not, if it was killed

    @property
    def host(self) -> Host:
        """The running sandbox as a Host. Raises EnvironmentProblem before `start`."""
        if self._host is None:
            raise EnvironmentProblem("the sandbox is not running", try_next="call start() first")
        return self._host

    @property
    def running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._record is not None and self._record.alive

    @property
    def attached(self) -> bool:
        """To servers that somebody else started."""
        return self._record is not None and self._process is None

    @property
    def pid(self) -> int | None:
        """Of the server process."""
        return self._record.pid if self._record else None

    @property
    def password(self) -> str:
        """The jump host's, for a sandbox with a second factor. It exists after the first start."""
        with disk_errors(self.directory):
            return self._layout.password.read_text()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def tell(self, line: str) -> dict[str, Any]:
        """A fault for these servers."""
        with self._lock:
            if self._record is None:
                raise EnvironmentProblem("the sandbox is not running", try_next="call start()")
            return ask(self._layout, self._record, line)


def host_of(layout: Layout, record: Record) -> Host:
    """How to reach the servers of that record."""
    options = record.options
    return Host(
        name=SANDBOX,
        title="embedded sandbox (this machine)",
        address=HOST_ALIAS,
        port=HOST_PORT,
        user=USER,
        host_key_alias=HOST_ALIAS,
        jumps=(
            Jump(
                address="127.0.0.1",
                port=record.jump_port,
                user=USER,
                identity_file=None if options.second_factor else layout.identity,
                host_key_alias=JUMP_ALIAS,
            ),
        ),
        identity_file=layout.identity,
        known_hosts=layout.known_hosts,
        workdir=str(layout.disk if options.disk_bytes else layout.work),
        python=str(layout.skewed_python) if options.clock_skew_s else sys.executable,
        env={"QA_MODELS": str(locations.models_dir())},
        link_hours=8.0 if record.stays else 0.0,
    )
