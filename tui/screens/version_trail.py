"""The audit trail of a version, from its registration to the newest switch. Opened from Versions."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text

from tui import clean
from tui.desk.api_lists import AuditRow
from tui.desk.paged import Listed
from tui.present import trails
from tui.present.words import text
from tui.screens.long_list import LongList
from tui.widgets.pull_table import Order


class TrailScreen(LongList[AuditRow]):
    MODE: ClassVar[str] = "trail"

    def __init__(self, model_version: str) -> None:
        super().__init__(
            text("audit trail of ", (clean.line(model_version, 60), "strong")),
            Listed(lambda: self.centre.desk.lists, "trail", "seq", of=model_version),
            trails.COLUMNS,
            order=Order("seq", descending=True),
            empty=trails.EMPTY,
        )

    def in_full(self, row: AuditRow, width: int) -> Text:
        return trails.in_full(row, width)
