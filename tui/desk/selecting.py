"""Which pairs the pilot trains on, and freezing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.desk.launching import now

if TYPE_CHECKING:
    from core.corpus import Selection
    from core.pairs import Pair, Report
    from core.snapshots import Snapshot
    from tui.desk.workbench import Workbench


def read_corpus(bench: Workbench) -> Report:
    """Every pair file of the corpus; faulty rows are in the report's problems."""
    from core.corpus import pair_files
    from core.pairs import read_pairs

    return read_pairs(pair_files())


def current_selection(bench: Workbench, pairs: list[Pair]) -> Selection:
    """The pilot's own size, or everything with --all."""
    from core.corpus import pilot_selection

    return pilot_selection(pairs, all=bench.all_pairs)


def freeze_selection(
    bench: Workbench, selection: Selection, *, parent: str | None = None
) -> Snapshot:
    """Freeze into the registry. The same pairs on the same day are the same snapshot."""
    from core.registry import snapshots
    from core.snapshots import freeze

    snapshot = freeze(selection.train, parent=parent, created_at=now())
    bench.decided(lambda reg: snapshots.save(reg, snapshot, selection.train))
    return snapshot


def probe_rows(bench: Workbench) -> list[dict[str, Any]]:
    """The held-out wordings of trained facts, as golden questions."""
    return list(current_selection(bench, read_corpus(bench).pairs).probe)
