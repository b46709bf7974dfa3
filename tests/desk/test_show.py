"""What a command prints: aligned, cleaned, and numbers a person can read."""

from __future__ import annotations

import pytest

from tui.cli import show


def test_a_table_is_aligned_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(["what", "share"], [["a\x1b[2Jb", 0.058823529], [None, 1]])
    out = capsys.readouterr().out
    assert out == "what  share\nab    0.0588\n–     1\n"


def test_a_table_folds_on_a_terminal_and_never_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    reason = "lost at 14:02 UTC, the host was rebooted and nobody saw the end"
    narrow = [["job-1", "lost", reason]]
    show.table(["job", "status", "note"], narrow)
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    show.table(["job", "status", "note"], narrow)
    out = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 60 for line in out) and len(out) == 3
    assert out[2].startswith(" " * 15) and reason == f"{out[1][15:]} {out[2].strip()}"
    show.table(["job", "status", "note"], [["j" * 30, "lost", reason]])
    out = capsys.readouterr().out.splitlines()
    assert out[1].endswith("lost") and out[2].startswith("    lost at")
    assert all(len(line) <= 60 for line in out)


def test_json_takes_our_own_values(capsys: pytest.CaptureFixture[str]) -> None:
    from tui.desk.api import Hop

    show.as_json([Hop("jump", None)])
    assert '"rtt_ms": null' in capsys.readouterr().out


HOSTILE = "CUDA error\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202eevil"


def test_an_error_that_quotes_a_host_is_harmless(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import JobFailed
    from tui.cli import root

    def fail(**_: object) -> None:
        raise JobFailed("the job failed", why=f"{HOSTILE}\nsecond line", try_next="read the log")

    monkeypatch.setattr(root, "app", fail)
    assert root.run(["pilot"]) == 4
    err = capsys.readouterr().err
    assert "CUDA error" in err and "second line" in err and "try: read the log" in err
    assert not set(err) & set("\x1b\x07\x9b\u202e")


def test_json_and_lines_are_harmless_and_json_stays_exact(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import json

    show.as_json({"answer": HOSTILE})
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\x07\x9b\u202e")
    assert json.loads(out) == {"answer": HOSTILE}
    show.out(HOSTILE)
    assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b\u202e")
