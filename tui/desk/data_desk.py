"""The data at the desk: files, snapshots, differences, contamination, and the way to the host."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from core.errors import Cancelled
from tui.desk import data_files
from tui.desk.api_data import (
    AlikeRow,
    ContaminationView,
    DiffView,
    FactRow,
    FilesView,
    FrozenRow,
    Moving,
    Synced,
    TallyRow,
)
from tui.desk.launching import operator

if TYPE_CHECKING:
    from core.registry.snapshot_changes import Tally
    from remote.sync import Transfer
    from tui.desk.workbench import Workbench

THERE = "data"  # the folder below the host's work folder, as `qa sync push` has it


class WorkbenchData:
    """Implements `tui.desk.api_data.DataDesk`. Thread-safe."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._moving: Moving | None = None
        self._stop = threading.Event()

    def files(self) -> FilesView:
        return data_files.read()

    def add_file(self, path: str) -> None:
        data_files.add(path)

    def leave_out(self, path: str) -> None:
        data_files.leave_out(path)

    def snapshots(self) -> tuple[FrozenRow, ...]:
        from core.registry import records, snapshots

        reg = self._bench.registry()
        trained: dict[str, list[str]] = {}
        for version in records.list(reg, limit=10_000):
            trained.setdefault(version.dataset_version, []).append(version.model_version)
        return tuple(
            FrozenRow(
                s.dataset_version,
                s.created_at,
                s.parent or "",
                s.pair_count,
                _largest(s.domain_breakdown),
                _largest(s.source_breakdown),
                tuple(trained.get(s.dataset_version, ())),
            )
            for s in snapshots.list(reg)
        )

    def freeze(self) -> str:
        """The good rows of all files, after the newest snapshot. Raises PairsError."""
        from core.pairs import Reading
        from core.registry import snapshots

        before = snapshots.list(self._bench.registry())
        parent = before[0].dataset_version if before else None
        pairs = Reading(data_files.paths())
        frozen = self._bench.decided(
            lambda reg: snapshots.freeze(reg, pairs, parent=parent, who=operator())
        )
        return frozen.id

    def diff(self, a: str, b: str) -> DiffView:
        from core.registry.snapshot_changes import between

        found = between(self._bench.registry(), a, b)
        d = found.pairs
        said = [f for f in found.facts if f.before and f.after]
        return DiffView(
            a,
            b,
            len(d.added),
            len(d.removed),
            len(d.changed),
            d.share_new,
            _tallies(found.domains),
            _tallies(found.entities),
            tuple(FactRow(" ".join(f.entities), f.fact, f.before, f.after) for f in said),
        )

    def contamination(self, dataset_version: str) -> ContaminationView:
        from core.evaluation.golden import load_golden
        from core.evaluation.strata import strata
        from core.registry import snapshots

        questions = load_golden(self._bench.golden)
        found = strata(questions, snapshots.iter_pairs(self._bench.registry(), dataset_version))
        return ContaminationView(
            dataset_version,
            len(found.findings),
            tuple(found.strata.items()),
            tuple(found.tests.items()),
            tuple(
                AlikeRow(f.golden_id, w.test, w.similarity, w.pair_id)
                for f in found.findings
                for w in f.wordings[:1]
            ),
            tuple(f.golden_id for f in found.findings if f.conflict),
        )

    def verify(self, dataset_version: str) -> tuple[str, ...]:
        from core.registry import snapshots

        return snapshots.verify(self._bench.registry(), dataset_version)

    def sync(self) -> Synced:
        """Copy the files to the host. Raises RouteError, DiskFull, Cancelled; what arrived stays."""
        from remote import sync

        self._stop.clear()
        try:
            moved = sync.push(
                self._bench.line.route(),
                sync.tree(data_files.paths(), THERE),
                sync.rated(self._moved),
            )
        finally:
            self._moving = None
        return Synced(moved.files, moved.skipped, moved.wire)

    def _moved(self, step: Transfer) -> None:
        if self._stop.is_set():
            raise Cancelled("the transfer was stopped", try_next="s goes on where it stopped")
        self._moving = Moving(step.done, step.total, step.rate, step.eta, step.name)

    def moving(self) -> Moving | None:
        return self._moving

    def stop_sync(self) -> None:
        self._stop.set()


def _largest(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _tallies(found: dict[str, Tally]) -> tuple[TallyRow, ...]:
    rows = [TallyRow(name, t.added, t.removed, t.changed) for name, t in found.items()]
    return tuple(sorted(rows, key=lambda r: (-(r.added + r.removed + r.changed), r.name)))
