"""The training set from pairs: every pair, other wordings of it, rows that defer, and old pairs.

Same pairs, same plan: same rows in the same order, whatever else ran before.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core import citations
from core.augment import deferrals, templates
from core.augment.forms import Lending, in_turn
from core.augment.guard import Guard
from core.augment.replay import SHARE, replayed
from core.augment.rows import built_from, row
from core.augment.templates import Templates, kind
from core.augment.verify import verified
from core.errors import UsageError
from core.near_duplicates import words
from core.pairs import Pair

FORMS = 16
MOST_FORMS = 64
MOST_SHARE = 0.4
DEFERRALS = 0.15
PREMISES = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """forms: rows a fact gets at most, its own wordings included.  deferrals: share of the result
    that hands over or refuses (with what the pairs have of it), premises: share that answers a
    wrong premise.  families: which forms may be used; empty = all.  seed: of every random choice.
    """

    forms: int = FORMS
    deferrals: float = DEFERRALS
    premises: float = PREMISES
    families: frozenset[str] = frozenset()
    replay_share: float = SHARE
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.forms <= MOST_FORMS:
            raise UsageError(
                f"{self.forms} forms a fact",
                why=f"it must be 1 to {MOST_FORMS}",
                try_next=f"--forms {FORMS}",
            )
        for name, usual in (("deferrals", DEFERRALS), ("premises", PREMISES)):
            share = getattr(self, name)
            if not 0 <= share <= MOST_SHARE:
                raise UsageError(
                    f"a share of {share:g} {name}",
                    why=f"it must be 0 to {MOST_SHARE:g} of the rows",
                    try_next=f"--{name} {usual:g}",
                )


@dataclass(frozen=True, slots=True)
class Built:
    """rows: the training set.  refused: why forms were left out → how many.  kept_out: forms too
    close to a held-out wording, by test.  replayed: how many of the rows are old pairs.
    """

    rows: list[Pair]
    refused: dict[str, int] = field(default_factory=dict)
    kept_out: dict[str, int] = field(default_factory=dict)
    replayed: int = 0


def build(
    pairs: Sequence[Pair],
    plan: Plan,
    *,
    held_out: Iterable[str] = (),
    old: Iterable[Pair] = (),
    written: Mapping[str, Sequence[str]] | None = None,
    known: Templates | None = None,
) -> Built:
    """held_out: wordings that must not be trained; what is equal or too close to one is left out,
    whichever pair it belongs to.  old: pairs of an earlier snapshot, for replay.  written: wordings
    a model gave, by pair id.  known: templates (default configs/augment).

    Raises UsageError: a pair is itself worded as one that is held out; a row of an earlier build.
    """
    known = templates.load() if known is None else known
    guard = Guard(held_out)
    _refuse_built(pairs)
    _refuse_held_out(pairs, guard)
    facts: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        facts[pair.domain, pair.answer].append(pair)
    lending, refused = Lending(pairs), Counter[str]()
    rows: list[Pair] = []
    for group in facts.values():
        rows += group
        if citations.find(group[0].answer):
            rows += _forms(group, plan, known, lending, guard, written or {}, refused)
    rows += _not_answering(pairs, rows, plan, known, guard)
    old = [p for p in old if not guard.too_close(p.question)]
    again = replayed(rows, old, plan.replay_share, plan.seed) if old else []
    return Built([*rows, *again], dict(refused.most_common()), dict(guard.refused), len(again))


def _forms(
    group: Sequence[Pair],
    plan: Plan,
    known: Templates,
    lending: Lending,
    guard: Guard,
    written: Mapping[str, Sequence[str]],
    refused: Counter[str],
) -> Iterator[Pair]:
    """Forms of one fact; a question that is there already is passed over, not refused."""
    rng = random.Random(f"{plan.seed} {group[0].id}")
    seen = {tuple(words(p.question)) for p in group}
    room = plan.forms - len(group)
    ids: set[str] = set()
    for pair, wording in in_turn(group, known, lending, rng, written):
        if room <= 0:
            return
        if plan.families and kind(wording.family) not in plan.families:
            continue
        key = tuple(words(wording.text))
        if not key or key in seen or guard.too_close(wording.text):
            continue
        seen.add(key)
        made = row(pair, wording)
        verdict = verified(pair, made)
        if verdict.ok and made.id not in ids:
            ids.add(made.id)
            room -= 1
            yield made
        for reason in verdict.reasons:
            refused[reason.partition(":")[0]] += 1


def _not_answering(
    pairs: Sequence[Pair], rows: Sequence[Pair], plan: Plan, known: Templates, guard: Guard
) -> list[Pair]:
    """Hand-overs, invented things and wrong premises, to the shares of the plan."""
    answering = sum(bool(citations.find(p.answer)) for p in rows)
    there = len(rows) - answering
    total = answering / max(0.01, 1 - plan.deferrals - plan.premises)
    short = max(0, round(total * plan.deferrals) - there)
    made = deferrals.invented(pairs, known, short // 3, plan.seed, guard)
    handed = deferrals.handovers(pairs, short - len(made), plan.seed, guard)
    wrong = deferrals.premises(pairs, round(total * plan.premises), plan.seed, guard)
    return [*handed, *made, *wrong]


def _refuse_built(pairs: Iterable[Pair]) -> None:
    found = [p.id for p in pairs if built_from(p)]
    if found:
        raise UsageError(
            f"{len(found)} of the pairs are built rows already, the first is {found[0]}",
            why="forms of forms drift away from what the source says",
            try_next="give the pairs as they were extracted",
        )


def _refuse_held_out(pairs: Iterable[Pair], guard: Guard) -> None:
    found = [p.id for p in pairs if guard.same(p.question)]
    if found:
        raise UsageError(
            f"{len(found)} of the pairs ask a held-out question in its own words: "
            f"{', '.join(found[:3])}",
            why="what is trained cannot measure what was learned",
            try_next="take them out of the pairs, or out of the held-out file",
        )
