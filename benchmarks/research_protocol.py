"""What is drawn from the corpus, and the training rows each strategy makes of it.

FACTS facts of the compute resources that have two wordings are drawn; of HELD of them one wording is
held out. No held-out wording is used to build a form: `core.augment.guard` drops whatever is too
close to one, whatever resource it is about.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core import citations
from core.augment import templates
from core.augment.about import about
from core.augment.build import Plan, build
from core.augment.guard import Guard
from core.corpus import pair_files, pilot_selection
from core.near_duplicates import words
from core.pairs import Message, Pair, read_pairs
from core.training.rewording import rewordings

FACTS, HELD = 120, 56


@dataclass(frozen=True, slots=True)
class Strategy:
    """rows: "plain", "shallow" (mechanical rewordings) or "forms".  deferrals: share of the
    rows that hand over or refuse.
    """

    rows: str = "forms"
    forms: int = 20
    families: tuple[str, ...] = ()
    epochs: float = 1
    lr: float = 2e-3
    r: int = 16
    targets: str = "all-linear"
    batch: int = 4
    deferrals: float = 0.0
    premises: float = 0.0


REAL = ("ask", "fact", "tell", "need", "keywords", "borrowed", "surface")
MECHANICAL = ("surface", "reopened", "typo", "gap", "recall", "borrowed")
PILOT = Strategy(forms=10, deferrals=0.15, premises=0.03)
STRATEGIES: dict[str, Strategy] = {
    "plain": Strategy("plain", epochs=8, batch=8, lr=1e-3, r=64),
    "plain-6": Strategy("plain", epochs=6),
    "shallow": Strategy("shallow", epochs=3),
    "forms-20": Strategy(),
    "forms-20-batch-8": Strategy(batch=8),
    "forms-24": Strategy(forms=24),
    "forms-24-long": Strategy(forms=24, epochs=1.5),
    "forms-32": Strategy(forms=32),
    "no-mechanical": Strategy(families=REAL, epochs=1.36),
    "mechanical": Strategy(families=MECHANICAL),
    "pilot": PILOT,
    "pilot-batch-8": replace(PILOT, batch=8),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """unseen: held-out wordings.  seen: the trained wording of the same facts, in the same order."""

    train: list[Pair]
    unseen: list[Pair]
    seen: list[Pair]


def draw(seed: int) -> Drawn:
    """FACTS facts with two wordings; HELD of them give one up, the first and the second in turn."""
    by_answer: dict[str, list[Pair]] = defaultdict(list)
    for pair in read_pairs(pair_files()).pairs:
        if pair.domain == "compute-resources":
            by_answer[pair.answer].append(pair)
    facts = [group for group in by_answer.values() if len(group) == 2]
    rng = random.Random(f"facts {seed}")
    chosen = rng.sample(facts, FACTS)
    train, unseen, seen = [], [], []
    for n, group in enumerate(chosen):
        if n < HELD:
            unseen.append(group[n % 2])
            group = [group[1 - n % 2]]
            seen.append(group[0])
        train += group
    return Drawn(train, unseen, seen)


def draw_pilot() -> Drawn:
    """The pilot's own pairs, and its probe as the unseen questions."""
    pairs = read_pairs(pair_files()).pairs
    chosen = pilot_selection(pairs)
    held = {q["id"].removeprefix("probe_") for q in chosen.probe}
    unseen = [p for p in pairs if p.id in held]
    by_answer = {p.answer: p for p in chosen.train}
    return Drawn(chosen.train, unseen, [by_answer[p.answer] for p in unseen])


def rows_of(strategy: Strategy, drawn: Drawn, seed: int) -> list[tuple[str, str]]:
    """(question, answer) of every training row."""
    held = [p.question for p in drawn.unseen]
    if strategy.rows == "forms":
        plan = Plan(
            strategy.forms,
            strategy.deferrals,
            strategy.premises,
            frozenset(strategy.families),
            seed=seed,
        )
        rows = [(p.question, p.answer) for p in build(drawn.train, plan, held_out=held).rows]
    else:
        rows = [(p.question, p.answer) for p in drawn.train]
        if strategy.rows == "shallow":
            rows += [(f, a) for q, a in rows for f in rewordings(q, 2)]
    return rows


def held_out_wordings(drawn: Drawn, rows: Sequence[tuple[str, str]]) -> list[Pair]:
    """One question a trained fact in a template family that is never trained, where it has one."""
    known, guard = templates.load(), Guard(q for q, _ in rows)
    out = []
    for pair in {p.answer: p for p in drawn.train}.values():
        found = [
            w.text
            for w in known.wordings(pair.domain, about(pair), held_out=True)
            if not guard.too_close(w.text)
        ]
        if found and citations.find(pair.answer):
            text = random.Random(pair.id).choice(found)
            out.append(replace(pair, messages=(Message("user", text), pair.messages[-1])))
    return out


def pattern(pair: Pair, question: str) -> tuple[str, ...]:
    """The words of a question about the pair's resource, with its name and node label taken out."""
    it = about(pair)
    text = question.replace(it.name, " name ") if it.name else question
    return tuple(words(text.replace(it.node, " node ") if it.node else text))
