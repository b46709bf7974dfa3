"""What the long lists may ask: versions, sources, unknown sources and audit rows, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tui.desk.api import SourceRow, UnknownRow, VersionRow

What = Literal["versions", "sources", "unknown", "trail"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """text: words a row holds, `!word` it does not.  order: a column's name, "" as they come.

    of: what the list is about, as the version of a trail.  after, before: key of the row that stands
    just before or just behind the page, where it is known.
    """

    text: str = ""
    order: str = ""
    descending: bool = False
    of: str = ""
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A row of the audit. before, after: JSON, "" where there is none."""

    seq: int
    at: str  # ISO 8601, UTC
    who: str
    origin: str
    action: str
    subject: str
    before: str
    after: str
    why: str


Row = VersionRow | SourceRow | UnknownRow | AuditRow


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """An answer that cited a source nobody knows."""

    question: str
    answer: str
    model_version: str
    at: str  # ISO 8601, UTC


class ListsDesk(Protocol):
    """stamp: another number after every change of the registry, whoever made it."""

    def stamp(self) -> int: ...
    def count(self, what: What, wanted: Wanted) -> int: ...
    def rows(self, what: What, wanted: Wanted, offset: int, limit: int) -> Sequence[Row]: ...
    def place(self, what: What, wanted: Wanted, key: str) -> int | None: ...
    def live(self) -> dict[str, str]: ...  # environment → model_version

    # sources like an unknown id, the likest first; of those with `text` in them
    def near(self, source_id: str, text: str = "") -> Sequence[SourceRow]: ...
    def examples(self, source_id: str) -> Sequence[ExampleRow]: ...
