"""The registry as commands open it: to read, or to decide something in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tui.cli.show import say

if TYPE_CHECKING:
    from core.registry import Registry
    from remote.helper_client import Carrier


@contextmanager
def deciding_registry() -> Iterator[Registry]:
    """A registry that is shared is brought together with the one of record before and after."""
    from core.registry import open_registry
    from tui.desk.shared import deciding

    with ExitStack() as stack:

        def route_to(host: str) -> Carrier:
            from tui.cli.prompting import terminal_prompter
            from tui.desk.line import Line

            line = Line(host, terminal_prompter())
            stack.callback(line.close)
            return line.route()

        with open_registry(how="cli") as reg, deciding(reg, route_to, say=say):
            yield reg
