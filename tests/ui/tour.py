"""Pictures of the real app on this desk's own registry and the sandbox: `python -m tests.ui.tour OUT [ONLY]`.

Run it after `make pilot`: what it shows is what that pilot left. The README's pictures and those of
docs/walk-through.md are made so. ONLY: a pattern; the other stops are passed without a picture.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from tests.ui.shots import to_png
from tui.app import ControlCentre
from tui.desk.workbench import Workbench

SIZES = ((120, 40), (80, 24))
STOPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("pilot", ("1",)),
    ("data", ("2", "j", "j", "j", "j", "j", "j")),
    ("train", ("3", "o", "j", "j", "j", "enter")),  # the full run, below what came after it
    ("jobs", ("4",)),
    ("evaluate", ("5",)),
    ("evaluate-why", ("w", "j")),
    ("evaluate-answer", ("enter", "enter")),
    ("evaluate-trace", ("escape", "t")),
    ("trace-suspect", ("j",)),
    ("versions", ("6",)),
    ("versions-promote", ("p", "enter")),
    ("sources", ("escape", "escape", "7")),
    ("trace", ("8", "escape")),
    ("host", ("9", "c")),
    ("help", ("?",)),
)


async def tour(out: Path, size: tuple[int, int], only: str) -> None:
    app = ControlCentre(Workbench("sandbox"))
    async with app.run_test(size=size) as pilot:
        for _ in range(100):  # the route, the overview, the first readings
            await asyncio.sleep(0.1)
            if app.desk.link().state == "up" and app.overview and app.desk.reading():
                break
        for name, keys in STOPS:
            for key in keys:
                await pilot.press(key)
                await asyncio.sleep(0.3)
            await asyncio.sleep(1.5)
            await pilot.pause()
            if not re.search(only, name):
                continue
            svg = out / f"{name}-{size[0]}x{size[1]}.svg"
            svg.write_text(app.export_screenshot(title="ACCESS QA Control"), "utf-8")
            to_png(svg)
            svg.unlink()  # the PNG is what is shown
            print(svg.with_suffix(".png").name)


def main(out: Path, only: str = "") -> None:
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        asyncio.run(tour(out, size, only))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
