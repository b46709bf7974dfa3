"""`qa app`: the screens. Kept apart from the other commands so that the first frame waits for nothing."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.errors import QAError
from tui.cli.show import problem

if TYPE_CHECKING:
    from tui.desk.api import Desk
    from tui.preferences import Preferences

EPILOG = """\
The settings file and the key map lie in ~/.config/access-qa-control: settings.toml and keys.toml
(docs/app.md). Environment: QA_HOST, QA_OPERATOR, NO_COLOR, QA_REDUCED_MOTION.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        "qa app",
        description="Open the control centre. `qa` alone does the same.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--host", help="host of configs/hosts.yaml, or an SSH alias (default: sandbox)"
    )
    made.add_argument("--recipe", help="recipe the checklist trains with")
    made.add_argument(
        "--read-only",
        action="store_true",
        help="look only: every change is refused until you leave",
    )
    made.add_argument(
        "--record",
        metavar="FILE",
        help="keep what this desk shows and its jobs print, for `qa replay FILE`",
    )
    made.add_argument("--theme", metavar="NAME", help="colours, this time (access-dark, -light, …)")
    made.add_argument(
        "--keys", action="store_true", help="print every key as you have it, and leave"
    )
    made.add_argument("--json", action="store_true", help="with --keys: one JSON document")
    return made


def open_app(args: Sequence[str]) -> int:
    """Open the app on a host; returns the exit code."""
    gc.disable()  # nothing is garbage before the first frame; the app switches it on again there
    os.environ.setdefault("TEXTUAL_FPS", "120")  # a key waits 4 ms for its frame in the mean, not 8
    options = parser().parse_args(args)
    if options.keys:
        return print_keys(as_json=options.json)
    if not ((sys.stdin.isatty() and sys.stdout.isatty()) or _served()):
        print(
            "qa app needs a terminal",
            "try: qa pilot (the same work, headless), or qa web (the app in a browser)",
            sep="\n",
            file=sys.stderr,
        )
        return 2
    try:
        from dataclasses import replace

        from tui import preferences
        from tui.app import run
        from tui.desk.host_names import surely_written
        from tui.desk.line import check_host_name
        from tui.desk.workbench import Workbench

        chosen = preferences.load(read_only=options.read_only)
        given = frozenset(n for n in ("host", "theme", "read_only") if getattr(options, n))
        chosen = replace(chosen, given=given)
        if options.theme:
            chosen = replace(chosen, settings=replace(chosen.settings, theme=options.theme))
        host = options.host or os.environ.get("QA_HOST") or chosen.settings.host or "sandbox"
        if not surely_written(host):
            check_host_name(host)
        desk = Workbench(host, recipe=options.recipe, read_only=options.read_only)
        if options.record:
            return _recorded(desk, chosen, options.record)
        return run(desk, chosen)
    except QAError as e:
        problem(e)
        return e.exit_code


def _recorded(desk: Desk, preferences: Preferences, name: str) -> int:
    from pathlib import Path

    from tui.app import run
    from tui.recording.recorder import Recorder, usable

    recorder = Recorder(usable(Path(name)), desk.host_name)
    try:
        return run(recorder.desk(desk), preferences)
    finally:
        recorder.close()
        if recorder.tape.problem is not None:
            problem(recorder.tape.problem)


def _served() -> bool:
    """Whether the screen is a browser's (`qa web`): then there is no terminal."""
    return "WebDriver" in os.environ.get("TEXTUAL_DRIVER", "")


def print_keys(*, as_json: bool) -> int:
    """Every action with its id, its keys and its command; faults of the key map on stderr, exit 2."""
    from tui import keymap
    from tui.cli import show

    own, faults = keymap.load()
    rows = own.keys(keymap.every_key())
    table = [(k.id, _written(k.key), k.id in own.own, k.help, k.command) for k in rows]
    names = ("action", "keys", "yours", "help", "command")
    if as_json:
        show.as_json([dict(zip(names, row, strict=True)) for row in table])
    else:
        cells = [
            [i, keys, "yours" if mine else "", what, cmd] for i, keys, mine, what, cmd in table
        ]
        show.table(["action", "keys", "", "what it does", "command"], cells)
        show.say(f"key map: {keymap.path()}")
    for fault in faults:
        problem(fault)
    return 2 if faults else 0


def _written(keys: str) -> str:
    from tui.keymap import written

    return " ".join(written(k) for k in keys.split(","))
