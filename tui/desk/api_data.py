"""What the Data screen may ask: files, what is wrong with them, snapshots and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tui.desk.marks import writes


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of pairs. path: to open it.  ours: part of the product's corpus."""

    name: str
    path: str
    rows: int
    good: int
    problems: int
    ours: bool = True

    @property
    def rejected(self) -> int:
        return self.rows - self.good


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One thing wrong with one line. usable: the row was kept, after the repair that `what` names.

    text: the line as it stands in the file, its first characters.
    """

    file: str
    line: int
    field: str
    code: str
    what: str
    usable: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class FilesView:
    """problems: the first of them, rejected rows before repaired ones.  more: how many others."""

    files: tuple[FileRow, ...]
    problems: tuple[ProblemRow, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class FrozenRow:
    """One snapshot. domains, sources: (name, pairs), the largest first.  trained: the versions."""

    dataset_version: str
    created_at: str
    parent: str
    pairs: int
    domains: tuple[tuple[str, int], ...]
    sources: tuple[tuple[str, int], ...]
    trained: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TallyRow:
    name: str
    added: int
    removed: int
    changed: int


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact that two snapshots tell differently."""

    entity: str
    fact: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class DiffView:
    """What `b` has against `a`. share_new 0..1: what the version rule looks at."""

    a: str
    b: str
    added: int
    removed: int
    changed: int
    share_new: float
    domains: tuple[TallyRow, ...]
    entities: tuple[TallyRow, ...]
    facts: tuple[FactRow, ...]


@dataclass(frozen=True, slots=True)
class AlikeRow:
    """A golden question and the pair whose wording is too near. similarity 0..1."""

    golden_id: str
    test: str
    similarity: float
    pair_id: str


@dataclass(frozen=True, slots=True)
class ContaminationView:
    """Golden questions against one snapshot. strata, wordings: (name, questions)."""

    dataset_version: str
    questions: int
    strata: tuple[tuple[str, int], ...]
    wordings: tuple[tuple[str, int], ...]
    alike: tuple[AlikeRow, ...]
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moving:
    """A transfer that runs. done, total: bytes; rate: bytes/s; eta: seconds."""

    done: int
    total: int
    rate: float
    eta: float | None
    name: str


@dataclass(frozen=True, slots=True)
class Synced:
    """files arrived, skipped were there; wire: bytes that travelled."""

    files: int
    skipped: int
    wire: int


class DataDesk(Protocol):
    """moving, stop_sync: instant."""

    def files(self) -> FilesView: ...
    @writes
    def add_file(self, path: str) -> None: ...
    @writes
    def leave_out(self, path: str) -> None: ...
    def snapshots(self) -> tuple[FrozenRow, ...]: ...
    @writes
    def freeze(self) -> str: ...  # the snapshot's dataset_version
    def diff(self, a: str, b: str) -> DiffView: ...
    def contamination(self, dataset_version: str) -> ContaminationView: ...
    def verify(self, dataset_version: str) -> tuple[str, ...]: ...  # faults
    @writes
    def sync(self) -> Synced: ...
    def moving(self) -> Moving | None: ...
    def stop_sync(self) -> None: ...
