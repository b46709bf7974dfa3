"""Pictures of every screen: `python -m tests.ui.shots OUT` writes SVG, and PNG if chromium is there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from tests.ui.fakes import NOW, FakeDesk, State
from tui.app import ControlCentre

SIZES = ((80, 24), (120, 40))
# name, state of the desk, keys
SHOTS: tuple[tuple[str, State, tuple[str, ...]], ...] = (
    ("pilot", "up", ()),
    ("pilot-finished", "finished", ()),
    ("pilot-empty", "empty", ()),
    ("pilot-decide", "up", ("D",)),
    ("sources", "up", ("7",)),
    ("sources-resolve", "up", ("7", "r")),
    ("sources-alias", "up", ("7", "a")),
    ("help", "up", ("3", "question_mark")),
    ("palette", "up", ("ctrl+p",)),
    ("train", "up", ("3",)),
    ("train-log-y", "up", ("3", "y", "z", "z")),
    ("train-jobs", "up", ("3", "o")),
    ("train-paused", "up", ("3", "pageup")),
    ("train-start", "up", ("3", "s")),
    ("train-stop", "up", ("3", "x")),
    ("train-hair", "up", ("3", "p", *("left",) * 30)),
    ("train-smooth", "up", ("3", "a")),
    ("train-recall", "up", ("3", "r")),
    ("train-failed", "up", ("3", "o", "j", "j", "enter")),
    ("train-plan-why", "up", ("3", "s", "w")),
    ("train-plan-no", "up", ("3", "s", "j", "j")),
    ("train-empty", "empty", ("3",)),
    ("train-lost", "lost", ("3",)),
    ("evaluate", "up", ("5",)),
    ("evaluate-categories", "up", ("5", "c")),
    ("evaluate-answer", "up", ("5", "enter")),
    ("evaluate-golden", "up", ("5", "s")),
    ("evaluate-golden-edit", "up", ("5", "s", "e")),
    ("evaluate-empty", "empty", ("5",)),
    ("versions", "up", ("6",)),
    ("versions-history", "up", ("6", "h")),
    ("versions-promote", "up", ("6", "j", "p")),
    ("versions-override", "up", ("6", "j", "p", "j", "enter")),
    ("versions-roll-back", "up", ("6", "r", "enter")),
    ("versions-empty", "empty", ("6",)),
    ("data", "up", ("2",)),
    ("data-problem", "up", ("2", *"jjjjj")),
    ("data-snapshot", "up", ("2", *"jjj")),
    ("data-diff", "up", ("2", *"jjjmjm")),
    ("data-contamination", "up", ("2", *"jjjt")),
    ("data-empty", "empty", ("2",)),
    ("jobs", "up", ("4",)),
    ("jobs-failed", "up", ("4", "j", "j")),
    ("jobs-log", "up", ("4", "z")),
    ("jobs-artifacts", "up", ("4", "a")),
    ("jobs-empty", "empty", ("4",)),
    ("host", "up", ("9",)),
    ("host-device", "up", ("9", "j", "j")),
    ("host-checked", "up", ("9", "c")),
    ("host-empty", "empty", ("9",)),
    ("trace", "up", ("8",)),
    ("trace-found", "up", ("8", "enter")),
    ("trace-suspect", "up", ("8", "enter", "j")),
    ("trace-correct", "up", ("8", "enter", "j", "c")),
    ("trace-empty", "empty", ("8",)),
    ("trace-ask", "up", ("8", "a")),
    ("trace-asked", "up", ("8", "a", "D", "?", "enter")),
    ("trace-two", "up", ("8", "a", "D", "?", "enter", "w", "j", "j", "enter")),
    ("failed", "failed", ()),
    ("quit", "up", ("q",)),
)


async def shoot(
    name: str, state: State, keys: tuple[str, ...], size: tuple[int, int], theme: str
) -> str:
    with tempfile.TemporaryDirectory() as folder:
        app = ControlCentre(FakeDesk(Path(folder), state), clock=lambda: NOW)
        async with app.run_test(size=size, notifications=True) as pilot:
            if theme:
                app.theme = theme
            await settle(app, pilot)
            for key in keys:
                await pilot.press(key)
                await settle(app, pilot)
            return app.export_screenshot(title=f"{name} {size[0]}x{size[1]}")


async def settle(app: ControlCentre, pilot: object) -> None:
    """Until no question to the desk is open and the timers have drawn."""
    for _ in range(3):
        await asyncio.sleep(0.12)
        await pilot.pause()  # type: ignore[attr-defined]


def to_png(svg: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        return
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg.read_text("utf-8"))
    assert found is not None
    width, height = (round(float(v)) + 20 for v in found.groups())
    page = svg.with_suffix(".html")
    page.write_text(
        f"<body style='margin:0;background:#333'><img src='{svg.name}' width={width - 20}>"
    )
    subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
         f"--window-size={width},{height}", f"--screenshot={svg.with_suffix('.png')}",
         page.as_uri()],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    page.unlink()


def main(out: Path, only: str = "", theme: str = "") -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    out.mkdir(parents=True, exist_ok=True)
    for name, state, keys in SHOTS:
        for size in SIZES:
            if not re.search(only, name):
                continue
            svg = out.resolve() / f"{name}-{size[0]}x{size[1]}.svg"
            svg.write_text(asyncio.run(shoot(name, state, keys, size, theme)), "utf-8")
            to_png(svg)
            print(svg.with_suffix(".png").name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
