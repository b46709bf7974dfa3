"""Files left for the operator: whole or not at all, and nothing of a dead app for ever."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import EnvironmentProblem
from tui import kept

WRITES = """
import sys
from tui import kept
with kept.growing("notes", "theirs", "md", "the note") as file:
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QA_STATE", str(tmp_path))
    return tmp_path / "notes"


def _keep(stem: str = "mine") -> Path:
    return kept.keep("notes", stem, "md", "said", "the note")


@pytest.mark.parametrize(
    ("code", "try_next"),
    [
        (errno.EPERM, "can be written"),
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
    ],
)
def test_a_name_that_cannot_be_given_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, try_next: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(EnvironmentProblem) as e:
        _keep()
    assert "the note could not be written" in e.value.what
    assert os.strerror(code) in (e.value.why or "") and try_next in (e.value.try_next or "")
    assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_nothing(folder: Path) -> None:
    with pytest.raises(EnvironmentProblem) as e, kept.growing("notes", "n", "md", "the note") as f:
        f.out.close()
        f.out = open("/dev/full", "w")  # noqa: SIM115
        f.out.write("x")
        f.out.flush()
    assert "free some space" in (e.value.try_next or "")
    assert list(folder.iterdir()) == []


def test_what_a_killed_app_left_goes_but_not_what_is_being_written(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as app:
        assert app.stdout is not None and app.stdout.readline() == "ready\n"
        (theirs,) = folder.iterdir()
        _keep()
        assert theirs.exists()
        app.kill()
        app.wait(30)
        _keep()
    assert sorted(p.name for p in folder.iterdir()) == ["mine-2.md", "mine.md"]
