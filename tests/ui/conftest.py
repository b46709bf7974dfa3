"""The app with a fake desk, and waiting without sleeping for a fixed time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from textual.pilot import Pilot

from tests.ui.fakes import NOW, FakeDesk, State
from tui.app import ControlCentre
from tui.preferences import Preferences
from tui.screens.base import DeskScreen

WIDE, NARROW = (120, 40), (80, 24)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown in local time; the tests' local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def make_app(desk: FakeDesk, *, preferences: Preferences | None = None) -> ControlCentre:
    app = ControlCentre(desk, clock=lambda: NOW, preferences=preferences)
    app.animation_level = "none"
    return app


async def until(pilot: Pilot[Any], condition: Callable[[], Any], what: str = "") -> None:
    """Let the app run until `condition` holds; fails after 20 s."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"never came: {what or condition}"
        await pilot.pause(0.02)


async def settle(pilot: Pilot[Any]) -> None:
    """Until every question asked so far is answered and drawn."""
    app = pilot.app
    assert isinstance(app, ControlCentre)
    await pilot.pause()
    open_now = [w for w in app.workers if not w.is_finished]
    await until(pilot, lambda: all(w.is_finished for w in open_now), "answers of the desk")
    await until(pilot, lambda: app.overview is not None, "the overview")
    for _ in range(3):
        await asyncio.sleep(0)
        await pilot.pause()


@asynccontextmanager
async def running(
    root: Path,
    state: State = "up",
    *,
    size: tuple[int, int] = WIDE,
    desk: FakeDesk | None = None,
    preferences: Preferences | None = None,
) -> AsyncIterator[tuple[ControlCentre, Pilot[Any], FakeDesk]]:
    """The app on a fake desk; afterwards no defect of the program may have shown."""
    desk = desk or FakeDesk(root / "jobs", state)
    app = make_app(desk, preferences=preferences)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        yield app, pilot, desk
        desk.release.set()
    assert app.defects == []


async def press(pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def write(pilot: Pilot[Any], text: str) -> None:
    """Type text into the focused field."""
    await pilot.press(*("space" if c == " " else c for c in text))
    await pilot.pause()


def shown(app: ControlCentre) -> str:
    """Everything on the screen as plain text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line)[:width] for line in lines[:height])


def told(app: ControlCentre) -> str:
    """The notices in the corner, unwrapped."""
    return "\n".join(f"{n.title} {n.message}" for n in app._notifications)


def looks(
    root: Path, state: State, keys: tuple[str, ...]
) -> tuple[ControlCentre, Callable[[Pilot[Any]], Any]]:
    """An app for a snapshot, and what brings it there: `keys` pressed, everything drawn."""

    async def before(pilot: Pilot[Any]) -> None:
        await settle(pilot)
        await press(pilot, *keys)
        for screen in pilot.app.screen_stack:
            if isinstance(screen, DeskScreen):
                screen.redraw()
        await settle(pilot)

    return make_app(FakeDesk(root / "jobs", state)), before
