"""kill -9 between any two statements of any write: the state before or the state after, nothing else."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.jobdir import JobSpec, JobState
from core.registry import (
    Registry,
    audit,
    checklist,
    evaluations,
    jobs,
    observations,
    open_registry,
    points,
    snapshots,
    sources,
    versions,
)
from core.registry.copying import OtherWriter, copy_file, take_over
from core.snapshots import freeze
from tests.core.conftest import make_pair, make_scores
from tests.core.faults.harness import Act, State, fresh, killed_at, prepare, rows_of, state_of

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

PAIRS = [make_pair(n) for n in range(100, 110)]


def acts(names: list[str], folder: Path) -> dict[str, Act]:
    events = folder / "events.jsonl"
    metric = {"kind": "metric", "loss": 1.5, "t": 2.0}
    events.write_text("".join(json.dumps({**metric, "step": n}) + "\n" for n in range(5)))
    rows = [{"source_id": f"doc:{n}"} for n in range(3)] + [{"source_id": "doc:unknown"}]
    done = JobState("succeeded", exit_code=0)
    third = names[2]
    return {
        "register": lambda r: versions.register(
            r, base_model="b", dataset_version=versions.list(r)[0].dataset_version,
            training_config={"x": 1}),
        "evaluated": lambda r: evaluations.save(r, third, make_scores("NO-GO"), "again"),
        "promote": lambda r: versions.promote(r, third, "production", "x", "x", "GO"),
        "rollback": lambda r: versions.rollback(r, "staging", "x", "x"),
        "quarantine": lambda r: versions.quarantine(r, third, "x", "suspect"),
        "archive": lambda r: versions.archive(r, third, "x", "old"),
        "freeze": lambda r: snapshots.save(r, freeze(PAIRS, created_at="2026-01-01"), PAIRS),
        "sources": lambda r: sources.upsert_many(r, rows, why="import"),
        "evidence": lambda r: checklist.add_evidence(r, checklist.items(r)[1].id, "warn", "look"),
        "decide": lambda r: checklist.decide(r, "GO", "the pilot is good"),
        "unknown": lambda r: sources.note_unknown(r, "doc:unknown", example="more"),
        "unknown, new": lambda r: sources.note_unknown(r, "doc:newer", occurrences=4),
        "job": lambda r: jobs.record(r, JobSpec("train-2", "train", []), "gh200"),
        "job state": lambda r: jobs.update(r, "train-1", done),
        "points": lambda r: points.add(r, "train-1", [("loss", n, n / 3) for n in range(9)]),
        "events": lambda r: points.take_events(r, "train-1", events),
    }  # fmt: skip


NAMES = [
    "register", "evaluated", "promote", "rollback", "quarantine", "archive", "freeze", "sources",
    "evidence", "decide", "unknown", "unknown, new", "job", "job state", "points", "events",
]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    path = tmp_path_factory.mktemp("prepared") / "registry.db"
    return path, prepare(path)


@pytest.mark.parametrize("what", NAMES)
def test_killed_between_any_two_statements(
    prepared: tuple[Path, list[str]], tmp_path: Path, what: str
) -> None:
    path, names = prepared
    act = acts(names, tmp_path)[what]
    before = state_of(path)
    done = fresh(path, tmp_path / "done.db")
    with open_registry(done, operator="tester") as reg:
        act(reg)
    after = state_of(done)
    assert after != before
    here = tmp_path / "registry.db"
    statement, landed = 0, set()
    while killed_at(statement := statement + 1, fresh(path, here), act):
        found = state_of(here)
        assert found in (before, after), f"half-done at statement {statement}"
        landed.add("after" if found == after else "before")
        assert statement < 400
    assert state_of(here) == after and "before" in landed and statement > 3
    # and it goes on from wherever it was killed
    killed_at(statement // 2, fresh(path, here), act)
    with open_registry(here, operator="tester") as reg:
        act(reg)
    assert state_of(here) == after


def test_killed_on_first_use(tmp_path: Path) -> None:
    """Making the file, its tables and its first rows."""
    path = tmp_path / "new" / "registry.db"
    wanted = tmp_path / "wanted.db"
    open_registry(wanted, operator="tester").close()
    after = _without_replica(wanted)
    for statement in itertools.count(1, 37):
        killed = _killed_while_opening(statement, path)
        open_registry(path, operator="tester").close()
        assert _without_replica(path) == after
        shutil.rmtree(path.parent)
        if not killed:
            break
    assert statement > 100


def _without_replica(path: Path) -> State:
    """All but the number that every new registry makes up for itself."""
    return {name: rows for name, rows in state_of(path).items() if name != "replica"}


def _killed_while_opening(statement: int, path: Path) -> bool:
    pid = os.fork()
    if pid == 0:
        connect, count = sqlite3.connect, 0

        def trace(_sql: str) -> None:
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        def traced(*a: Any, **k: Any) -> sqlite3.Connection:
            conn = connect(*a, **k)
            conn.set_trace_callback(trace)
            return conn

        sqlite3.connect = traced  # type: ignore[assignment]
        try:
            open_registry(path, operator="tester")
            os._exit(0)
        except BaseException:
            os._exit(1)
    return _was_killed(pid)


def test_killed_while_taking_over(prepared: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Replacing the whole content in one transaction, killed after any number of pages."""
    path, names = prepared
    theirs = fresh(path, tmp_path / "theirs.db")
    with open_registry(theirs) as reg:
        versions.promote(reg, names[2], "production", "x", "theirs", "GO")
    content = copy_file(theirs, tmp_path / "content.db")
    before, after = state_of(path), state_of(theirs)
    here = tmp_path / "registry.db"
    landed = []
    for step in range(1, 200, 13):
        killed = _killed_while_taking_over(step, content, fresh(path, here))
        landed.append(state_of(here))
        assert landed[-1] == (before if killed else after)
        if not killed:
            break
    assert len(landed) > 3 and landed[-1] == after
    take_over(fresh(path, here), content, unchanged=lambda: True)
    assert state_of(here) == after


