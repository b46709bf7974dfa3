"""Who is asked for secrets. They are asked for each time and never written anywhere.

Plain Python: importing this loads no SSH library.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from typing import Protocol


class Prompter(Protocol):
    """Asks the operator. Called from worker threads; None means that they said no."""

    def secret(self, title: str, prompt: str) -> str | None: ...
    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """prompts: (text, echo). As many answers as prompts."""
        ...

    def accept_host_key(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> bool: ...


class NoPrompter:
    """Nobody is there: every question is answered with no."""

    def secret(self, title: str, prompt: str) -> str | None:
        return None

    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        return None

    def accept_host_key(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> bool:
        return False


class TerminalPrompter:
    """Asks on the terminal, on stderr: stdout is for data."""

    def secret(self, title: str, prompt: str) -> str | None:
        self._say(title)
        try:
            return getpass.getpass(f"{prompt.rstrip(': ')}: ", stream=sys.stderr)
        except (EOFError, KeyboardInterrupt):
            return None

    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        self._say(title)
        self._say(instructions)
        answers = []
        for text, echo in prompts:
            if not echo:
                secret = self.secret("", text)
                if secret is None:
                    return None
                answers.append(secret)
                continue
            line = self._line(text)
            if line is None:
                return None
            answers.append(line)
        return answers

    def accept_host_key(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> bool:
        self._say(f"The key of {hop} is not on file under {name!r}.")
        self._say(f"It shows {key_type} {fingerprint}.")
        self._say("Compare this with what its administrators give out.")
        return self._line("Type 'accept' to file it: ") == "accept"

    def _line(self, prompt: str) -> str | None:
        print(f"{prompt.rstrip()} ", end="", file=sys.stderr, flush=True)
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            return None
        return line.rstrip("\n") if line else None

    def _say(self, text: str) -> None:
        if text:
            print(text, file=sys.stderr)
