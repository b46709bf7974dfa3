"""What can be done with any way of starting commands on a host: run one, or talk to the agent there."""

from __future__ import annotations

import secrets
import shlex
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.errors import RouteError
from remote.agent_zip import agent_argv, agent_zip
from remote.helper_client import Duplex, HelperClient, start_agent

if TYPE_CHECKING:
    from remote.hosts import Host

MAX_OUTPUT = 8 << 20


@dataclass(frozen=True, slots=True)
class Completed:
    """code: exit code, or -1 if a signal ended it."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class Command(Duplex, Protocol):
    """A running command: its stdin and stdout, and its end."""

    def collect(self, until: float, max_output: int, name: str) -> Completed: ...


class Commands(ABC):
    """Base of Route and SharedRoute. Thread-safe."""

    host: Host

    def __init__(self) -> None:
        self._helper: HelperClient | None = None
        self._helper_lock = threading.Lock()

    @abstractmethod
    def execute(self, argv: Sequence[str]) -> Command:
        """Start a command. Raises LinkLost."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        input: bytes = b"",
        max_output: int = MAX_OUTPUT,
    ) -> Completed:
        """Run to the end. Raises LinkLost; RouteError if it takes or prints too much.

        Our side never half-closes a channel: an end that crosses the far side's close would end the
        whole connection. So `head` on the host makes the end of the input.
        """
        if any("\0" in word for word in argv):
            raise RouteError("a NUL cannot be part of a command", try_next="leave it out")
        script = f"head -c {len(input)} | {shlex.join(argv)}" if input else shlex.join(argv)
        redirect = "" if input else " </dev/null"
        stream = self.execute(["/bin/sh", "-c", script + redirect])
        try:
            if input:
                stream.send(input)
            return stream.collect(time.monotonic() + timeout, max_output, argv[0])
        finally:
            stream.close()

    def agent(self, *words: str, bare: bool = True) -> Duplex:
        """Start an agent command; bare=False: with the packages and environment of the jobs."""
        token = secrets.token_hex(8)
        argv = agent_argv(self.host.python, self.host.workdir, token, words, bare=bare)
        if not bare and self.host.env:
            argv = ["env", *(f"{k}={v}" for k, v in self.host.env.items()), *argv]
        stream = self.execute(argv)
        try:
            return start_agent(stream, token, self.host.python)
        except BaseException:
            stream.close()
            raise

    def helper(self) -> HelperClient:
        """The one helper of this object, started on first use."""
        with self._helper_lock:
            if self._helper is None or not self._helper.alive:
                where = f"{self.host.workdir.rstrip('/')}/agent/{agent_zip().name}"
                stream = self.agent("helper", self.host.workdir, where)
                self._helper = HelperClient(stream, anew=self.helper)
            return self._helper
