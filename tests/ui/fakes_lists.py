"""Long lists of the fake desk, from the rows it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tui.desk.api import SourceRow, VersionRow
from tui.desk.api_lists import AuditRow, ExampleRow, Row, Wanted, What

if TYPE_CHECKING:
    from tests.ui.fakes import FakeDesk

KEYS = {"versions": "model_version", "sources": "source_id", "unknown": "source_id", "trail": "seq"}


class FakeLists:
    def __init__(self, desk: FakeDesk) -> None:
        self._desk = desk
        self.changes = 0

    def stamp(self) -> int:
        return len([c for c in self._desk.calls if c[0] not in READS]) + self.changes

    def _all(self, what: What, wanted: Wanted) -> list[Any]:
        desk = self._desk
        if what == "trail":
            desk.calls.append(("trail", wanted.of))
            after = f'{{"model_version": "{wanted.of}"}}'
            said = ["2026-11-21T15:00:00Z", "automation", "desk/app", "version.promote",
                    "production", "", after, "first version"]  # fmt: skip
            return [AuditRow(17, *desk.mapped(said))]
        if what == "versions":
            found: Sequence[Any] = desk.versions()
        else:
            view = desk.sources()
            found = view.known if what == "sources" else view.unknown
        words = wanted.text.casefold().split()
        kept = [r for r in found if all(w in str(r).casefold() for w in words)]
        by = {"cited": "occurrences", "id": "source_id", "name": "display_name"}.get(wanted.order)
        if by is not None:
            kept.sort(key=lambda row: getattr(row, by), reverse=wanted.descending)
        return kept

    def count(self, what: What, wanted: Wanted) -> int:
        return len(self._all(what, wanted))

    def rows(self, what: What, wanted: Wanted, offset: int, limit: int) -> Sequence[Row]:
        return self._all(what, wanted)[offset : offset + limit]

    def place(self, what: What, wanted: Wanted, key: str) -> int | None:
        keys = [str(getattr(row, KEYS[what])) for row in self._all(what, wanted)]
        return keys.index(key) if key in keys else None

    def live(self) -> dict[str, str]:
        found: list[VersionRow] = list(self._desk.versions())
        return {e: v.model_version for v in found for e in v.live_in}

    def near(self, source_id: str, text: str = "") -> Sequence[SourceRow]:
        self._desk.calls.append(("near", source_id, text))
        domain = source_id.partition(":")[0]
        known = [s for s in self._desk.sources().known if text in s.source_id]
        return sorted(known, key=lambda s: s.source_id.partition(":")[0] != domain)

    def examples(self, source_id: str) -> Sequence[ExampleRow]:
        self._desk.calls.append(("examples", source_id))
        found = [ExampleRow("How much memory has a GPU node of Delta?", EXAMPLE, "access-qa-v1.1.0",
                            "2026-11-22T14:02:11.000Z")]  # fmt: skip
        return self._desk.mapped(found)


EXAMPLE = "Eight GPUs <<SRC:compute-resources:delta9.example.org>> and 512 GB of memory."
READS = frozenset({
    "versions", "sources", "version_detail", "history", "overview", "scores", "items", "jobs", "near",
    "examples", "compare", "trail", "model_card", "live_at", "handover", "job_dir", "connect",
})  # fmt: skip