def _killed_while_taking_over(step: int, content: Path, here: Path) -> bool:
    """As `take_over` does it, but a page at a time."""
    count = 0

    def kill(_status: int, _remaining: int, _total: int) -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        try:
            sqlite3.connect(content).backup(sqlite3.connect(here), pages=1, progress=kill)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return _was_killed(pid)


def _was_killed(pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_nothing_is_taken_over_when_somebody_wrote(
    prepared: tuple[Path, list[str]], tmp_path: Path
) -> None:
    here = fresh(prepared[0], tmp_path / "registry.db")
    content = copy_file(here, tmp_path / "content.db")
    before = state_of(here)
    with open_registry(content) as reg:
        sources.upsert_many(reg, [{"source_id": "doc:theirs"}])
    with pytest.raises(OtherWriter):
        take_over(here, content, unchanged=lambda: False)
    assert state_of(here) == before
    blocked = []

    def ask() -> bool:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(here, timeout=0).execute("BEGIN IMMEDIATE")
        blocked.append(True)
        return True

    take_over(here, content, unchanged=ask)  # whoever asks is alone
    assert blocked == [True] and state_of(here) != before


def test_merging_is_whole_and_may_be_repeated(
    prepared: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path, _ = prepared
    other = fresh(path, tmp_path / "other.db")
    with open_registry(other) as reg:
        reg.execute("UPDATE replica SET id = 'other'")
        sources.note_unknown(reg, "doc:unknown", occurrences=3)
        sources.note_unknown(reg, "doc:x")
        jobs.record(reg, JobSpec("train-7", "train", []), "gh200")
        points.add(reg, "train-7", [("loss", 1, 0.5)])
    copy_file(other, tmp_path / "content.db")

    def act(reg: Registry) -> None:
        observations.merge(reg, tmp_path / "content.db")

    here = tmp_path / "registry.db"
    before = state_of(path)
    with open_registry(fresh(path, here)) as reg:
        for _ in range(3):
            act(reg)
        after, head = rows_of(reg), audit.mark(reg)
    assert state_of(here) == after != before
    with open_registry(path) as reg:
        assert audit.mark(reg) == head
    statement = 0
    while killed_at(statement := statement + 1, fresh(path, here), act):
        assert state_of(here) in (before, after)
    assert statement > 10 and state_of(here) == after
