"""The caller's end of the sandbox: start it, get its Host, make things go wrong, stop it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from core import errors, locations
from core.errors import EnvironmentProblem, QAError
from remote.hosts import SANDBOX, Host, Jump
from remote.sandbox.files import (
    HOST_ALIAS,
    HOST_PORT,
    JUMP_ALIAS,
    PASSCODE,
    USER,
    Layout,
    disk_errors,
)

__all__ = ["PASSCODE", "Sandbox"]

READY_S = 60.0  # usually well under one second; a first start on a crowded machine takes longer
ANSWER_S = 20.0
STOP_S = 5.0


class Sandbox:
    """One running pair of servers over `directory`.

    All state is in the directory: two of these may serve the same one at once, and a start finds
    the keys, the home and the jobs of the last. The methods may be called from any thread.

    port: of the jump host; 0 takes a free one.  second_factor: the jump host asks for a password
    (`password`) and a passcode (`PASSCODE`) by keyboard-interactive, and takes no key.
    """

    def __init__(
        self, directory: Path | str, *, port: int = 0, second_factor: bool = False
    ) -> None:
        self.directory = Path(directory).absolute()
        self._port = port
        self._second_factor = second_factor
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._host: Host | None = None
        self._heard = b""

    def start(self) -> Host:
        """Start the servers and wait until they listen; while they run, the same Host again.

        Raises MissingComponent without asyncssh, PortTaken, DiskFull, EnvironmentProblem.
        """
        with self._lock:
            if self._host and self.running:
                return self._host
            self.stop()
            layout = Layout(self.directory)
            layout.make_directories()
            self._process = self._spawn(layout)
            try:
                ready = self._hear(READY_S)
            except BaseException:
                self.stop()
                raise
            self._host = _host(layout, int(ready["jump_port"]), self._second_factor)
            return self._host

    def stop(self) -> None:
        """Close the lifeline and wait; commands still attached end, detached jobs go on."""
        with self._lock:
            process, self._process, self._host, self._heard = self._process, None, None, b""
            if process is None:
                return
            assert process.stdin and process.stdout
            with suppress(BrokenPipeError):
                process.stdin.close()
            _end(process)
            process.stdout.close()

    @property
    def host(self) -> Host:
        """The running sandbox as a Host. Raises EnvironmentProblem before `start`."""
        if self._host is None:
            raise EnvironmentProblem("the sandbox is not running", try_next="call start() first")
        return self._host

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the server process."""
        return self._process.pid if self._process else None

    @property
    def password(self) -> str:
        """The jump host's, for a sandbox with a second factor. It exists after the first start."""
        with disk_errors(self.directory):
            return Layout(self.directory).password.read_text()

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

    # making things go wrong

    def cut(self) -> None:
        """Drop every connection at once; the servers stay and take new ones."""
        self._tell("cut")

    def host_down(self) -> None:
        """The GPU host is gone (its connections too); the jump host says `Connection refused`."""
        self._tell("host-down")

    def host_up(self) -> None:
        self._tell("host-up")

    def new_host_key(self, which: Literal["host", "jump"] = "host") -> None:
        """That hop shows another key from now on, until the next start; known_hosts keeps the old."""
        self._tell(f"new-host-key {which}")

    def freeze(self) -> None:
        """Both servers fall silent with every connection open: a dead line that says nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    # inside

    def _spawn(self, layout: Layout) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "remote.sandbox", "serve", "--dir", str(self.directory)]
        argv += ["--port", str(self._port)]
        argv += ["--second-factor"] if self._second_factor else []
        with disk_errors(layout.log), layout.log.open("ab") as log:
            return subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=locations.project_root(),
                bufsize=0,
                start_new_session=True,  # Ctrl-C in the terminal is meant for the app alone
            )

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._process.stdin is None:
                raise EnvironmentProblem("the sandbox is not running", try_next="call start()")
            with suppress(BrokenPipeError):  # _hear then says why
                self._process.stdin.write(line.encode() + b"\n")
            answer = self._hear(ANSWER_S)
            if answer.get("done") != line.split()[0]:
                raise EnvironmentProblem(f"the sandbox does not know {line!r}", why=str(answer))

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if self._process is None:
                raise EnvironmentProblem("the sandbox is not running", try_next="call start()")
            self._process.send_signal(number)

    def _hear(self, timeout: float) -> dict[str, Any]:
        """The next JSON line. Raises the error that it carries, or why there is none."""
        assert self._process and self._process.stdout
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while b"\n" not in self._heard:
            ready = poll.poll(max(deadline - time.monotonic(), 0) * 1000)
            data = os.read(fd, 65536) if ready else b""
            if not data:
                raise EnvironmentProblem(
                    "the sandbox ended unexpectedly" if ready else "the sandbox does not answer",
                    why=_last_line(self.directory),
                    try_next=f"see {Layout(self.directory).log}",
                )
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise _carried(message)
        return message


def _host(layout: Layout, jump_port: int, second_factor: bool) -> Host:
    return Host(
        name=SANDBOX,
        title="embedded sandbox (this machine)",
        address=HOST_ALIAS,
        port=HOST_PORT,
        user=USER,
        host_key_alias=HOST_ALIAS,
        jump=Jump(
            address="127.0.0.1",
            port=jump_port,
            user=USER,
            identity_file=None if second_factor else layout.identity,
            host_key_alias=JUMP_ALIAS,
        ),
        identity_file=layout.identity,
        known_hosts=layout.known_hosts,
        workdir=str(layout.work),
        python=sys.executable,
        env={"QA_MODELS": str(locations.models_dir())},
    )


def _carried(message: dict[str, Any]) -> QAError:
    """The error of the server process, as the same type here."""
    kind = getattr(errors, str(message["error"]), QAError)
    if not (isinstance(kind, type) and issubclass(kind, QAError)):
        kind = QAError
    return kind(
        str(message["what"]),
        why=str(message.get("why", "")),
        try_next=str(message.get("try_next", "")),
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait; then ask; then insist."""
    for insist in (None, signal.SIGTERM, signal.SIGKILL):
        if insist:
            process.send_signal(insist)
        process.send_signal(signal.SIGCONT)  # a frozen one could not hear any of it
        try:
            process.wait(STOP_S)
            return
        except subprocess.TimeoutExpired:
            continue


def _last_line(directory: Path) -> str:
    try:
        lines = Layout(directory).log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
