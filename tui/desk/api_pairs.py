"""What a list of pairs may ask: those of a snapshot, or of a file as they stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tui.desk.api_lists import Wanted


@dataclass(frozen=True, slots=True)
class PairsOf:
    """name: a dataset_version, or the path of a file."""

    kind: Literal["snapshot", "file"]
    name: str


@dataclass(frozen=True, slots=True)
class PairRow:
    """n: place in the snapshot from 1, or the line of the file.  question, answer: how they begin.

    fault: why a file's row is rejected, "" of a good one.
    """

    n: int
    id: str
    domain: str
    source: str
    question: str
    answer: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair in full. turns: (role, text).  more: what else its JSON says.  faults: of a rejected
    row; text: that row as it stands in the file."""

    row: PairRow
    source_ref: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    more: str = ""
    content_hash: str = ""
    faults: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class LaidOut:
    """How far the list is there. share: 0…1.  rows: that can be read."""

    rows: int
    share: float
    complete: bool


class PairsDesk(Protocol):
    """Pages of a list that may still grow.

    enter: somebody reads it, until they `leave` it; both are instant. Whoever asks of a list that all
    have left gets Cancelled.
    """

    def enter(self, of: PairsOf) -> None: ...

    def state(self, of: PairsOf) -> LaidOut: ...
    def count(self, of: PairsOf, wanted: Wanted) -> int: ...
    def rows(self, of: PairsOf, wanted: Wanted, offset: int, limit: int) -> Sequence[PairRow]: ...
    def place(self, of: PairsOf, wanted: Wanted, key: str) -> int | None: ...
    def pair(self, of: PairsOf, n: int) -> PairView: ...
    def leave(self, of: PairsOf) -> None: ...
