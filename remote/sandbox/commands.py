"""A session on the sandbox's GPU host: a real bash, or SFTP, on one SSH channel.

Bytes move by callback in both directions, so that the exit status is sent only after the last
byte of output, and a reader or writer that lags holds back the other side instead of memory.
A command leads a session of its own, as under sshd: what it starts with `setsid` belongs to nobody
and survives a cut connection and the death of this server.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from asyncssh.stream import SSHServerStreamSession

from remote.sandbox.files import USER, Layout

STDIN, STDOUT, STDERR = 0, 1, 2
HIGH_WATER = 1 << 20  # bytes of output held for a slow client before the command is made to wait
PIPE_BYTES = 1 << 20  # a pipe this large lets one read carry 256 KiB
PASSED_THROUGH = ("QA_MODELS", "QA_CACHE")
CLIENT_MAY_SET = ("LANG", "LC_")  # the usual AcceptEnv


def host_environment(layout: Layout, operator: Mapping[str, str]) -> dict[str, str]:
    """What a command on the GPU host sees: its own small world, none of the operator's secrets."""
    env = {
        "HOME": str(layout.home),
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": shell(),
        "LANG": operator.get("LANG") or "C.UTF-8",
        "PATH": f"{layout.bin}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        # Where bash is built to, it reads ~/.bashrc when it sees these: also here, as on a real host.
        "SSH_CLIENT": "127.0.0.1 0 22",
        "SSH_CONNECTION": "127.0.0.1 0 127.0.0.1 22",
    }
    env.update({name: operator[name] for name in PASSED_THROUGH if operator.get(name)})
    return env


def shell() -> str:
    return shutil.which("bash") or "/bin/sh"


@dataclass(slots=True)
class Machine:
    """The GPU host behind all its connections: its disk, its environment, its running commands."""

    layout: Layout
    env: dict[str, str]
    running: dict[int, asyncio.SubprocessTransport] = field(default_factory=dict)

    def end_commands(self) -> None:
        """Tell every command still running to go; the ones that left their session are not ours."""
        for pid in list(self.running):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGTERM)


class Files(asyncssh.SFTPServer):
    """Plain SFTP as this user; relative names start in the host's home."""

    home = b"/"

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self.home, path)

    def reverse_map_path(self, path: bytes) -> bytes:
        return path


