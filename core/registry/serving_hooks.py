"""What a release asks of the server that answers: a Protocol, and a stand-in that only notes it.

Each call must be harmless when repeated: after a crash the last one is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Smoke:
    """One question asked of a server. ok: answered as it should be; detail: what was wrong."""

    question: str
    ok: bool
    detail: str = ""


class Serving(Protocol):
    """A server with several versions loaded side by side, each under its own name.

    Any call may raise a QAError; the release is then undone as far as it had come.
    """

    name: str

    def load(self, model_version: str) -> None:
        """Load the version beside what is there."""

    def smoke(self, model_version: str, questions: Sequence[str]) -> Sequence[Smoke]:
        """Ask the version; nothing asked (no questions, no server) gives nothing back."""

    def switch(self, environment: str, model_version: str) -> None:
        """From now on the environment is answered by this version."""

    def keep_warm(self, model_version: str, seconds: float) -> None:
        """Keep it loaded for a return, and unload it after that time unless it is live."""

    def drop(self, model_version: str) -> None:
        """Unload it, if it is loaded and not live anywhere."""


class NoServer:
    """No server is attached: the registry switches, and `calls` tells what would have been asked."""

    name = "no server attached"

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def load(self, model_version: str) -> None:
        self.calls.append(("load", model_version))

    def smoke(self, model_version: str, questions: Sequence[str]) -> Sequence[Smoke]:
        self.calls.append(("smoke", model_version, len(questions)))
        return ()

    def switch(self, environment: str, model_version: str) -> None:
        self.calls.append(("switch", environment, model_version))

    def keep_warm(self, model_version: str, seconds: float) -> None:
        self.calls.append(("keep_warm", model_version, seconds))

    def drop(self, model_version: str) -> None:
        self.calls.append(("drop", model_version))
