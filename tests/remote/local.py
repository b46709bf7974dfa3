"""A `Carrier` without SSH: the real agent zip over pipes of a local process, started by a shell."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from core.jobdir import JobSpec, JobState
from remote.agent_zip import agent_argv
from remote.helper_client import Duplex, HelperClient, start_agent


class Pipes:
    """One process as a Duplex."""

    def __init__(self, argv: list[str], noise: str = "") -> None:
        script = (f"printf '%s\\n' {shlex.quote(noise)}; " if noise else "") + shlex.join(argv)
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def recv(self, timeout: float | None = None) -> bytes:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], timeout)[0]:
            raise TimeoutError
        return os.read(fd, 65536)

    def exit_status(self) -> int | None:
        return self.process.wait(5)

    def stderr_tail(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode("utf-8", "replace")[-2000:]

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Local:
    """The agent on this machine, in its own work folder."""

    def __init__(self, workdir: Path, python: str = sys.executable, noise: str = "") -> None:
        self.workdir = workdir
        self.python = python
        self.noise = noise
        self.alive = True
        self.streams: list[Pipes] = []
        self._helper: HelperClient | None = None

    def agent(self, *words: str, bare: bool = True) -> Duplex:
        token = secrets.token_hex(8)
        argv = agent_argv(self.python, str(self.workdir), token, words, bare=bare)
        stream = Pipes(argv, self.noise)
        self.streams.append(stream)
        return start_agent(stream, token, self.python)

    def helper(self) -> HelperClient:
        if self._helper is None or not self._helper.alive:
            name = f"{self.workdir}/agent"
            stream = self.agent("helper", str(self.workdir), _zip_path(name))
            self._helper = HelperClient(stream)
        return self._helper

    def cut(self) -> None:
        """Kill every process at the far end of a stream, as a cut link does."""
        for stream in self.streams:
            if stream.process.poll() is None:
                os.killpg(stream.process.pid, 9)
        self.streams.clear()
        self._helper = None

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.cut()


def _zip_path(folder: str) -> str:
    from remote.agent_zip import agent_zip

    return f"{folder}/{agent_zip().name}"


def sh(script: str, job_id: str = "job-1", **more: object) -> JobSpec:
    """A job that is a shell script."""
    return JobSpec(id=job_id, routine="test", command=["/bin/sh", "-c", script], **more)  # type: ignore[arg-type]


def py(script: str, job_id: str = "job-1", **more: object) -> JobSpec:
    command = [sys.executable, "-I", "-S", "-c", script]
    return JobSpec(id=job_id, routine="test", command=command, **more)  # type: ignore[arg-type]


def until(condition: object, seconds: float = 20.0) -> None:
    """Wait for something that must come; the limit is only there to end a broken test."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


def ended(state: JobState) -> bool:
    return not state.active
