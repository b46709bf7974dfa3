"""Snapshots on their way to a job: which is the newest, and its pairs as a file here or on the host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core import locations
from core.errors import NotFound

if TYPE_CHECKING:
    from tui.desk.launching import Placed
    from tui.desk.workbench import Workbench


def latest_snapshot(bench: Workbench) -> str:
    """Id of the newest frozen snapshot. Raises NotFound."""
    from core.registry import snapshots

    found = snapshots.list(bench.registry())
    if not found:
        raise NotFound(
            "no snapshot is frozen yet",
            try_next="run the item 'Verify data loader works', or `qa snapshots freeze FILE…`",
        )
    return found[0].dataset_version


def place_snapshot(bench: Workbench, snapshot_id: str) -> Placed:
    """The snapshot's pairs as JSONL on the host."""
    return bench.launching.place({"pairs": snapshot_file(bench, snapshot_id)})["pairs"]


def snapshot_file(bench: Workbench, snapshot_id: str) -> Path:
    """The snapshot's pairs as JSONL on this machine. Raises NotFound."""
    from core.registry import snapshots

    path = locations.state_dir() / "snapshots" / f"{snapshot_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    snapshots.write_jsonl(bench.registry(), snapshot_id, path)
    return path
