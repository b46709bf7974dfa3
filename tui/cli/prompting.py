"""How a command asks the operator: on the terminal if there is one, else not at all."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remote.auth import Prompter


def terminal_prompter() -> Prompter:
    from remote.auth import NoPrompter, TerminalPrompter

    return TerminalPrompter() if sys.stdin.isatty() and sys.stderr.isatty() else NoPrompter()
