"""What the Data screen is given: three files, two of them faulty, and two snapshots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tui.desk.api_data import (
    AlikeRow,
    ContaminationView,
    DiffView,
    FactRow,
    FileRow,
    FilesView,
    FrozenRow,
    Moving,
    ProblemRow,
    Synced,
    TallyRow,
)

FILES = FilesView(
    (
        FileRow("compute-resources_qa_pairs.jsonl", "/corpus/compute-resources_qa_pairs.jsonl",
                236, 236, 0),
        FileRow("software-discovery_qa_pairs.jsonl", "/corpus/software-discovery_qa_pairs.jsonl",
                1222, 1220, 3),
        FileRow("field-notes.jsonl", "/home/jsmith/field-notes.jsonl", 12, 11, 1, ours=False),
    ),
    (
        ProblemRow("software-discovery_qa_pairs.jsonl", 118, "messages[1].content", "empty",
                   "the answer is empty", False, '{"id": "sd-118", "messages": [{"role": …'),
        ProblemRow("software-discovery_qa_pairs.jsonl", 640, "id", "duplicate-id",
                   "sd-12 was used on line 12", False, '{"id": "sd-12", …'),
        ProblemRow("field-notes.jsonl", 3, "", "not-json", "no JSON: a comma is missing", False,
                   '{"id": "fn-3" "domain": …'),
        ProblemRow("software-discovery_qa_pairs.jsonl", 1, "", "bom", "a byte order mark was dropped",
                   True, "\ufeff{…"),
    ),
)  # fmt: skip
NEW, OLD = "dataset-2026-11-22-ab12cd34ef56", "dataset-2026-11-02-77e1a0b9c8d7"
SNAPSHOTS = (
    FrozenRow(NEW, "2026-11-22T09:12:00Z", OLD, 1458,
              (("compute-resources", 236), ("software-discovery", 1222)),
              (("mcp_extraction", 1300), ("doc_generated", 120), ("user_qa", 38)),
              ("access-qa-v1.1.0",)),
    FrozenRow(OLD, "2026-11-02T16:40:00Z", "", 1201, (("compute-resources", 201),
              ("software-discovery", 1000)), (("mcp_extraction", 1201),), ("access-qa-v1.0.0",)),
)  # fmt: skip
DIFF = DiffView(
    OLD, NEW, 262, 5, 3, 262 / 1458,
    (TallyRow("software-discovery", 224, 2, 1), TallyRow("compute-resources", 38, 3, 2)),
    (TallyRow("compute-resources:delta.ncsa.access-ci.org", 12, 1, 1),),
    (FactRow("Delta", "memory of a GPU node", "A GPU node of Delta has 256 GB of memory.",
             "A GPU node of Delta has 512 GB of memory."),),
)  # fmt: skip
CONTAMINATION = ContaminationView(
    NEW, 170,
    (("trained fact, trained wording", 4), ("trained fact, new wording", 126),
     ("untrained fact", 40)),
    (("exact", 1), ("normalised", 1), ("near", 2)),
    (AlikeRow("rs-004", "exact", 1.0, "cr-17"), AlikeRow("sw-011", "near", 0.87, "sd-311")),
    ("rs-004",),
)  # fmt: skip


class FakeData:
    """Implements tui.desk.api_data.DataDesk for a FakeDesk."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.view = FILES
        self.frozen = () if desk.state == "empty" else SNAPSHOTS
        self.faults: tuple[str, ...] = ()
        self.step: Moving | None = None

    def files(self) -> FilesView:
        self.desk._asked("data.files")
        return self.view

    def add_file(self, path: str) -> None:
        self.desk._asked("data.add_file", path)
        row = FileRow(path.rsplit("/")[-1], path, 3, 3, 0, ours=False)
        self.view = replace(self.view, files=(*self.view.files, row))

    def leave_out(self, path: str) -> None:
        self.desk._asked("data.leave_out", path)
        self.view = replace(self.view, files=tuple(f for f in self.view.files if f.path != path))

    def snapshots(self) -> tuple[FrozenRow, ...]:
        self.desk._asked("data.snapshots")
        return self.frozen

    def freeze(self) -> str:
        self.desk._asked("data.freeze")
        row = replace(SNAPSHOTS[0], dataset_version="dataset-2026-11-22-000000000000", trained=())
        self.frozen = (row, *self.frozen)
        return row.dataset_version

    def diff(self, a: str, b: str) -> DiffView:
        self.desk._asked("data.diff", a, b)
        return DIFF

    def contamination(self, dataset_version: str) -> ContaminationView:
        self.desk._asked("data.contamination", dataset_version)
        return CONTAMINATION

    def verify(self, dataset_version: str) -> tuple[str, ...]:
        self.desk._asked("data.verify", dataset_version)
        return self.faults

    def sync(self) -> Synced:
        self.step = Moving(41_000_000, 120_000_000, 18.2e6, 4.3, "compute-resources_qa_pairs.jsonl")
        self.desk._asked("data.sync")
        self.step = None
        return Synced(2, 1, 1_800_000)

    def moving(self) -> Moving | None:
        return self.step

    def stop_sync(self) -> None:
        self.desk.calls.append(("data.stop_sync",))
