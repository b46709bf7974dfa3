"""What an operator gets for bad input on the command line: what, why, what to try, and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import locations
from tests.e2e.conftest import Qa

BAD_ROWS = Path(__file__).parents[1] / "core" / "data" / "bad_rows.jsonl"


def test_faulty_rows_are_listed_and_kept_aside(qa: Qa, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    done = qa("pairs", "check", str(BAD_ROWS), "--rejects", str(rejects), "--json")
    assert done.returncode == 2
    (report,) = json.loads(done.stdout)
    assert report["rows"] == 25 and report["good"] == 2
    assert {"line", "field", "reason"} <= report["problems"][0].keys()
    assert len(rejects.read_bytes().splitlines()) >= 23


def test_a_broken_recipe_names_file_line_key_and_the_nearest_key(qa: Qa, tmp_path: Path) -> None:
    good = (locations.configs() / "recipes" / "tiny.yaml").read_text("utf-8")
    broken = tmp_path / "broken.yaml"
    broken.write_text(good.replace("epochs:", "epoch:", 1), "utf-8")
    line = 1 + next(n for n, t in enumerate(broken.read_text().splitlines()) if "epoch:" in t)
    done = qa("recipe", "show", str(broken))
    assert done.returncode == 2
    assert f"broken.yaml:{line}" in done.stderr and "'epochs'" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pilot", "--host", "nowhere"], 2, "nowhere"),
        (["versions", "show", "access-qa-v9.9.9"], 2, "no version"),
        (["versions", "promote", "access-qa-v9.9.9", "--to", "production"], 5, "not confirmed"),
        (["versions", "rollback", "--in", "production", "--reason", "test"], 5, "production"),
        (["logs", "no-such-job"], 2, "no-such-job"),
        (["logs", "../../etc"], 2, "no job"),
        (["checklist", "run", "no-such-item"], 2, "no check"),
        (["golden", "check", "/nonexistent.jsonl"], 2, "nonexistent"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_wrong_words_get_a_sentence_and_a_code(
    qa: Qa, words: list[str], code: int, said: str
) -> None:
    done = qa(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not done.stdout.strip()


def test_a_newer_registry_is_refused_and_left_alone(qa: Qa, tmp_path: Path) -> None:
    assert qa("versions", "list").returncode == 0
    import sqlite3

    with sqlite3.connect(tmp_path / "registry.db") as db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " SELECT migration_set, 'm999_future', applied_at FROM _sqlite_migrations LIMIT 1"
        )
    done = qa("versions", "list")
    assert done.returncode == 5 and "newer" in done.stderr


@pytest.mark.slow
@pytest.mark.xdist_group("pilot")
def test_a_killed_training_is_recorded_with_its_signal_and_log(
    qa: Qa, desk_env: dict[str, str], tmp_path: Path
) -> None:
    assert qa("checklist", "run", "data-loader", "--recipe", "tiny").returncode == 0
    desk = subprocess.Popen(
        [sys.executable, "-m", "tui.cli", "checklist", "run", "first-training", "--recipe", "tiny"],
        env=desk_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    jobs = tmp_path / "state" / "sandbox" / "host" / "work" / "jobs"
    deadline = time.monotonic() + 120
    pid = None
    while pid is None:
        assert time.monotonic() < deadline
        states = [json.loads(p.read_text()) for p in jobs.glob("train-*/state.json")]
        pid = next((s["pid"] for s in states if s["status"] == "running"), None)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    out, _ = desk.communicate(timeout=120)
    assert desk.returncode == 4 and out.startswith("fail:")
    (job,) = json.loads(qa("jobs", "list", "--offline", "--json").stdout)
    assert job["status"] == "failed" and "SIGKILL" in job["reason"]
    items = {i["id"]: i for i in json.loads(qa("checklist", "list", "--json").stdout)}
    assert items["first-training"]["state"] == "failed"
