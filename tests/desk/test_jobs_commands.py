"""`qa jobs` and `qa logs` as they are typed, against the embedded host."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.jobdir import JobSpec, new_job_id
from remote.launch import DirectLauncher
from tests.remote.conftest import end_jobs
from tests.remote.local import until
from tui.cli import root
from tui.desk.workbench import Workbench

Qa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def qa(capfd: pytest.CaptureFixture[str]) -> Qa:
    def run(*words: str) -> tuple[int, str, str]:
        code = root.run(words)
        return (code, *capfd.readouterr())

    return run


@pytest.fixture
def jobs() -> Iterator[dict[str, str]]:
    """On the sandbox: one that has ended and is mirrored, one that runs and is not known here."""
    bench = Workbench("sandbox")
    try:
        hostile = "printf 'a\\033]52;c;aGk=\\007b\\n\\0end'; exit 3"
        done = _spec(hostile, note="note [/x]\x1b[2J")
        bench.launching.submit(done)
        bench.following.wait(done.id, lambda text: None)
        runs = _spec("trap 'exit 75' TERM; echo up; while :; do sleep 0.05; done")
        DirectLauncher(bench.line.route()).start(runs)
        workdir = Path(bench.line.host().workdir)
        output = workdir / "jobs" / runs.id / "output.log"
        until(lambda: output.exists() and output.read_text() == "up\n")
        yield {"done": done.id, "runs": runs.id}
        end_jobs(workdir)
    finally:
        bench.close()


def _spec(script: str, **more: Any) -> JobSpec:
    command = ["/bin/sh", "-c", script]
    return JobSpec(new_job_id("test"), "test", command, host="sandbox", **more)


def test_list_and_logs_and_show(qa: Qa, jobs: dict[str, str]) -> None:
    code, out, err = qa("jobs", "list", "--json")
    rows = {row["id"]: row for row in json.loads(out)}
    assert code == 0 and set(rows) == set(jobs.values())
    assert rows[jobs["done"]]["exit_code"] == 3 and rows[jobs["done"]]["age_s"] is None
    assert rows[jobs["runs"]]["status"] == "running" and rows[jobs["runs"]]["age_s"] < 60
    code, out, err = qa("jobs", "list", "--offline")
    assert code == 0 and jobs["done"] in out and jobs["runs"] not in out and "\x1b" not in out
    code, out, err = qa("logs", jobs["done"])
    assert code == 0 and out.splitlines() == ["ab", "�end"]
    code, out, err = qa("logs", jobs["done"][-4:], "--since", "11")
    assert out.splitlines()[-1] == "�end" and len(out.splitlines()) == 2
    code, out, err = qa("jobs", "show", jobs["done"], "--json")
    shown = json.loads(out)
    assert shown["state"]["exit_code"] == 3 and shown["seams"] == []
    code, out, err = qa("logs", jobs["runs"], "--offline")
    assert code == 2 and "--follow" in err
    code, out, err = qa("logs", jobs["runs"])
    assert (code, out) == (0, "up\n"), "as far as it is on the host"


def test_stop_watch_and_follow(qa: Qa, jobs: dict[str, str]) -> None:
    code, out, _ = qa("jobs", "stop", jobs["runs"], "--json")
    assert code == 0 and json.loads(out)["state"]["status"] == "stopped"
    code, out, _ = qa("jobs", "watch", jobs["runs"], jobs["done"], "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 4
    assert {(r["job"], r["status"]) for r in records if r["kind"] == "state"} == {
        (jobs["runs"], "stopped"), (jobs["done"], "failed")}  # fmt: skip
    assert qa("jobs", "watch")[:2] == (0, "")  # nothing is active
    code, out, _ = qa("logs", jobs["runs"], "--follow")
    assert code == 0 and out.startswith("up\n")


def test_rm_asks_for_the_name_once_more(qa: Qa, jobs: dict[str, str]) -> None:
    code, out, err = qa("jobs", "rm", jobs["done"])
    assert code == 2 and f"--confirm {jobs['done']}" in err and out == ""
    code, out, err = qa("jobs", "rm", jobs["done"], "--confirm", jobs["runs"])
    assert code == 2
    code, out, err = qa("jobs", "rm", jobs["runs"], "--confirm", jobs["runs"])
    assert code == 4 and "stop it first" in err
    code, out, err = qa("jobs", "rm", jobs["done"][-4:], "--confirm", jobs["done"], "--here")
    assert code == 0 and "is removed from sandbox" in out
    assert qa("jobs", "list", "--json")[1].count('"id"') == 1


def test_rerun_and_resume(qa: Qa, jobs: dict[str, str]) -> None:
    code, out, err = qa("jobs", "rerun", jobs["done"], "--json")
    again = json.loads(out)["job"]
    assert code == 0 and again != jobs["done"]
    code, out, err = qa("logs", again, "--follow")
    assert out.splitlines() == ["ab", "�end"]
    code, out, err = qa("jobs", "resume", jobs["done"])
    assert code == 2 and "cannot be resumed" in err
    code, out, err = qa("jobs", "stop", "no-such-job")
    assert code == 2 and "no job" in err


def test_a_host_that_is_away_leaves_what_was_known(
    qa: Qa, jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import HostUnreachable
    from tui.desk.line import Line

    def away(self: Line) -> None:
        raise HostUnreachable("sandbox does not answer")

    monkeypatch.setattr(Line, "route", away)
    code, out, err = qa("jobs", "list", "--json")
    assert code == 3 and [row["id"] for row in json.loads(out)] == [jobs["done"]]
    assert "does not answer" in err and "known before" in err
