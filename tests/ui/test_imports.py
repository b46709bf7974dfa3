"""The first frame waits for nothing heavy: what is imported when it is up, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("typer", "pydantic", "paramiko", "sqlite_utils", "sqlite3", "numpy", "torch", "transformers",
         "asyncssh", "yaml", "scipy", "cryptography")  # fmt: skip

SCRIPT = """
import asyncio, json, sys
from tests.ui.fakes import FakeDesk
from pathlib import Path
from tui import opening
from tui.app import ControlCentre

opening.STATISTICS = ()  # what is imported ahead comes when it comes

async def main():
    app = ControlCentre(FakeDesk(Path(sys.argv[1])))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        first = sorted(sys.modules)
        for key in "356":
            await pilot.press(key)
        await pilot.press("question_mark")
        print(json.dumps([first, sorted(sys.modules)]))

asyncio.run(main())
"""


def test_no_heavy_module_is_imported_by_the_screens(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "jobs")],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for modules in json.loads(done.stdout):
        assert "textual.app" in modules and "tui.screens.pilot" in modules
        assert not {m for m in HEAVY if m in modules}
    first, _ = json.loads(done.stdout)
    assert "tui.screens.train" not in first, "screens are imported when first shown"


AHEAD = """
import asyncio, sys
from tests.ui.fakes import FakeDesk
from pathlib import Path
from tui.app import ControlCentre

async def main():
    app = ControlCentre(FakeDesk(Path(sys.argv[1])))
    async with app.run_test(size=(120, 40)) as pilot:
        while "scipy.stats" not in sys.modules:
            await pilot.pause(0.05)

asyncio.run(main())
"""


def test_what_judging_a_gate_imports_is_there_before_a_key_asks_for_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AHEAD, str(tmp_path / "jobs")],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
