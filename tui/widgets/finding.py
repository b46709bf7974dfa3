"""Finding a row of a list by its words: `/` asks, n and N go on. Lists mix `Finds` in.

`passes` is the same for filters: words that a row has, and with ! those that it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Input

if TYPE_CHECKING:
    from textual.widget import Widget

_ACTIONS = ("find", "find_next", "find_previous")


class FindBar(ModalScreen[str]):
    """One line above the keys. `moved` is told every change; esc answers with nothing."""

    DEFAULT_CSS = """
    FindBar { background: transparent; align: left bottom; }
    FindBar Input { border: none; height: 1; padding: 0 1; margin-bottom: 1; background: $panel; }
    FindBar Input:focus { border: none; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel", show=False)]

    def __init__(
        self,
        moved: Callable[[str], None],
        asks: str = "find a row: enter stays there, then n and N go on",
        value: str = "",
    ) -> None:
        super().__init__()
        self._moved, self._asks, self._value = moved, asks, value

    def compose(self) -> ComposeResult:
        yield Input(self._value, placeholder=self._asks, id="find", select_on_focus=False)

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        self._moved(event.value)

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:
            self.action_leave()

    def action_leave(self) -> None:
        self.dismiss(None)


class Finds:
    """Mixin of a list of rows. Its own `/` gives way to one of the screen's."""

    needle = ""

    def row_texts(self) -> Sequence[str]:
        """The rows' words in order; "" where a row cannot be gone to."""
        raise NotImplementedError

    def row_now(self) -> int:
        """Index of the highlighted row; -1 if there is none."""
        raise NotImplementedError

    def go_row(self, index: int) -> None:
        raise NotImplementedError

    def can_find(self, action: str) -> bool | None:
        """For `check_action`: None if `action` is not one of finding."""
        if action not in _ACTIONS:
            return None
        if action != "find":
            return bool(self.needle)
        place = getattr(cast("Widget", self).screen, "place", None)
        keys = place.keys if place is not None else ()
        return not any(k.bound and "slash" in k.key.split(",") for k in keys)

    def action_find(self) -> None:
        before = self.row_now()

        def over(needle: str | None) -> None:
            self.needle = needle or ""
            if not needle and before >= 0:
                self.go_row(before)

        cast("Widget", self).app.push_screen(FindBar(lambda n: self._go(n, before, 1)), over)

    def action_find_next(self) -> None:
        self._go(self.needle, self.row_now() + 1, 1)

    def action_find_previous(self) -> None:
        self._go(self.needle, self.row_now() - 1, -1)

    def _go(self, needle: str, start: int, step: int) -> None:
        found = find(self.row_texts(), needle, start, step)
        if found is not None:
            self.go_row(found)


def find(texts: Sequence[str], needle: str, start: int, step: int = 1) -> int | None:
    """Index of the first row from `start` on that holds every word, going round; None if none does."""
    words = needle.casefold().split()
    if not words or not texts:
        return None
    for n in range(len(texts)):
        at = (start + n * step) % len(texts)
        folded = texts[at].casefold()
        if folded and all(w in folded for w in words):
            return at
    return None


def passes(value: str, needle: str) -> bool:
    """Whether a row holds every word of `needle`, and none of those with ! before them."""
    folded = value.casefold()
    return all(
        word[1:] not in folded if len(word) > 1 and word[0] == "!" else word in folded
        for word in needle.casefold().split()
        if word != "!"
    )
