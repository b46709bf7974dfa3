"""A question of the login on its way: asked in the link process, answered where somebody sits.

    link process → client   {"ask": "secret"|"answer"|"host_key"} and the question's values as JSON
    client → link process   {"answer"} and the answer as JSON; null is a no

Answers are in frames of a socket only this user can open, and in memory until the login has used them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from remote.agent.frames import FrameError
from remote.auth import Prompter

Say = Callable[[dict[str, Any], bytes], None]
Hear = Callable[[], bytes]  # the body of the next frame; EOFError, OSError, FrameError


class RelayPrompter:
    """The link process's end, a `Prompter`. A client that is gone, or silent for too long, has said no."""

    def __init__(self, say: Say, hear: Hear) -> None:
        self._say, self._hear = say, hear

    def secret(self, title: str, prompt: str) -> str | None:
        answer = self._asked("secret", title=title, prompt=prompt)
        return answer if isinstance(answer, str) else None

    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        answers = self._asked("answer", title=title, instructions=instructions, prompts=[*prompts])
        if not isinstance(answers, list) or len(answers) != len(prompts):
            return None
        return answers if all(isinstance(a, str) for a in answers) else None

    def accept_host_key(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> bool:
        about = {"hop": hop, "name": name, "key_type": key_type, "fingerprint": fingerprint}
        return self._asked("host_key", **about) is True

    def _asked(self, kind: str, **values: Any) -> Any:
        try:
            self._say({"ask": kind}, json.dumps(values).encode())
            return json.loads(self._hear())
        except (OSError, EOFError, FrameError, ValueError):
            return None


def answered(prompter: Prompter, kind: str, body: bytes) -> bytes:
    """The client's end: ask the operator, and give back the answer as it travels. Raises FrameError."""
    try:
        about = json.loads(body)
        if kind == "secret":
            said: Any = prompter.secret(about["title"], about["prompt"])
        elif kind == "answer":
            prompts = [(str(text), bool(echo)) for text, echo in about["prompts"]]
            said = prompter.answer(about["title"], about["instructions"], prompts)
        elif kind == "host_key":
            said = prompter.accept_host_key(**about)
        else:
            raise FrameError("a question of an unknown kind")
    except (ValueError, TypeError, KeyError) as e:
        raise FrameError("not a question") from e
    return json.dumps(said).encode()
