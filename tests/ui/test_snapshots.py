"""How every screen looks, at 80x24 and 120x40. Update with `--snapshot-update`, then look at them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import NARROW, WIDE, make_app, settle
from tests.ui.fakes import FakeDesk, State
from tui.screens.base import DeskScreen

LOOKS: tuple[tuple[str, State, tuple[str, ...]], ...] = (
    ("pilot", "up", ()),
    ("pilot-finished", "finished", ()),
    ("pilot-empty", "empty", ()),
    ("train", "up", ("3",)),
    ("train-lost", "lost", ("3",)),
    ("train-empty", "empty", ("3",)),
    ("train-start", "up", ("3", "s")),
    ("evaluate", "up", ("5",)),
    ("evaluate-categories", "up", ("5", "c")),
    ("evaluate-empty", "empty", ("5",)),
    ("versions", "up", ("6",)),
    ("versions-promote", "up", ("6", "j", "p")),
    ("versions-empty", "empty", ("6",)),
    ("sources", "up", ("7",)),
    ("sources-resolve", "up", ("7", "r")),
    ("sources-empty", "empty", ("7",)),
    ("data-files", "up", ("2",)),
    ("data-problem", "up", ("2", *"jjjjj")),
    ("data-snapshot", "up", ("2", *"jjj")),
    ("data-diff", "up", ("2", *"jjjmjm")),
    ("data-contamination", "up", ("2", *"jjjt")),
    ("data-empty", "empty", ("2",)),
    ("host-way", "up", ("9",)),
    ("host-device", "up", ("9", "j", "j")),
    ("host-checked", "up", ("9", "c")),
    ("host-lost", "lost", ("9", "j")),
    ("host-empty", "empty", ("9",)),
    ("jobs-running", "up", ("4",)),
    ("jobs-failed", "up", ("4", "j", "j")),
    ("jobs-artifacts", "up", ("4", "a")),
    ("jobs-lost", "lost", ("4",)),
    ("jobs-empty", "empty", ("4",)),
    ("help", "up", ("3", "question_mark")),
)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
@pytest.mark.parametrize(("name", "state", "keys"), LOOKS, ids=[name for name, *_ in LOOKS])
def test_looks(
    tmp_path: Path,
    snap_compare: Callable[..., bool],
    name: str,
    state: State,
    keys: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        for screen in pilot.app.screen_stack:
            if isinstance(screen, DeskScreen):
                for pane in screen.query("StatusStrip, HostGauge, LogView, LossCurve, KeyBar"):
                    pane.refresh()
                while getattr(screen, "_pending", None):
                    await pilot.pause(0.05)
                screen.redraw()
        await settle(pilot)

    app = make_app(FakeDesk(tmp_path / "jobs", state))
    assert snap_compare(app, terminal_size=size, run_before=before)
