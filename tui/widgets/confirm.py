"""Dialogs. What they ask is drawn by tui.present; none answers yes by itself or on enter alone.

A destructive action is confirmed with another key than the one that asked for it; what matters most
is confirmed by typing a name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Generic, Self, TypeVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from core.errors import QAError
from tui import clean
from tui.present import frame, words
from tui.present.words import text
from tui.widgets.lists import RowList

R = TypeVar("R")
FRAMED = 7  # cells around the text of a page: frame, padding, scroll bar


class Dialog(ModalScreen[R], Generic[R]):
    """A titled box in the middle; esc closes it without an answer."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: $background 60%;
        & > #box {
            width: 76;
            max-width: 96%;
            height: auto;
            max-height: 90%;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $text-muted;
            background: $surface;
            padding: 1 2;
        }
        & .field { border: none; height: 1; padding: 0 1; background: $panel; margin-bottom: 1; }
        & .field:focus { border: none; height: 1; background-tint: $foreground 5%; }
        & #body { height: auto; max-height: 100%; }
        & .gap { margin-top: 1; }
        & RowList { height: auto; max-height: 12; margin-top: 1; }
        &.-danger > #box { border: round $error; border-title-color: $error; }
        &.-production > #box {
            border: heavy $error;
            border-title-color: $background;
            border-title-background: $error;
            border-title-style: bold;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel", show=False)]

    def __init__(self, title: str, body: Text, *, hint: str, danger: bool = False) -> None:
        super().__init__()
        self._title, self._body, self._hint = title, body, hint
        self.set_class(danger, "-danger")

    def acting_on(self, environment: str) -> Self:
        """What reaches users is framed in another colour, and says so."""
        if environment == "production":
            self._title = f"PRODUCTION · {self._title}"
            self.add_class("-production")
        return self

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content(clean.line(self._title, 64))
            box.border_subtitle = Content(self._hint)
            yield Static(self._body, id="body")
            yield from self.fields()

    def fields(self) -> ComposeResult:
        yield from ()

    def action_leave(self) -> None:
        self.dismiss(None)


class Confirm(Dialog[bool]):
    """True if `key` was pressed. Enter only says which key it takes."""

    def __init__(
        self, title: str, body: Text, *, verb: str, key: str = "y", danger: bool = True
    ) -> None:
        super().__init__(title, body, hint=f"{key} {verb} · esc cancels", danger=danger)
        self._key, self._verb = key, verb

    def on_key(self, event: events.Key) -> None:
        if event.key == self._key:
            event.stop()
            self.dismiss(True)
        elif event.key == "enter":
            event.stop()
            self.notify(f"press {self._key} to {self._verb}", markup=False, timeout=3)


class Problem(Dialog[None]):
    """An error in full: what, why, what to try next."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "leave", "Close", show=False)]

    def __init__(self, error: QAError, title: str = "That did not work") -> None:
        super().__init__(title, frame.error(error), hint="enter or esc closes", danger=True)


class Choose(Dialog[str]):
    """One of several rows by id."""

    def __init__(
        self, title: str, body: Text, rows: Sequence[tuple[str, Text]], *, hint: str = "enter picks"
    ) -> None:
        super().__init__(title, body, hint=f"{hint} · esc cancels")
        self._rows = rows

    def fields(self) -> ComposeResult:
        yield RowList(id="choices")

    def on_mount(self) -> None:
        rows = self.query_one(RowList)
        rows.fill([(name, partial(words.fit, row)) for name, row in self._rows])
        rows.focus()

    @on(OptionList.OptionSelected)
    def picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.pick(event.option.id)

    def pick(self, name: str | None) -> None:
        self.dismiss(name)


class Ask(Dialog[str]):
    """A typed text of at least `least` characters. value: what stands there at first."""

    def __init__(
        self,
        title: str,
        body: Text,
        *,
        verb: str,
        placeholder: str = "",
        least: int = 3,
        value: str = "",
    ) -> None:
        super().__init__(title, body, hint=f"enter {verb} · esc cancels")
        self._placeholder, self._least, self._value = placeholder, least, value

    def fields(self) -> ComposeResult:
        yield Input(self._value, placeholder=self._placeholder, classes="field gap", id="answer")

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        value = event.value.strip()
        if len(value) < self._least:
            self.notify("a reason is needed: a few words", markup=False, timeout=3)
        else:
            self.dismiss(value)


class TypeName(Dialog[str]):
    """Confirms by typing `name`; where `reason` is asked for, its text is the answer, else the name."""

    def __init__(self, title: str, body: Text, name: str, *, verb: str, reason: str = "") -> None:
        super().__init__(title, body, hint=f"enter {verb} · esc cancels", danger=True)
        self._name, self._reason = name, reason

    def fields(self) -> ComposeResult:
        if self._reason:
            yield Static(text((self._reason, "dim")), classes="gap")
            yield Input(classes="field", id="reason")
        prompt = text(
            ("type ", "dim"), (clean.line(self._name, 60), "strong"), (" to confirm", "dim")
        )
        yield Static(prompt, classes="" if self._reason else "gap")
        yield Input(classes="field", id="name")

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = self.query_one("#name", Input)
        reason = self.query_one("#reason", Input).value.strip() if self._reason else ""
        if self._reason and len(reason) < 3:
            self.notify("a reason is needed: a few words", markup=False, timeout=3)
            self.query_one("#reason", Input).focus()
        elif name.value.strip() != self._name:
            if event.input is name:
                self.notify("the name does not match", severity="warning", markup=False, timeout=3)
            name.focus()
        else:
            self.dismiss(reason or self._name)


class Page(Dialog[None]):
    """Something longer to read: a text, or what draws it for a width and then has the whole screen's."""

    DEFAULT_CSS = """
    Page > #box { width: 96; height: auto; max-height: 94%; padding: 0 1; }
    Page.-drawn > #box { width: 90%; min-width: 76; max-width: 140; }
    Page #scroll { height: auto; max-height: 100%; padding: 0 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,q,question_mark", "leave", "Close", show=False),
        Binding("j", "scroll('down')", show=False),
        Binding("k", "scroll('up')", show=False),
    ]

    def __init__(self, title: str, body: Text | Callable[[int], Text]) -> None:
        self._draw = None if isinstance(body, Text) else body
        said = body if isinstance(body, Text) else text()
        super().__init__(title, said, hint="j k scroll · esc closes")
        self.set_class(self._draw is not None, "-drawn")

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content(clean.line(self._title, 64))
            box.border_subtitle = Content(self._hint)
            with VerticalScroll(id="scroll"):
                yield Static(self._body, id="body")

    def on_mount(self) -> None:
        self.query_one("#scroll").focus()
        self._redraw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        """The box has a width of its own, so its text's is known before it is laid out."""
        if self._draw is None:
            return
        share = min(max(76, self.app.size.width * 9 // 10), 140, self.app.size.width * 96 // 100)
        self.query_one("#body", Static).update(self._draw(share - FRAMED))

    def action_scroll(self, direction: str) -> None:
        scroll = self.query_one("#scroll", VerticalScroll)
        if direction == "down":
            scroll.scroll_down(animate=False)
        else:
            scroll.scroll_up(animate=False)
