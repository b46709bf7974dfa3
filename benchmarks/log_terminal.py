"""The log view in a real pseudo-terminal, driven by keys, with a heartbeat that notices stalls."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

BEAT_S = 0.02


def app_argv(log: Path, report: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.log_terminal", str(log), str(report)]


def main(log: Path, report: Path) -> None:
    """The app in the terminal: writes what it measured when it is left with ctrl+q."""
    os.environ.setdefault("TEXTUAL_FPS", "120")  # as `qa app` does
    from textual.app import App, ComposeResult
    from textual.geometry import Region
    from textual.strip import Strip

    from tui.widgets.log.lines import LogLines
    from tui.widgets.log.view import LogView

    facts: dict[str, Any] = {"late": [], "redraw_cpu": []}

    class Timed(LogLines):
        """Notes what each redraw costs."""

        def render_lines(self, crop: Region) -> list[Strip]:
            began = time.thread_time()
            try:
                return super().render_lines(crop)
            finally:
                facts["redraw_cpu"].append(time.thread_time() - began)

    class Bench(App[None]):
        def compose(self) -> ComposeResult:
            view = LogView()
            view.body.__class__ = Timed
            yield view

        def on_mount(self) -> None:
            sys.setswitchinterval(0.001)  # as the whole app does
            self.view = self.query_one(LogView)
            self.view.focus()
            self.began = time.perf_counter()
            self.view.open_path(log)
            self.call_after_refresh(self.note, "shown")
            self.call_after_refresh(gc.freeze)  # as the whole app does
            gc.set_threshold(2000, 20, 10)
            self.beating = asyncio.create_task(self.beat())

        def note(self, name: str) -> None:
            facts.setdefault(name, time.perf_counter() - self.began)

        async def beat(self) -> None:
            last = time.perf_counter()
            while True:
                await asyncio.sleep(BEAT_S)
                now = time.perf_counter()
                facts["late"].append(max(0.0, now - last - BEAT_S))
                last = now
                if self.view.file is not None and self.view.file.complete:
                    self.note("counted")

        def on_unmount(self) -> None:
            report.write_text(json.dumps(facts))

    Bench().run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
