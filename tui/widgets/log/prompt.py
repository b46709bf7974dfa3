"""The row in which a search, a filter or a place to go to is typed."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

KINDS = {
    "search": ("/", "text, or /regular expression/"),
    "filter": ("&", "only lines with this text · !text without it · /regular expression/"),
    "go": ("t", "14:02 · +5m · -1h · 1200 (line) · 50%"),
}


class LogPrompt(Horizontal):
    """Hidden until `ask`, which leaves the focus where it is; hides itself with the answer."""

    DEFAULT_CSS = """
    LogPrompt {
        height: 1;
        display: none;
        background: $panel;
        & > Static { width: 3; color: $primary; text-style: bold; padding-left: 1; }
        & > Input, & > Input:focus { width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
        &.-open { display: block; }
    }
    """

    @dataclass
    class Answered(Message):
        """kind: which of KINDS.  words: as typed."""

        kind: str
        words: str

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)
        yield Input()

    @property
    def field(self) -> Input:
        return self.query_one(Input)

    @property
    def open(self) -> bool:
        return self.has_class("-open")

    def ask(self, kind: str, words: str = "") -> None:
        self._kind = kind
        sign, hint = KINDS[kind]
        self.query_one(Static).update(sign)
        self.field.placeholder = hint
        self.field.value = words
        self.add_class("-open")

    def close(self) -> None:
        self.remove_class("-open")

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self.post_message(self.Answered(self._kind, event.value))

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        event.stop()
