"""Textual's lists with the keys of vi, and rows that are always Text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui import clean
from tui.bindings import LISTS
from tui.exporting import Shown
from tui.present.words import text
from tui.widgets.finding import FindBar, Finds, passes
from tui.widgets.pane import Pane

ASKS = "show rows with these words; !word: without it; esc leaves it as it was"
NOTHING = "No row holds this. esc shows all."
WHOLE = 400  # cells: a row drawn this wide is cut nowhere
Row = tuple[str | None, Callable[[int], Text]]


def vi(**actions: str) -> list[BindingType]:
    """The keys of a list from the one table; actions: what the widget calls it, where it differs.

    Arrows, home and end are Textual's own and stay whatever the operator's key map says.
    """
    return [
        Binding(row.key.split(",")[0], actions.get(row.action, row.action), show=False, id=row.id)
        for row in LISTS
    ]


class RowList(Finds, OptionList):
    """A list of one-line rows by id; rows without an id are headings.

    `fill` keeps the highlighted id, so a refresh never moves the operator's place.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *vi(),
        Binding("escape", "end_filter", "All rows", show=False),
    ]

    DEFAULT_CSS = """
    RowList {
        padding: 0;
        height: 1fr;
        &, &:focus { border: none; background: transparent; background-tint: transparent; }
        &> .option-list--option { padding: 0; }
        &> .option-list--option-disabled { color: $foreground; }
    }
    """

    def __init__(self, *, id: str | None = None, empty: str = "") -> None:
        super().__init__(id=id, markup=False)
        self.empty = empty
        self.needle_shown = ""  # the filter
        self._all: list[Row] = []
        self._rows: list[Row] = []  # of all, those that pass
        self._drawn: list[Text] = []

    def fill(self, rows: Sequence[Row]) -> None:
        """(id, row for a width) in order; id None makes a heading."""
        self._all = list(rows)
        self._show()

    def _show(self) -> None:
        rows = self._passing()
        pane = next((w for w in self.ancestors if isinstance(w, Pane)), None)
        if pane is not None:
            pane.note(self._state(rows))
        if not rows and self.empty:
            rows = [(None, lambda width: text((self.empty, "dim")))]
        same = bool(rows) and [i for i, _ in rows] == [i for i, _ in self._rows]
        keep = self.chosen
        self._rows = rows
        if same:
            self.redraw()
            return
        self._drawn = [draw(self._room) for _, draw in rows]
        self.clear_options()
        self.add_options(
            [
                Option(drawn, id=name, disabled=name is None)
                for (name, _), drawn in zip(rows, self._drawn, strict=True)
            ]
        )
        self._highlight(keep)

    @property
    def _room(self) -> int:
        return max(10, (self.size.width or 40) - 1)

    def redraw(self, *, all_rows: bool = False) -> None:
        """Draw the rows again that look different now; all of them in a new theme's colours."""
        for index, (_, draw) in enumerate(self._rows):
            row = draw(self._room)
            if all_rows or row != self._drawn[index]:
                self._drawn[index] = row
                self.replace_option_prompt_at_index(index, row)

    def on_resize(self) -> None:
        self.redraw()

    @property
    def chosen(self) -> str | None:
        """Id of the highlighted row."""
        if self.highlighted is None or self.highlighted >= self.option_count:
            return None
        return self.get_option_at_index(self.highlighted).id

    def choose(self, name: str | None) -> None:
        """Highlight `name`, or the first row. A filter that hides it ends."""
        hidden = {i for i, _ in self._all} - {i for i, _ in self._rows}
        if name is not None and name in hidden:
            self.filter("")
        self._highlight(name)

    def _highlight(self, name: str | None) -> None:
        names = [i for i, _ in self._rows]
        if name in names and name is not None:
            self.highlighted = names.index(name)
        else:
            self.highlighted = next((n for n, i in enumerate(names) if i is not None), None)

    # filtering

    def filter(self, needle: str) -> None:
        """Show only the rows that pass, and the headings above them; "" shows all."""
        self.needle_shown = needle.strip()
        self._show()

    def _state(self, rows: Sequence[Row]) -> str:
        if not self.needle_shown:
            return ""
        shown, there = (sum(name is not None for name, _ in r) for r in (rows, self._all))
        return f"{shown} of {there} &{clean.line(self.needle_shown, 24)}"

    def _passing(self) -> list[Row]:
        if not self.needle_shown:
            return self._all
        found: list[Row] = []
        above: list[Row] = []  # headings whose rows are still to come
        for name, draw in self._all:
            if name is None:
                above = [(name, draw)]
            elif passes(draw(WHOLE).plain, self.needle_shown):
                found += [*above, (name, draw)]
                above = []
        return found or [(None, lambda width: text((NOTHING, "dim")))]

    def action_filter(self) -> None:
        before = self.needle_shown

        def over(needle: str | None) -> None:
            self.filter(before if needle is None else needle)

        self.app.push_screen(FindBar(self.filter, ASKS, before), over)

    def action_end_filter(self) -> None:
        self.filter("")

    # finding

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "end_filter":  # without a filter, esc belongs to whatever is around the list
            return bool(self.needle_shown)
        can = self.can_find(action)
        return super().check_action(action, parameters) if can is None else can

    def row_texts(self) -> Sequence[str]:
        return [draw(WHOLE).plain if name is not None else "" for name, draw in self._rows]

    def shown(self) -> Shown:
        return Shown((), [[draw(WHOLE).plain] for _, draw in self._rows])

    def row_now(self) -> int:
        return -1 if self.highlighted is None else self.highlighted

    def go_row(self, index: int) -> None:
        self.highlighted = index
