"""Every answer that changed between two versions, page by page: what was lost comes first.

flips = Flips.between(compare_scores(a, b))
flips.count(Part())                      all of them
flips.page(Part("memory"), 0, 50)        the first fifty that hold the word
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core import filtering
from core.paging import Part

Kind = Literal["regression", "invented", "improvement"]
ORDERS = ("id", "category", "cause")
INVENTS = "right but invents a source"


@dataclass(frozen=True, slots=True)
class Flip:
    """One question of which two versions do not have the same answer right.

    kind: "regression" was right and is not; "invented" is right still, and now cites a source that
    does not exist; "improvement" is right only now.  severe: a person must look at it.
    """

    id: str
    kind: Kind
    severe: bool
    category: str
    question: str
    before: str
    after: str
    cause: str


class Flips:
    """Severe regressions, the other ones, improvements; each in the golden set's order."""

    def __init__(self, flips: Iterable[Flip]) -> None:
        found = list(flips)
        self.all: Sequence[Flip] = sorted(found, key=rank)

    @classmethod
    def between(cls, compared: Mapping[str, Any]) -> Flips:
        """From what `compare_scores` gives; without flips where it has none."""
        found = compared.get("flips")
        found = found if isinstance(found, Mapping) else {}
        kinds: tuple[tuple[str, Kind], ...] = (
            ("regressions", "regression"),
            ("invented", "invented"),
            ("improvements", "improvement"),
        )
        return cls(_flip(row, kind) for name, kind in kinds for row in found.get(name) or ())

    def count(self, part: Part) -> int:
        return len(self._chosen(part))

    def page(self, part: Part, offset: int, limit: int) -> Sequence[Flip]:
        """Places `offset` to `offset + limit`; fewer at the end."""
        return self._chosen(part)[offset : offset + limit]

    def index_of(self, part: Part, key: str) -> int | None:
        """The place of the question `key`, from 0; None where the filter leaves it out."""
        return next((n for n, flip in enumerate(self._chosen(part)) if flip.id == key), None)

    def _chosen(self, part: Part) -> Sequence[Flip]:
        """text: words that each flip holds, `!word`: does not.  order: of ORDERS, else the own one."""
        wanted = part.text[: filtering.LONGEST].casefold().split()
        found = [flip for flip in self.all if _holds(flip, wanted)] if wanted else self.all
        if part.order in ORDERS:
            name = part.order
            return sorted(found, key=lambda f: getattr(f, name), reverse=part.descending)
        return list(reversed(found)) if part.descending else found


def rank(flip: Flip) -> tuple[bool, bool]:
    """What a list is ordered by: severe ones, other regressions, improvements."""
    return flip.kind == "improvement", not flip.severe


def counted(flips: Iterable[Flip]) -> str:
    """ "2 worse, 1 right but invents a source, 3 better"; what none invents is not told."""
    n = Counter(flip.kind for flip in flips)
    invented = f"{n['invented']} {INVENTS}, " if n["invented"] else ""
    return f"{n['regression']} worse, {invented}{n['improvement']} better"


def _holds(flip: Flip, wanted: Sequence[str]) -> bool:
    told = (flip.id, flip.kind, flip.category, flip.question, flip.before, flip.after, flip.cause)
    text = "\n".join((*told, "severe" if flip.severe else "")).casefold()
    return all(
        (word[1:] not in text) if word.startswith("!") and len(word) > 1 else word in text
        for word in wanted
    )


def _flip(row: Mapping[str, Any], kind: Kind) -> Flip:
    texts = {k: str(row.get(k) or "") for k in ("id", "category", "question", "before", "after")}
    return Flip(
        kind=kind, severe=bool(row.get("severe")), cause=str(row.get("cause") or ""), **texts
    )
