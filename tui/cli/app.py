"""`qa app`: the screens. Kept apart from the other commands so that the first frame waits for nothing."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.errors import QAError
from tui.cli.show import problem, say

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


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
        from tui.desk.line import SANDBOX, check_host_name
        from tui.desk.workbench import Workbench

        check_host_name(options.host)
        desk = Workbench(options.host, recipe=options.recipe)
        if options.host != SANDBOX:
            _log_in(desk)
        run(desk)
    except QAError as e:
        problem(e)
        return e.exit_code
    return 0


def _log_in(desk: Workbench) -> None:
    """Before the screens: whatever the hops ask is answered on the plain terminal."""
    from tui.cli.prompting import terminal_prompter

    try:
        desk.line.log_in(terminal_prompter())
    except QAError as e:
        problem(e)
        say("opening without the host: everything recorded can still be read")
        input("press enter … ")
