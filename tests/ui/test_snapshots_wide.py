"""How the screens look with a whole monitor: 200x60. Update with `--snapshot-update`, then look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import make_app, settle
from tests.ui.fakes import FakeDesk, State
from tests.ui.test_evaluate import Rich
from tui.screens.base import DeskScreen

SIZE = (200, 60)
LOOKS: tuple[tuple[str, State, tuple[str, ...]], ...] = (
    ("pilot", "up", ()),
    ("data-snapshot", "up", ("2", *"jjj")),
    ("data-contamination", "up", ("2", *"jjjt")),
    ("train", "up", ("3",)),
    ("train-plan", "up", ("3", "s", "w")),
    ("jobs", "up", ("4",)),
    ("jobs-failed", "up", ("4", "j", "j")),
    ("evaluate", "up", ("5",)),
    ("evaluate-causes", "up", ("5", "w", "j")),
    ("evaluate-inside", "up", ("5", "w", "j", "enter")),
    ("evaluate-categories", "up", ("5", "c")),
    ("evaluate-answer", "up", ("5", "enter", "n")),
    ("evaluate-golden", "up", ("5", "s")),
    ("evaluate-empty", "empty", ("5",)),
    ("trace", "up", ("8", "enter")),
    ("trace-ask", "up", ("8", "a")),
    ("host", "up", ("9",)),
    ("host-lost", "lost", ("9", "j")),
    ("help", "up", ("5", "question_mark")),
)


@pytest.mark.parametrize(("name", "state", "keys"), LOOKS, ids=[name for name, *_ in LOOKS])
def test_looks(
    tmp_path: Path,
    snap_compare: Callable[..., bool],
    name: str,
    state: State,
    keys: tuple[str, ...],
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

    desk = Rich if name.startswith("evaluate") and state == "up" else FakeDesk
    assert snap_compare(
        make_app(desk(tmp_path / "jobs", state)), terminal_size=SIZE, run_before=before
    )
