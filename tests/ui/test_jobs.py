"""The jobs as an operator manages them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from core.errors import NotFound
from core.jobdir import JobSpec
from tests.openssh import OpenSSHPair
from tests.remote.conftest import end_jobs
from tests.ui.conftest import NARROW, press, running, shown, told, until
from tests.ui.fakes import FakeDesk
from tui.app import ControlCentre
from tui.desk.api_work import Artifact, Why
from tui.desk.work_desk import flat, tail
from tui.desk.workbench import Workbench
from tui.present.jobs import _ended, _from_work_folder
from tui.screens.jobs import JobsScreen
from tui.widgets.confirm import Choose, Confirm
from tui.widgets.log.view import LogView
from tui.widgets.pull_table import PullTable

RUNNING, FAILED = "train-20261122-141530-3f9a", "train-20261121-090000-01aa"


async def choose(app: ControlCentre, pilot: Pilot[Any], job_id: str) -> None:
    assert isinstance(app.screen, JobsScreen)
    app.screen.show_job(job_id)
    screen = app.screen
    await until(pilot, lambda: screen.job is not None and screen._shown == job_id)


async def test_running_first_then_the_ended_with_the_log_beside(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "4")
        screen = shown(app)
        assert screen.index(RUNNING) < screen.index("eval-20261122")
        assert app.screen.query_one(PullTable).chosen == RUNNING
        await until(pilot, lambda: app.screen.query_one(LogView).lines > 0)


async def test_a_known_failure_is_explained_and_leads_to_its_line(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "4")
        await press(pilot, "w")
        assert "nothing known was found" in told(app)
        await choose(app, pilot, FAILED)
        await until(pilot, lambda: "The GPU ran out of memory." in shown(app))
        assert "Halve train.batch_size" in shown(app)
        (desk.root / FAILED / "output.log").write_text("a\nb\nc\nCUDA out of memory\nd\n")
        await until(pilot, lambda: app.screen.query_one(LogView).lines >= 4)
        await press(pilot, "w")
        await until(pilot, lambda: app.screen.query_one(LogView).cursor == 3)


async def test_stop_is_asked_and_resume_is_for_the_ended(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "4", "u")
        assert "x stops it first" in told(app)
        await press(pilot, "x")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await press(pilot, "y")
        await until(pilot, lambda: ("stop_job", RUNNING) in desk.calls)
        await until(pilot, lambda: "stopped" in shown(app))
        await choose(app, pilot, FAILED)
        await press(pilot, "u")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await press(pilot, "y")
        await until(pilot, lambda: ("work.resume", FAILED) in desk.calls)


async def test_removing_says_what_goes_and_what_stays(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, desk):
        await press(pilot, "4")
        await choose(app, pilot, FAILED)
        await press(pilot, "d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Its folder on the host goes" in shown(app)
        await press(pilot, "y")
        await until(pilot, lambda: "folder on the host is removed" in told(app))
        await until(pilot, lambda: FAILED not in shown(app))
        assert ("work.remove", FAILED) in desk.calls


async def test_the_list_is_sorted_filtered_and_shows_the_columns_that_are_wanted(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, _):
        await press(pilot, "4")
        table = app.screen.query_one(PullTable)
        await until(pilot, lambda: table.total == 4)
        await press(pilot, "s")
        await until(pilot, lambda: "by job" in table.state)
        assert table.chosen == RUNNING, "the cursor stays on its job"
        await press(pilot, "slash", *"FAILED", "enter")
        await until(pilot, lambda: table.total == 1 and table.chosen == FAILED)
        await until(pilot, lambda: app.screen.job is not None and app.screen.job.id == FAILED)
        await press(pilot, "escape")
        await until(pilot, lambda: table.total == 4)
        await press(pilot, "c", "j", "space", "escape")
        assert "state" in table.rows.hidden


async def test_marked_jobs_that_have_ended_are_removed_with_one_question(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        remove = desk.work.remove

        def refuse_one(job_id: str) -> tuple[str, ...]:
            if job_id == FAILED:
                raise NotFound("its folder cannot be removed")
            return remove(job_id)

        desk.work.remove = refuse_one  # type: ignore[method-assign]
        await press(pilot, "4")
        table = app.screen.query_one(PullTable)
        await until(pilot, lambda: table.total == 4)
        await press(pilot, "space")
        assert table.marks == (RUNNING,)
        await press(pilot, "d")
        assert "none of the marked jobs has ended" in told(app)
        await press(pilot, "space", "space", "space", "d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Remove 3 jobs?" in shown(app) and FAILED in shown(app)
        assert "1 marked that have not ended stay" in shown(app)
        await press(pilot, "y")
        await until(pilot, lambda: len(desk.rows) == 2)
        await until(pilot, lambda: f"{FAILED}: its folder cannot be removed" in told(app))
        await until(pilot, lambda: set(table.marks) == {RUNNING, FAILED})
        assert table.total == 2 and set(desk.rows) == {RUNNING, FAILED}


async def test_marked_jobs_that_run_are_stopped_with_one_question(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.rows[FAILED] = replace(desk.rows[FAILED], status="queued", ended_at=None)
        await press(pilot, "4")
        table = app.screen.query_one(PullTable)
        await until(pilot, lambda: table.total == 4)
        table.mark(RUNNING)
        table.mark(FAILED)
        await press(pilot, "G")  # on one that has ended
        assert table.chosen not in (RUNNING, FAILED)
        await press(pilot, "x")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Stop 2 jobs?" in shown(app) and RUNNING in shown(app) and FAILED in shown(app)
        await press(pilot, "y")
        await until(
            pilot,
            lambda: (
                {c for c in desk.calls if c[0] == "stop_job"}
                == {("stop_job", RUNNING), ("stop_job", FAILED)}
            ),
        )


async def test_none_of_the_marked_runs_so_none_is_stopped(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "4")
        table = app.screen.query_one(PullTable)
        await until(pilot, lambda: table.total == 4)
        table.mark(FAILED)
        await press(pilot, "g", "x")  # the cursor is on the one that runs
        assert "all of the marked jobs have ended" in told(app)
        assert not isinstance(app.screen, Confirm)
        assert not [c for c in desk.calls if c[0] == "stop_job"]


async def test_the_job_under_the_cursor_stays_when_another_starts(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "4")
        table = app.screen.query_one(PullTable)
        table.go_to_key(FAILED)
        await until(pilot, lambda: table.chosen == FAILED)
        desk._new("train", "another")
        app.screen.reload()
        await until(pilot, lambda: table.total == 5)
        assert table.chosen == FAILED


async def test_artifacts_are_listed_and_one_is_fetched(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "4", "a")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert "109.1 MB" in shown(app)
        await press(pilot, "enter")
        name = "adapter/adapter_model.safetensors"
        await until(pilot, lambda: ("work.fetch", RUNNING, name) in desk.calls)
        await until(pilot, lambda: "it is here" in told(app))


async def test_two_logs_are_merged(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        for name, line in ((RUNNING, "12:00:01 one"), (FAILED, "12:00:00 other")):
            (desk.root / name / "output.log").write_text(line + "\n")
        await press(pilot, "4", "b")
        assert "◆" in shown(app)
        await choose(app, pilot, FAILED)
        await press(pilot, "b")
        log = app.screen.query_one(LogView)
        await until(pilot, lambda: log.lines == 2)
        assert log.has_focus_within


async def test_a_narrow_screen_zooms_to_the_log_and_back(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, _):
        await press(pilot, "4")
        assert not app.screen.query_one("#log-pane").display
        await press(pilot, "enter")
        assert app.screen.query_one("#log-pane").display
        await press(pilot, "escape")
        assert not app.screen.query_one("#log-pane").display
        assert app.screen.query_one(PullTable).has_focus_within


async def test_without_a_link_the_last_known_is_said_to_be_so(tmp_path: Path) -> None:
    async with running(tmp_path, "lost") as (app, pilot, desk):
        await press(pilot, "4")
        assert "as last known: no link" in shown(app)
        await press(pilot, "x")
        assert "the link is lost" in told(app) and ("stop_job", RUNNING) not in desk.calls


async def test_no_job_says_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path, "empty") as (app, pilot, _):
        await press(pilot, "4")
        assert "No job yet" in shown(app)


async def test_hostile_words_are_text(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07[bold red]x[/]\u202e\x00" * 40
    desk = FakeDesk(tmp_path / "jobs")
    desk.rows[FAILED] = replace(desk.rows[FAILED], reason=evil, note=evil, seam=evil)
    desk.work.left = (Artifact(evil, 3, False),)
    about = desk.work.about
    desk.work.about = lambda job_id: replace(  # type: ignore[method-assign]
        about(job_id), requested_by=evil, settings=((evil, evil),), why=Why(evil, evil, evil, 0)
    )
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "4")
        await choose(app, pilot, FAILED)
        await until(pilot, lambda: "[bold red]x[/]" in shown(app))
        await press(pilot, "a")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert not any(c in shown(app) for c in "\x1b\x07\x00\u202e")


# -- the real desk


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with OpenSSHPair(tmp_path / "pair") as pair:
        bench = Workbench("gh200")
        bench.line._host = pair.host
        yield bench
        bench.close()
        end_jobs(Path(pair.host.workdir))


def test_a_failed_job_on_a_real_host(bench: Workbench) -> None:
    script = (
        "import pathlib; p = pathlib.Path('artifacts'); p.mkdir(exist_ok=True); "
        "(p / 'half.bin').write_bytes(b'x' * 5000); print('loading'); "
        "raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')"
    )
    spec = JobSpec("test-oom", "test", [sys.executable, "-I", "-S", "-c", script], {"lr": {"a": 1}})
    bench.connect()
    bench.line.launcher().start(spec)
    bench.following.follow(spec.id).done.wait(60)
    (row,) = bench.work.listed().rows
    assert (row.id, row.status) == ("test-oom", "failed")
    about = bench.work.about(spec.id)
    assert about.settings == (("lr.a", "1"),) and about.why is not None
    assert "ran out of memory" in about.why.what and about.why.number is not None
    assert "CUDA out of memory" in about.log.read_text().split("\n")[about.why.number]
    assert bench.work.artifacts(spec.id) == (Artifact("half.bin", 5000, False),)
    assert bench.work.fetch(spec.id, "half.bin").read_bytes() == b"x" * 5000
    assert bench.work.artifacts(spec.id) == (Artifact("half.bin", 5000, True),)
    again = bench.work.rerun(spec.id)
    assert again != spec.id and len(bench.work.listed().rows) == 2
    bench.following.follow(again).done.wait(60)
    assert any("removed" in line for line in bench.work.remove(again))
    with pytest.raises(NotFound):
        bench.work.artifacts("no-such-job")
    assert time.time() > (row.started_at or 0)


def test_the_tail_knows_its_line_numbers(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text("".join(f"line {n}\n" for n in range(200_000)))
    lines, first = tail(log)
    assert first is not None and lines[-2] == "line 199999"
    whole = [n for n, line in enumerate(lines) if line == "line 199000"]
    assert [first + n for n in whole] == [199_000]
    assert tail(tmp_path / "no.log") == ([], None)


@given(st.floats(0, 86_400 * 900))
def test_when_a_job_ended_has_room_beside_its_whole_id(seconds: float) -> None:
    assert _ended(seconds).endswith(" ago") and len(_ended(seconds)) <= 9


def test_when_a_job_ended() -> None:
    said = [_ended(s) for s in (0, 29, 31, 48 * 60, 5939, 5941, 7300, 100_000, 200_000)]
    assert said == ["0 m ago", "0 m ago", "1 m ago", "48 m ago", "99 m ago", "2 h ago", "2 h ago",
                    "28 h ago", "2 d ago"]  # fmt: skip


def test_paths_of_the_host_begin_at_its_work_folder() -> None:
    for path, said in (
        ("/scratch/ann/qa/data/a.jsonl, /scratch/w/data/b.jsonl", "…/data/a.jsonl, …/data/b.jsonl"),
        ("/scratch/w/jobs/train-1/artifacts/adapter", "…/jobs/train-1/artifacts/adapter"),
        ("https://host/data/x", "https://host/data/x"),
        ("/etc/passwd", "/etc/passwd"),
    ):
        assert _from_work_folder(path) == said


def test_nested_settings_get_dotted_names() -> None:
    given = {"a": {"b": 1, "c": {}}, "d": None, "e": ["x", 2], "f": [], "on": False, "none": 0,
             "gates": [{"name": "accuracy", "at_least": 0.95}, {"at_most": 1}, "odd"],
             "lint": [{"rule": "L7"}, {"rule": "L7"}]}  # fmt: skip
    assert list(flat(given)) == [
        ("a.b", "1"), ("e", "x, 2"), ("on", "False"), ("none", "0"), ("gates.accuracy.name", "accuracy"),
        ("gates.accuracy.at_least", "0.95"), ("gates.2.at_most", "1"), ("gates.3", "odd"),
        ("lint.L7.rule", "L7"), ("lint.L7.2.rule", "L7"),
    ]  # fmt: skip
