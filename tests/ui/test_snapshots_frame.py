"""How the frame and the app's own pages look, in every state. Update with `--snapshot-update`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import NARROW, WIDE, make_app, settle, until
from tests.ui.fakes import NOW, FakeDesk, State
from tui.app import ControlCentre
from tui.desk.api import JobRow
from tui.preferences import Preferences
from tui.settings_file import AppSettings


@dataclass(frozen=True)
class Look:
    state: State = "up"
    keys: tuple[str, ...] = ()
    production: bool = False
    needs_you: bool = False
    read_only: bool = False
    queued: bool = False
    theme: str = ""


LOOKS = {
    "empty": Look("empty"),
    "running": Look(queued=True),
    "disconnected": Look("lost"),
    "needs-you": Look("lost", needs_you=True),
    "connecting": Look("connecting"),
    "read-only": Look(read_only=True),
    "production": Look(production=True),
    "production-read-only": Look(production=True, read_only=True, queued=True),
    "production-light": Look(production=True, theme="access-light"),
    "contrast": Look(theme="access-contrast"),
    "ansi": Look(theme="access-ansi", production=True),
    "notices": Look(keys=("exclamation_mark",)),
    "handover": Look(keys=("ctrl+n",)),
    "themes": Look(keys=("ctrl+t",)),
    "help": Look(keys=("question_mark",)),
    "palette": Look(keys=("colon",)),
    "find": Look(keys=("slash", "d", "a", "t", "a")),
}
SIZES = {"20x5": (20, 5), "80x24": NARROW, "120x40": WIDE, "200x60": (200, 60)}
EVERY_SIZE = {"running", "disconnected", "production-read-only"}
CASES = [
    pytest.param(name, size, id=f"{name}-{size}")
    for name in LOOKS
    for size in SIZES
    if size in ("80x24", "120x40") or name in EVERY_SIZE
]


@pytest.mark.parametrize(("name", "size"), CASES)
def test_looks(
    tmp_path: Path,
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    size: str,
) -> None:
    look = LOOKS[name]
    desk = FakeDesk(tmp_path / "jobs", look.state)
    desk.production, desk.needs_you = look.production, look.needs_you
    if look.queued:
        desk.rows["train-q"] = JobRow("train-q", "train", "gh200", "queued", submitted_at=NOW)
    # the place of the note is the test's own
    monkeypatch.setattr("tui.handover.keep", lambda note, at: "handover/2026-11-22-1430.md")
    app = make_app(
        desk, preferences=Preferences(AppSettings(look.theme, look.read_only, reduced_motion=True))
    )

    async def before(pilot: Pilot[Any]) -> None:
        await settle(pilot)
        if look.state == "lost":
            await until(pilot, lambda: len(app._notifications) == 1, "the notice of the lost link")
        if name == "notices":
            _some_notices(app)
        for key in look.keys:
            await pilot.press(key)
            await settle(pilot)
        for screen in app.screen_stack:
            screen.query("StatusStrip, KeyBar").refresh()
        await settle(pilot)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)


def _some_notices(app: ControlCentre) -> None:
    app.say("job train-0141: exit 0 after 59 steps", title="job train-0141 succeeded")
    app.notify("no route to gh200; ctrl+r opens it again", severity="warning", markup=False)
    app.say("No answer for 3 s.\nJobs on the host go on.", title="Link to gh200 lost", bad=True)
