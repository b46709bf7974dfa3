"""What a long list of pairs is given: 1,458 of a snapshot, twelve lines of a file, one of them faulty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import NotFound
from tui.desk.api_lists import Wanted
from tui.desk.api_pairs import LaidOut, PairRow, PairsOf, PairView

SYSTEMS = ("Delta", "Anvil", "Bridges-2", "Expanse", "Stampede3")
ANSWER = (
    "A GPU node of {} has 512 GB of memory and eight GPUs.\n\n"
    "<<SRC:compute-resources:delta.ncsa.access-ci.org>>"
)


def _pair(n: int) -> PairRow:
    system = SYSTEMS[n % 5]
    return PairRow(
        n,
        f"cr-{n:05}",
        ("compute-resources", "software-discovery")[n % 2],
        ("mcp_extraction", "doc_generated", "user_qa")[n % 3],
        f"How much memory has a GPU node of {system}, partition {n}?",
        ANSWER.format(system),
    )


SNAPSHOT = tuple(_pair(n) for n in range(1, 1459))
FAULTY = PairRow(3, "", "", "", '{"id": "fn-3" "domain": …', "", "not-json")
FILE = tuple(FAULTY if n == 3 else _pair(n) for n in range(1, 13))


class FakePairs:
    """Implements tui.desk.api_pairs.PairsDesk."""

    def __init__(self) -> None:
        self.laid_out = LaidOut(len(SNAPSHOT), 1.0, True)
        self.left: list[PairsOf] = []

    def _all(self, of: PairsOf, wanted: Wanted) -> list[PairRow]:
        rows = (SNAPSHOT if of.kind == "snapshot" else FILE)[: self.laid_out.rows]
        words = wanted.text.casefold().split()
        kept = [r for r in rows if all(w in str(r).casefold() for w in words)]
        if wanted.order:
            key: Any = lambda row: (getattr(row, wanted.order), row.n)  # noqa: E731
            kept.sort(key=key, reverse=wanted.descending)
        return kept

    def state(self, of: PairsOf) -> LaidOut:
        return self.laid_out

    def count(self, of: PairsOf, wanted: Wanted) -> int:
        return len(self._all(of, wanted))

    def rows(self, of: PairsOf, wanted: Wanted, offset: int, limit: int) -> Sequence[PairRow]:
        return self._all(of, wanted)[offset : offset + limit]

    def place(self, of: PairsOf, wanted: Wanted, key: str) -> int | None:
        keys = [str(row.n) for row in self._all(of, wanted)]
        return keys.index(key) if key in keys else None

    def pair(self, of: PairsOf, n: int) -> PairView:
        row = next((r for r in self._all(of, Wanted()) if r.n == n), None)
        if row is None:
            raise NotFound(f"no row {n} in {of.name}")
        if row.fault:
            return PairView(row, faults=("not valid JSON: a comma is missing",), text=row.question)
        turns = (("user", row.question), ("assistant", row.answer))
        more = '{\n "metadata": {"complexity": "simple"}\n}'
        return PairView(row, "mcp://compute-resources/search", turns, more, "ab12" * 16)

    def enter(self, of: PairsOf) -> None:
        self.left = [other for other in self.left if other != of]

    def leave(self, of: PairsOf) -> None:
        self.left.append(of)
