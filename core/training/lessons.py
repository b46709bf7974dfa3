"""What a set of pairs teaches, in figures: facts, wordings of each, deferrals, lengths. Light.

Pairs with the same answer are wordings of one fact. A pair that cites nothing and hands the question
over teaches to defer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core import citations
from core.errors import PairsError
from core.pairs import Pair, read_pairs
from core.subjects import source_data

TEMPLATE_TOKENS = 10  # of a chat template, for one question and its answer
# A guess without a tokenizer: five letters of a word are a token, and so is every digit and every sign
# (markers and host names are full of them). With the small model's tokenizer, over the sample corpus: 3 %
# above on average, the longest row 194 for 187. Larger vocabularies need fewer.
_PIECE = re.compile(r"[A-Za-z]+|\d|[^\sA-Za-z\d]")
LETTERS = 5
DEFERRING_KINDS = frozenset({"dynamic", "unknown_or_out_of_scope", "false_premise"})
_DEFERS = re.compile(
    r"\blive data\b|\bcannot (?:answer|say|tell|confirm)\b|\bnot something (?:i|we)\b"
    r"|\b(?:do not|don't) (?:know|have)\b|\bknow of no\b|\blooked up live\b|\bstored knowledge\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Lessons:
    """Counts over one set of pairs; tokens are estimated.

    wordings: (number of wordings, facts that have so many), fewest first.  unknown_share: part of
    the facts that the base does not know at all; None where nobody asked it.  unknown_from: who did.
    """

    pairs: int
    facts: int
    wordings: tuple[tuple[int, int], ...]
    deferrals: int
    mean_tokens: float
    longest_tokens: int
    unknown_share: float | None = None
    unknown_from: str = ""

    @property
    def per_fact(self) -> float:
        """Wordings of a fact, on average."""
        return sum(n * facts for n, facts in self.wordings) / self.facts if self.facts else 0.0

    @property
    def deferral_share(self) -> float:
        return self.deferrals / self.pairs if self.pairs else 0.0

    def facts_below(self, wanted: int) -> int:
        return sum(facts for n, facts in self.wordings if n < wanted)


def of_pairs(pairs: Iterable[Pair], *, unknown_share: float | None = None) -> Lessons:
    """Raises PairsError where there is nothing to learn from: no pair, or a single one."""
    asked: dict[str, set[str]] = {}
    count = deferrals = total = longest = 0
    last = ""
    for pair in pairs:
        last = pair.id
        count += 1
        size = TEMPLATE_TOKENS + sum(tokens(m.content) for m in pair.messages)
        total, longest = total + size, max(longest, size)
        if defers(pair):
            deferrals += 1
        else:
            asked.setdefault(pair.answer.strip(), set()).add(
                " ".join(pair.question.lower().split())
            )
    if count < 2:
        raise PairsError(
            f"one pair is no training set: {last}" if count else "no pairs to train on",
            why="" if not count else "its words would be learned, and nothing else",
            try_next="freeze a snapshot that has more (`qa snapshots freeze`)",
        )
    tally: dict[int, int] = {}
    for questions in asked.values():
        tally[len(questions)] = tally.get(len(questions), 0) + 1
    return Lessons(
        pairs=count,
        facts=len(asked),
        wordings=tuple(sorted(tally.items())),
        deferrals=deferrals,
        mean_tokens=total / count,
        longest_tokens=longest,
        unknown_share=unknown_share,
    )


def of_file(path: Path, *, unknown_share: float | None = None) -> Lessons:
    """Raises PairsError: unreadable, a row that is not a pair, nothing to learn from."""
    report = read_pairs(path)
    if report.pairs:
        bad = [p for p in report.problems if not p.usable]
        if bad:
            raise PairsError(
                f"{report.rejected} of {report.rows} rows of {path} are no pairs",
                why=str(bad[0]),
                try_next=f"qa pairs check {path}",
            )
    return of_pairs(report.require_pairs(), unknown_share=unknown_share)


def tokens(text: str) -> int:
    """About how many tokens a text has."""
    return sum(-(-len(piece) // LETTERS) for piece in _PIECE.findall(text))


def defers(pair: Pair) -> bool:
    """Marked as such by its metadata; else no citation, and words that hand the question over."""
    if source_data(pair).get("kind") in DEFERRING_KINDS:
        return True
    return not citations.find(pair.answer) and _DEFERS.search(pair.answer) is not None


def as_json(lessons: Lessons) -> dict[str, object]:
    return {
        "pairs": lessons.pairs,
        "facts": lessons.facts,
        "wordings_per_fact": round(lessons.per_fact, 2),
        "deferrals": lessons.deferrals,
        "deferral_share": round(lessons.deferral_share, 4),
        "mean_tokens": round(lessons.mean_tokens, 1),
        "longest_tokens": lessons.longest_tokens,
        "unknown_share": lessons.unknown_share,
        "unknown_from": lessons.unknown_from,
    }
