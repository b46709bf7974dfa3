"""Questions put into a golden file: checked first, whole or not at all, other lines untouched."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import DiskFull, NotFound
from core.evaluation.golden import GoldenFileError, load_golden
from core.evaluation.golden.editing import merge, next_id, remove
from core.evaluation.golden.sets import Mount
from core.evaluation.golden.tables import RawRow
from core.locations import project_root
from tests.evaluation.parts import live, question, write_rows

ITEM = question([["256 GB"]], id="spec-009").as_row()
NEW = {k: v for k, v in ITEM.items() if k != "id"} | {"question": "Anything else?"}


def raw(*rows: dict[str, Any]) -> list[RawRow]:
    return [RawRow("new.jsonl", n, r) for n, r in enumerate(rows, start=1)]


def test_a_new_question_gets_the_next_free_id_and_other_lines_keep_their_bytes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "g.jsonl"
    before = b"\xef\xbb\xbf" + json.dumps(ITEM | {"by": "me"}, indent=None).encode() + b"   \r\n\n"
    path.write_bytes(before)
    other = write_rows(tmp_path / "other.jsonl", [ITEM | {"id": "spec-041", "question": "Other?"}])
    done = merge(path, raw(NEW | {"note": 1}), others=[Mount(other)])
    assert done.new == ("spec-042",) and not done.faults
    data = path.read_bytes()
    assert data.startswith(before) and data.endswith(b"\n")
    assert json.loads(data[len(before) :]) == {"id": "spec-042", **NEW, "note": 1}
    assert [q.id for q in load_golden(path)] == ["spec-009", "spec-042"]


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    path = tmp_path / "team.jsonl"
    assert merge(path, raw(NEW, live().as_row())).new == ("spec-001", "d1")
    assert [q.id for q in load_golden(path)] == ["spec-001", "d1"]
    with pytest.raises(GoldenFileError, match="folder cannot be opened"):
        merge(tmp_path / "none" / "x.jsonl", raw(NEW))


def test_a_last_line_without_its_end_is_not_glued_to(tmp_path: Path) -> None:
    path = tmp_path / "g.jsonl"
    path.write_text(json.dumps(ITEM))
    merge(path, raw(NEW))
    assert [q.id for q in load_golden(path)] == ["spec-009", "spec-010"]


def test_mode_and_link_are_kept(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM])
    path.chmod(0o640)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    merge(link, raw(NEW))
    assert link.is_symlink() and len(load_golden(path)) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_same_row_again_is_no_change(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM])
    before = path.read_bytes()
    done = merge(path, raw(ITEM))
    assert (done.new, done.changed, done.same, done.faults) == ((), (), ("spec-009",), ())
    assert path.read_bytes() == before


def test_an_old_question_is_replaced_only_if_asked(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM, live().as_row()])
    edited = ITEM | {"expected_answer": "256 GB, of course."}
    done = merge(path, raw(edited))
    assert [(f.line, f.field) for f in done.faults] == [(1, "id")] and "--replace" in (
        done.faults[0].try_next
    )
    assert load_golden(path)[0].expected_answer == ITEM["expected_answer"]
    assert merge(path, raw(edited), replace=True).changed == ("spec-009",)
    assert [q.id for q in load_golden(path)] == ["spec-009", "d1"]
    assert load_golden(path)[0].expected_answer == "256 GB, of course."


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        ({k: v for k, v in NEW.items() if k != "category"}, "category", "missing"),
        (NEW | {"category": "resourcespecs"}, "category", "not known"),
        (NEW | {"id": ""}, "id", "empty"),
        (NEW | {"id": None}, "id", "not a text"),
        (NEW | {"id": "far-1"}, "id", "already an id of"),
        (
            NEW | {"question": "how much memory does a cpu node of DELTA have"},
            "question",
            "spec-009",
        ),
        (NEW | {"question": "Is Anvil up, perhaps?"}, "question", "far-1"),
        (NEW | {"key_facts": [{"type": "number", "value": 1}]}, "key_facts[0].unit", "missing"),
    ],
)
def test_a_wrong_row_changes_nothing(
    tmp_path: Path, row: dict[str, Any], field: str, says: str
) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM])
    far = live("far-1").as_row() | {"question": "Is Anvil up, perhaps?"}
    other = write_rows(tmp_path / "other.jsonl", [far])
    before = path.read_bytes()
    good = NEW | {"question": "A good one?"}
    done = merge(path, raw(good, row), others=[Mount(other)])
    (fault,) = done.faults
    assert (fault.file, fault.line, fault.field) == ("new.jsonl", 2, field)
    assert says in fault.what and fault.try_next
    assert path.read_bytes() == before
    assert done.good == ({**good, "id": "spec-010"},)
    assert merge(path, raw(good, row), others=[Mount(other)], skip_bad=True).new == ("spec-010",)
    assert len(load_golden(path)) == 2


def test_an_id_given_twice_in_one_import(tmp_path: Path) -> None:
    path = tmp_path / "g.jsonl"
    done = merge(path, raw(NEW | {"id": "a"}, NEW | {"id": "a", "question": "Other?"}))
    assert [(f.line, f.field) for f in done.faults] == [(2, "id")] and not path.exists()


def test_a_faulty_file_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "g.jsonl"
    path.write_text("{\n")
    with pytest.raises(GoldenFileError) as caught:
        merge(path, raw(NEW))
    assert caught.value.line == 1 and path.read_text() == "{\n"


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "g.jsonl"
    assert merge(path, raw(NEW), dry_run=True).new == ("spec-001",)
    assert not path.exists()


def test_a_full_disk_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM])
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        merge(path, raw(NEW))
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["g.jsonl"]


def test_editors_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM])
    code = (
        "import sys, json; from pathlib import Path\n"
        "from core.evaluation.golden.editing import merge\n"
        "from core.evaluation.golden.tables import RawRow\n"
        "row = json.loads(sys.argv[2])\n"
        "for n in range(6):\n"
        "    row['question'] = f'Question {n} of {sys.argv[3]}?'\n"
        "    merge(Path(sys.argv[1]), [RawRow('x', 1, row)])\n"
    )
    editors = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), json.dumps(NEW), who], cwd=project_root()
        )
        for who in ("me", "you", "her")
    ]
    assert [e.wait(60) for e in editors] == [0, 0, 0]
    found = load_golden(path)
    assert len(found) == 19
    assert sorted(q.id for q in found) == [f"spec-{n:03d}" for n in range(9, 28)]


def test_remove(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM, live().as_row()])
    kept = path.read_bytes().split(b"\n", 1)[1]
    assert remove(path, "spec-009").id == "spec-009"
    assert path.read_bytes() == kept
    with pytest.raises(NotFound):
        remove(path, "spec-009")


def test_ids_follow_the_file_s_own_pattern() -> None:
    def ids(*names: str, **more: Any) -> list[Any]:
        return [question([["x"]], id=n, **more) for n in names]

    assert next_id([], "software") == "soft-001"
    assert next_id([], "edge_cases", canary=True) == "can-001"
    assert next_id(ids("q7", "q12"), "resource_specs") == "q13"
    assert next_id(ids("spec-0999"), "resource_specs") == "spec-1000"
    assert next_id(ids("no number here"), "resource_specs") == "spec-001"
    assert next_id(ids("soft-004"), "software") == "soft-005"  # though of another category
