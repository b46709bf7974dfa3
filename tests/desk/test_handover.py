"""The handover note: from a real registry, by command, and as Markdown that hostile names cannot bend."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import UsageError
from core.registry import checklist, open_registry, sources
from tests.ui.fakes import NOW, FakeDesk
from tui import handover
from tui.cli.handover import _since
from tui.cli.root import run
from tui.desk.api import JobRow, Link
from tui.handover import Change, Shift
from tui.notices import Notice


def shift(**more: object) -> Shift:
    empty = Shift(NOW, NOW - 3600, "jsmith", "gh200", Link("off"), {})
    return replace(empty, **more)  # type: ignore[arg-type]


def section(note: str, title: str) -> list[str]:
    found = re.search(rf"^## {title}\n(.*?)(?:\n\n|\Z)", note, re.S | re.M)
    assert found is not None, note
    return found[1].strip().split("\n")


def test_an_empty_desk_says_so() -> None:
    note = handover.note(shift())
    assert section(note, "Live") == ["- no version is live"]
    assert section(note, "What ran") == ["- no job"]
    assert section(note, "What changed") == ["- nothing was decided"]
    assert section(note, "What is open") == ["- nothing"]
    assert "Host gh200: not connected." in note


def test_jobs_of_the_shift_and_none_before_it() -> None:
    old = JobRow("train-old", "train", "h", "succeeded", 0, NOW - 9000, NOW - 8000, 0)
    across = JobRow("train-across", "train", "h", "failed", 0, NOW - 9000, NOW - 60, 1, "disk full")
    active = JobRow("train-now", "train", "h", "running", 0, NOW - 9000, progress=0.5, eta_s=60)
    waits = JobRow("eval-q", "eval", "h", "queued", NOW - 5, waiting_for="train-now")
    note = handover.note(shift(jobs=[old, across, active, waits]))
    ran = section(note, "What ran")
    assert "train-old" not in note and len(ran) == 3
    assert any("train-across (train): failed, exit 1, disk full" in r for r in ran)
    assert section(note, "What is open") == [
        "- job train-now is running on h, 50 %, 1:00 left",
        "- job eval-q is queued on h, behind train-now",
    ]


def test_what_is_open_names_gates_sources_and_items(tmp_path: Path) -> None:
    note = handover.note(FakeDesk(tmp_path / "jobs").handover())
    left = "\n".join(section(note, "What is open"))
    assert "access-qa-v1.0.0: Answer accuracy (≥ 95 %): FAIL" in left
    assert "2 unknown sources: compute-resources:delta9.example.org (17 ×)" in left
    assert "pilot: 10 of 16 items done, next: Run full training (3 epochs)" in left
    assert "failed: job exit 1: CUDA out of memory" in left


def test_hostile_names_stay_one_line_of_text() -> None:
    evil = "x](http://e) **b** <img>\n# heading\n- item \x1b[31m"
    note = handover.note(
        shift(changes=[Change("2026-11-22T11:02:00Z", evil, evil, evil, evil)]),
        problems=[Notice(NOW, "error", evil, evil)],
    )
    assert "\x1b" not in note and "\n# heading" not in note and "\n- item" not in note
    assert "](http" not in note.replace("\\]", "") and "<img" not in note.replace("\\<", "")


def test_a_long_list_ends_with_how_many_more() -> None:
    many = [Change("2026-11-22T11:02:00Z", "a", "alias", str(n)) for n in range(100)]
    rows = section(handover.note(shift(changes=many)), "What changed")
    assert len(rows) == handover.MOST + 1 and rows[-1] == "- … and 60 more"


def test_the_command_tells_of_a_real_registry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_registry() as reg:
        sources.note_unknown(reg, "software:gromax")
        checklist.decide(reg, "NO-GO", "the citations are invented")
    assert run(["handover"]) == 0
    note = capsys.readouterr().out
    assert any("NO-GO" in c or "decide" in c for c in section(note, "What changed"))
    assert "1 unknown source: software:gromax (1 ×)" in note
    out = tmp_path / "note.md"
    assert run(["handover", "--out", str(out), "--since", "8h"]) == 0
    assert section(out.read_text(), "What is open") == section(note, "What is open")
    capsys.readouterr()
    assert run(["handover", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["host"] == "sandbox"
    assert run(["handover", "--since", "yesterday-ish"]) == 2


def test_since_is_an_age_or_a_moment() -> None:
    now = time.time()
    for text, age in (("8h", 28_800), ("2d", 172_800), ("30min", 1800)):
        assert abs(now - age - _since(text)) < 5
    assert _since("2026-01-14T09:00Z") == 1_768_381_200
    with pytest.raises(UsageError):
        _since("8 weeks")


def test_notes_are_kept_beside_each_other() -> None:
    assert handover.last_written() is None
    paths = {handover.keep(f"note {n}", NOW) for n in range(3)}
    assert len(paths) == 3 and handover.last_written() is not None
