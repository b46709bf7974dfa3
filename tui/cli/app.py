"""`qa app`: the screens. Kept apart from the other commands so that the first frame waits for nothing."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from core.errors import QAError
from tui.cli.show import problem


def open_app(args: Sequence[str]) -> int:
    """Open the app on a host; returns the exit code."""
    gc.disable()  # nothing is garbage before the first frame; the app switches it on again there
    parser = argparse.ArgumentParser("qa app", description="Open the control centre.")
    parser.add_argument("--host", default=os.environ.get("QA_HOST", "sandbox"))
    parser.add_argument("--recipe", default=None, help="recipe the checklist trains with")
    options = parser.parse_args(args)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "qa app needs a terminal",
            "try: qa pilot (the same work, headless)",
            sep="\n",
            file=sys.stderr,
        )
        return 2
    try:
        from tui.app import run
        from tui.desk.line import check_host_name
        from tui.desk.workbench import Workbench

        check_host_name(options.host)
        desk = Workbench(options.host, recipe=options.recipe)
        run(desk)
    except QAError as e:
        problem(e)
        return e.exit_code
    return 0
