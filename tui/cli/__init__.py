"""The `qa` command. `qa` and `qa app` go straight to the screen; everything else loads its command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Console entry point. Exit codes: see core/errors.py; 130 after Ctrl-C."""
    args = list(sys.argv[1:] if argv is None else argv)
    completing = "_QA_COMPLETE" in os.environ  # the shell asks what could come next
    if not completing and (not args or args[0] == "app"):
        from tui.cli.app import open_app

        sys.exit(open_app(args[1:]))
    if not completing and args == ["--version"]:
        from tui.cli.about import versions

        print(versions())
        return
    from tui.cli.root import run

    sys.exit(run(args))
