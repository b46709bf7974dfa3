"""Every answer that changed between two versions, regressions first. Opened from Evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text

from core.evaluation.flips import Flip
from tui.present import flips
from tui.screens.long_list import LongList
from tui.widgets.pull_table import Order


class FlipsScreen(LongList[Flip]):
    """found: as `compare_scores` has it, with the names a and b."""

    MODE: ClassVar[str] = "flips"

    def __init__(self, found: Mapping[str, Any]) -> None:
        listed = flips.flips(found)
        super().__init__(
            flips.title(found),
            flips.source(listed),
            flips.COLUMNS,
            order=Order("change"),
            empty=flips.EMPTY,
        )
        self._said = flips.summary(found, listed)

    def summary(self) -> str:
        state = self.table.state
        return f"{state} · {self._said}" if self.table.text else self._said

    def in_full(self, row: Flip, width: int) -> Text:
        return flips.in_full(row, width)

    def named(self, row: Flip) -> str:
        return row.id
