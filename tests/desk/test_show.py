"""What a command prints: aligned, cleaned, and numbers a person can read."""

from __future__ import annotations

import pytest

from tui.cli import show


def test_a_table_is_aligned_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(["what", "share"], [["a\x1b[2Jb", 0.058823529], [None, 1]])
    out = capsys.readouterr().out
    assert out == "what  share\nab    0.0588\n–     1\n"


def test_json_takes_our_own_values(capsys: pytest.CaptureFixture[str]) -> None:
    from tui.desk.api import Hop

    show.as_json([Hop("jump", None)])
    assert '"rtt_ms": null' in capsys.readouterr().out
