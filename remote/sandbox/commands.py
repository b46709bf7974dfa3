"""A session on the sandbox's GPU host: a real bash, or SFTP, on one SSH channel.

Bytes move by callback in both directions, so that the exit status is sent only after the last
byte of output, and a reader or writer that lags holds back the other side instead of filling memory.
A command leads a session of its own, as under sshd: what it starts with `setsid` belongs to nobody
and survives a cut connection and the death of this server.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from signal import Signals

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.stream import SSHServerStreamSession

from remote.sandbox.machine import Machine, shell, signal_group

STDIN, STDOUT, STDERR = 0, 1, 2
HIGH_WATER = 1 << 20  # bytes of output held for a slow client before the command is made to wait
PIPE_BYTES = 1 << 20  # a pipe this large lets one read carry 256 KiB
CLIENT_MAY_SET = ("LANG", "LC_")  # the usual AcceptEnv
CANNOT_RUN = 126


class Files(asyncssh.SFTPServer):
    """Plain SFTP as this user; relative names start in the host's home."""

    def __init__(self, chan: SSHChannel[bytes], home: bytes) -> None:
        assert isinstance(chan, asyncssh.SSHServerChannel)
        super().__init__(chan)
        self._chan = chan
        self._home = home

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self._home, path)

    def reverse_map_path(self, path: bytes) -> bytes:
        return path

    def exit(self) -> None:
        """As OpenSSH's server does; scp takes an end without a status for a failure."""
        if not self._chan.is_closing():
            self._chan.exit(0)


class Session(asyncssh.SSHServerSession[bytes]):
    """One channel: `exec`, a shell without a terminal, or the `sftp` subsystem."""

    def __init__(self, machine: Machine, closed: Callable[[Session], object]) -> None:
        self._machine = machine
        self._closed = closed
        self._argv: list[str] = []
        self._files: SSHServerStreamSession[bytes] | None = None
        self._chan: asyncssh.SSHServerChannel[bytes]
        self._process: asyncio.SubprocessTransport | None = None
        self._starting: asyncio.Task[None] | None = None
        self._early: list[bytes] = []  # input that came before the process did
        self._eof = False
        self._held = False  # the command does not take its input
        self._gone = False  # the channel is closed, by us or by the client
        self._talking = {STDOUT, STDERR}
        self._exited = False

    # the client's side

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan
        chan.set_write_buffer_limits(HIGH_WATER)

    def exec_requested(self, command: str) -> bool:
        self._argv = [shell(), "-c", command]
        return "\0" not in command

    def shell_requested(self) -> bool:
        self._argv = [shell(), "-l"]
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        if subsystem != "sftp":
            return False
        home = os.fsencode(self._machine.layout.home)
        self._files = SSHServerStreamSession(None, lambda chan: Files(chan, home), 3)
        self._files.connection_made(self._chan)
        return True

    def session_started(self) -> None:
        if self._files:
            self._files.session_started()
        else:
            self._starting = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._files:
            self._files.data_received(data, datatype)
        elif self._process is None:
            self._early.append(data)
        elif (stdin := self._stdin()) and not stdin.is_closing():
            stdin.write(data)

    def eof_received(self) -> bool:
        if self._files:
            return bool(self._files.eof_received())
        self._eof = True
        if stdin := self._stdin():
            stdin.close()  # passes on what is left, then closes
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
        number = getattr(Signals, f"SIG{signal}", None)
        if number is not None and self._process and not self._exited:
            signal_group(self._process.get_pid(), number)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._files:
            self._files.connection_lost(exc)
        self._gone = True
        self._let_go()
        self._closed(self)

    # the command's side

    async def _run(self) -> None:
        try:
            process, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Command(self),
                *self._argv,
                cwd=self._machine.layout.home,
                env=self._environment(),
                start_new_session=True,
            )
        except OSError as exc:
            if not self._gone:
                self._chan.write_stderr(f"{self._argv[0]}: {exc.strerror}\n".encode())
                self._chan.exit(CANNOT_RUN)
            return
        self._process = process
        if not self._exited:
            self._machine.running[process.get_pid()] = process
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

    def _environment(self) -> dict[str, str]:
        asked = self._chan.get_environment().items()
        return self._machine.environment() | {
            k: v for k, v in asked if k.startswith(CLIENT_MAY_SET)
        }

    def output(self, fd: int, data: bytes) -> None:
        if not self._gone and not self._chan.is_closing():
            self._chan.write(data, asyncssh.EXTENDED_DATA_STDERR if fd == STDERR else None)

    def output_ended(self, fd: int) -> None:
        self._talking.discard(fd)
        self._finish()

    def hold_input(self) -> None:
        self._held = True
        if not self._gone:
            self._chan.pause_reading()

    def take_input(self) -> None:
        self._held = False
        # Later, not here: we are inside the pipe's write loop. What the channel held back comes at
        # once, maybe with its end of file, and asyncio then closes the pipe over unwritten bytes.
        asyncio.get_running_loop().call_soon(self._take_input)

    def _take_input(self) -> None:
        if not self._gone and not self._held:
            self._chan.resume_reading()

    def exited(self) -> None:
        self._exited = True
        if self._process:
            self._machine.running.pop(self._process.get_pid(), None)
        self._finish()

    def _finish(self) -> None:
        """Report the exit once the process is gone and all it said has been passed on."""
        if self._gone or not self._process or not self._exited or self._talking:
            return
        self._gone = True
        code = self._process.get_returncode() or 0
        if code >= 0:
            self._chan.exit(code)
        else:
            self._chan.exit_with_signal(Signals(-code).name.removeprefix("SIG"))
        self._chan.close()  # also when the client closed first and left input behind
        self._let_go()

    def _let_go(self) -> None:
        """Close our ends: the command reads end of file and gets SIGPIPE, as under sshd."""
        for fd in (STDIN, STDOUT, STDERR):
            if self._process and (pipe := self._process.get_pipe_transport(fd)):
                pipe.close()

    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = self._process.get_pipe_transport(STDIN) if self._process else None
        return pipe if isinstance(pipe, asyncio.WriteTransport) else None

    def _outputs(self) -> Iterator[asyncio.ReadTransport]:
        for fd in (STDOUT, STDERR):
            pipe = self._process.get_pipe_transport(fd) if self._process else None
            if isinstance(pipe, asyncio.ReadTransport) and not pipe.is_closing():
                yield pipe


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


def _widen(pipe: asyncio.ReadTransport) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux; refused to a user who has too many large pipes
        with suppress(OSError):
            fcntl.fcntl(pipe.get_extra_info("pipe").fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