class Session(asyncssh.SSHServerSession[bytes]):
    """One channel: `exec`, a shell without a terminal, or the `sftp` subsystem."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._argv: list[str] = []
        self._files: SSHServerStreamSession[bytes] | None = None
        self._chan: asyncssh.SSHServerChannel[bytes]
        self._process: asyncio.SubprocessTransport | None = None
        self._early: list[bytes] = []  # input that came before the process did
        self._eof = False
        self._gone = False  # the client closed the channel or lost the connection
        self._open_outputs = {STDOUT, STDERR}
        self._exited = False
        self._start: asyncio.Task[None] | None = None

    # the client's side

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan
        chan.set_write_buffer_limits(HIGH_WATER)

    def exec_requested(self, command: str) -> bool:
        self._argv = [shell(), "-c", command]
        return True

    def shell_requested(self) -> bool:
        self._argv = [shell(), "-l"]
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        if subsystem != "sftp":
            return False
        kind = type("Files", (Files,), {"home": os.fsencode(self._machine.layout.home)})
        self._files = SSHServerStreamSession(None, kind, 3)
        self._files.connection_made(self._chan)
        return True

    def session_started(self) -> None:
        if self._files:
            self._files.session_started()
        else:
            self._start = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._files:
            self._files.data_received(data, datatype)
        elif self._process is None:
            self._early.append(data)
        elif (stdin := self._stdin()) and not stdin.is_closing():
            stdin.write(data)

    def eof_received(self) -> bool:
        if self._files:
            return self._files.eof_received()
        self._eof = True
        if stdin := self._stdin():
            stdin.close()  # flushes first
        return True  # the command may go on talking

    def pause_writing(self) -> None:
        if self._files:
            self._files.pause_writing()
        for pipe in self._outputs():
            pipe.pause_reading()

    def resume_writing(self) -> None:
        if self._files:
            self._files.resume_writing()
        for pipe in self._outputs():
            pipe.resume_reading()

    def signal_received(self, signal: str) -> None:
        number = getattr(_signals(), f"SIG{signal}", None)
        if number is not None and self._process and not self._exited:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.get_pid(), number)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._files:
            self._files.connection_lost(exc)
        self._gone = True
        self._let_go()

    # the command's side

    async def _run(self) -> None:
        env = dict(self._machine.env)
        for name, value in self._chan.get_environment().items():
            if name.startswith(CLIENT_MAY_SET):
                env[name] = value
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: _Command(self),
                *self._argv,
                cwd=self._machine.layout.home,
                env=env,
                start_new_session=True,
            )
        except OSError as exc:
            if not self._gone:
                self._chan.write_stderr(f"{self._argv[0]}: {exc.strerror}\n".encode())
                self._chan.exit(126)

            return
        self._process = transport
        if not self._exited:
            self._machine.running[transport.get_pid()] = transport
        for pipe in self._outputs():
            _widen(pipe)
        early, self._early = self._early, []
        for data in early:
            self.data_received(data, None)
        if self._eof:
            self.eof_received()
        if self._gone:
            self._let_go()
        self._finish()

    def output(self, fd: int, data: bytes) -> None:
        if not self._gone:
            self._chan.write(data, asyncssh.EXTENDED_DATA_STDERR if fd == STDERR else None)

    def output_ended(self, fd: int) -> None:
        self._open_outputs.discard(fd)
        self._finish()

    def hold_input(self) -> None:
        if not self._gone:
            self._chan.pause_reading()

    def take_input(self) -> None:
        if not self._gone:
            self._chan.resume_reading()

    def exited(self) -> None:
        self._exited = True
        if self._process:
            self._machine.running.pop(self._process.get_pid(), None)
        self._finish()

    def _finish(self) -> None:
        """Report the exit once the process is gone and all it said has been passed on."""
        if self._gone or not self._process or not self._exited or self._open_outputs:
            return
        self._gone = True
        code = self._process.get_returncode() or 0
        if code >= 0:
            self._chan.exit(code)
        else:
            name = _signals()(-code).name.removeprefix("SIG")
            self._chan.exit_with_signal(name)
        self._let_go()

    def _let_go(self) -> None:
        """Close our ends: the command reads end of file and gets SIGPIPE, as under sshd."""
        if self._process:
            for fd in (STDIN, STDOUT, STDERR):
                if pipe := self._process.get_pipe_transport(fd):
                    pipe.close()

    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = self._process.get_pipe_transport(STDIN) if self._process else None
        return pipe if isinstance(pipe, asyncio.WriteTransport) else None

    def _outputs(self) -> list[asyncio.ReadTransport]:
        pipes = (
            [self._process.get_pipe_transport(fd) for fd in (STDOUT, STDERR)]
            if self._process
            else []
        )
        return [p for p in pipes if isinstance(p, asyncio.ReadTransport) and not p.is_closing()]


class _Command(asyncio.SubprocessProtocol):
    """The process's callbacks, passed to its session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._session.output(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd != STDIN:
            self._session.output_ended(fd)

    def pause_writing(self) -> None:
        self._session.hold_input()

    def resume_writing(self) -> None:
        self._session.take_input()

    def process_exited(self) -> None:
        self._session.exited()


def _signals() -> type[signal.Signals]:
    return signal.Signals


def _widen(pipe: asyncio.ReadTransport) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux; refused when the user has too many
        with suppress(OSError):
            fcntl.fcntl(pipe.get_extra_info("pipe").fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
