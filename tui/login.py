"""Logins inside the app: a worker thread that opens the route asks, a dialog answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tui.app import ControlCentre
    from tui.widgets.confirm import Dialog

T = TypeVar("T")


class DialogPrompter:
    """`remote.auth.Prompter` over dialogs. Its methods block the calling thread, never the app."""

    def __init__(self, app: ControlCentre) -> None:
        self._app = app

    def secret(self, title: str, prompt: str) -> str | None:
        answers = self.answer(title, "", [(prompt, False)])
        return answers[0] if answers else None

    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        from tui.widgets.login import Login

        if not prompts:
            return []  # a server may only want to tell something
        return self._shown(lambda: Login(title, instructions, prompts))

    def accept_host_key(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> bool:
        from tui.widgets.login import HostKey

        def dialog() -> Dialog[bool]:
            return HostKey(hop=hop, name=name, key_type=key_type, fingerprint=fingerprint)

        return self._shown(dialog) is True

    def _shown(self, make: Callable[[], Dialog[T]]) -> T | None:
        answer: Future[T | None] = Future()

        def put() -> None:
            self._app.push_screen(make(), answer.set_result)

        try:
            self._app.call_from_thread(put)
        except RuntimeError:  # the app has left meanwhile: nobody is there to ask
            return None
        return answer.result()
