"""The dialog in which a suspect pair's answer is corrected: the answer, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static, TextArea

from tui.present.words import text
from tui.widgets.confirm import Dialog


@dataclass(frozen=True, slots=True)
class Corrected:
    answer: str
    why: str


class Correct(Dialog[Corrected]):
    """Tab goes from the answer to the reason; enter there queues it.

    The checks of pairs are the desk's: what it refuses is shown, and what was typed is still there if
    the dialog is opened again with it.
    """

    DEFAULT_CSS = """
    Correct > #box { width: 90; }
    Correct TextArea { height: 8; border: none; padding: 0 1; background: $panel; margin-top: 1; }
    Correct TextArea:focus { border: none; background-tint: $foreground 5%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "store", show=False)]

    def __init__(self, body: Text, answer: str, why: str = "") -> None:
        hint = "tab to the reason · enter there or ctrl+s queues · esc cancels"
        super().__init__("Correct the pair", body, hint=hint)
        self._answer, self._why = answer, why

    def fields(self) -> ComposeResult:
        yield TextArea(self._answer, id="answer", tab_behavior="focus", soft_wrap=True)
        yield Static(text(("why it was wrong", "dim")), classes="gap")
        yield Input(self._why, classes="field", id="why")

    def on_mount(self) -> None:
        answer = self.query_one("#answer", TextArea)
        answer.cursor_blink = self.app.animation_level != "none"  # reduced motion
        answer.focus()

    @on(Input.Submitted, "#why")
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_store()

    def action_store(self) -> None:
        answer = self.query_one("#answer", TextArea).text.strip()
        why = self.query_one("#why", Input).value.strip()
        if len(why) < 3:
            self.notify("a reason is needed: a few words", markup=False, timeout=3)
            self.query_one("#why", Input).focus()
        elif not answer:
            self.notify("there is no answer; to remove the pair, drop it", markup=False, timeout=3)
        else:
            self.dismiss(Corrected(answer, why))
