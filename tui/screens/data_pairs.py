"""The pairs of a snapshot or a file: every one, found by its words, and in full. Opened from Data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from rich.text import Text

from core.errors import QAError
from tui import clean
from tui.desk.api_pairs import LaidOut, PairRow, PairsDesk, PairsOf, PairView
from tui.desk.paged import Paged
from tui.present import pairs
from tui.present.words import text
from tui.screens.long_list import LongList
from tui.widgets.pull_table import Order


class _Pages(Paged[PairRow]):
    """The list grows while it is laid out; then nothing changes any more."""

    def __init__(self, screen: PairsScreen, of: PairsOf) -> None:
        super().__init__(lambda: screen.there, of, "n")
        self._screen, self._pairs_of = screen, of

    def stamp(self) -> Hashable:
        self._screen.state = self._screen.there.state(self._pairs_of)
        return (self._screen.state.rows, self._screen.state.complete)

    def grows(self) -> bool:
        return self._screen.state is None or not self._screen.state.complete

    @contextmanager
    def whole(self) -> Iterator[Callable[[], bool]]:
        """The list stays for whoever writes it to a file, also after its screen has closed."""
        there, of = self._screen.there, self._pairs_of
        there.enter(of)
        try:
            yield lambda: there.state(of).complete
        finally:
            there.leave(of)


class PairsScreen(LongList[PairRow]):
    MODE: ClassVar[str] = "pairs"

    def __init__(self, of: PairsOf, first: str = "") -> None:
        """first: number of the row to go to."""
        columns = (*pairs.COLUMNS, *((pairs.FAULT,) if of.kind == "file" else ()))
        super().__init__(
            pairs.title(of), _Pages(self, of), columns, order=Order("n"), empty=pairs.EMPTY
        )
        self.of = of
        self.state: LaidOut | None = None
        self._view: PairView | None = None
        self._problem: tuple[int, QAError] | None = None  # of the row with this number
        self._there: PairsDesk | None = None
        self._first = first

    def on_mount(self) -> None:
        self.there.enter(self.of)
        super().on_mount()
        if self._first not in ("", "1"):
            self.table.go_to_key(self._first)

    @property
    def there(self) -> PairsDesk:
        """Known beyond the end of the screen: a file may still be written."""
        if self._there is None:
            self._there = self.centre.desk.pairs
        return self._there

    def summary(self) -> str:
        return pairs.growing(self.state) + super().summary()

    def in_full(self, row: PairRow, width: int) -> Text:
        if self._problem is not None and self._problem[0] == row.n:
            return text("\n".join(map(clean.line, self._problem[1].lines())), "warn")
        view = self._view
        same = view is not None and view.row.n == row.n
        return pairs.in_full(view if view is not None and same else PairView(row), width)

    def look(self, row: PairRow) -> None:
        def failed(problem: QAError) -> None:
            self._problem = (row.n, problem)
            self.draw()

        self.ask(lambda: self.there.pair(self.of, row.n), self._came, group="pair", failed=failed)

    def _came(self, view: PairView) -> None:
        self._view, self._problem = view, None
        self.draw()

    def named(self, row: PairRow) -> str:
        return row.id or str(row.n)

    def file_behind(self) -> tuple[Path, int] | None:
        row = self.table.row
        if row is None or self.of.kind != "file":
            return None
        return Path(self.of.name), row.n

    def on_unmount(self) -> None:
        self.there.leave(self.of)
