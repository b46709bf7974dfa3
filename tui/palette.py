"""What the palette asks: the commands first, then the jumps, and so at every start.

Textual keeps sources in a set, which iterates in the order of where its classes lie in memory.
"""

from __future__ import annotations

from typing import Any

from textual.command import Hits, Provider

from tui.commands import DeskCommands
from tui.jumps import Jumps


class InOrder(Provider):
    """One source made of several."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._sources = (DeskCommands(*given, **named), Jumps(*given, **named))

    async def discover(self) -> Hits:
        for source in self._sources:
            async for hit in source.discover():
                yield hit

    async def search(self, query: str) -> Hits:
        for source in self._sources:
            async for hit in source.search(query):
                yield hit
