"""Textual's lists with the keys of vi, and rows that are always Text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, OptionList
from textual.widgets.option_list import Option

from tui.bindings import LISTS
from tui.exporting import Shown
from tui.present.words import text
from tui.widgets.finding import Finds

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

    BINDINGS: ClassVar[list[BindingType]] = vi()

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
        self._rows: list[Row] = []
        self._drawn: list[Text] = []

    def fill(self, rows: Sequence[Row]) -> None:
        """(id, row for a width) in order; id None makes a heading."""
        rows = list(rows)
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
        self.choose(keep)

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
        """Highlight `name`, or the first row."""
        names = [i for i, _ in self._rows]
        if name in names and name is not None:
            self.highlighted = names.index(name)
        else:
            self.highlighted = next((n for n, i in enumerate(names) if i is not None), None)

    # finding

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
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


class RowTable(Finds, DataTable[Text]):
    """A table of Text cells, one row a key."""

    BINDINGS: ClassVar[list[BindingType]] = vi(
        first="scroll_top", last="scroll_bottom", select="select_cursor"
    )

    DEFAULT_CSS = """
    RowTable {
        height: 1fr;
        &, &:focus { background: transparent; background-tint: transparent; }
        scrollbar-size-horizontal: 0;
        &> .datatable--header { background: transparent; color: $text-muted; text-style: none; }
        &> .datatable--header-hover { background: $surface; }
        &> .datatable--even-row, &> .datatable--odd-row { background: transparent; }
        &> .datatable--hover { background: $block-hover-background; }
        &> .datatable--cursor {
            background: $block-cursor-blurred-background;
            color: $foreground;
            text-style: none;
        }
    }
    RowTable:focus > .datatable--cursor {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
    }
    """

    def __init__(self, columns: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._names = columns

    def on_mount(self) -> None:
        for name in self._names:
            self.add_column(Text(name), key=name or "mark")

    def fill(self, rows: Sequence[tuple[str, Sequence[Text]]]) -> None:
        """(key, cells) in order; the cursor stays on its key."""
        keep = self.chosen
        self.clear()
        for key, cells in rows:
            self.add_row(*cells, key=key)
        if keep is not None and keep in self.rows:
            self.move_cursor(row=self.get_row_index(keep))

    @property
    def chosen(self) -> str | None:
        if not self.row_count:
            return None
        key: Any = self.coordinate_to_cell_key(self.cursor_coordinate).row_key
        return str(key.value)

    # finding

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        can = self.can_find(action)
        return super().check_action(action, parameters) if can is None else can

    def row_texts(self) -> Sequence[str]:
        return [" ".join(c.plain for c in self.get_row(row.key)) for row in self.ordered_rows]

    def shown(self) -> Shown:
        rows = [[c.plain for c in self.get_row(row.key)] for row in self.ordered_rows]
        return Shown(tuple(self._names), rows)

    def row_now(self) -> int:
        return self.cursor_row if self.row_count else -1

    def go_row(self, index: int) -> None:
        self.move_cursor(row=index)
