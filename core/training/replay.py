"""Which pairs an incremental training sees: what is new or changed, and a sample of what it must keep.

A model that is only taught the difference forgets the rest, so the sample (replay) is not optional. A
changed fact loses its old pair, and every other pair that still gives the old answer; what was wrong
since then is asked afterwards (core.training.negatives). Pure.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import UsageError
from core.pairs import Pair
from core.training.negatives import Negative, negative

SHOWN = 50  # ids of a kind in an event


@dataclass(frozen=True, slots=True)
class Mix:
    """ids: of the pairs to train, in the order of the new snapshot.

    new, changed, replayed: which of them are which.  removed: only in the earlier snapshot.  stale:
    unchanged pairs left out because they give an answer that has changed.  by_domain: replayed pairs.
    """

    ids: tuple[str, ...]
    new: tuple[str, ...]
    changed: tuple[str, ...]
    replayed: tuple[str, ...]
    removed: tuple[str, ...]
    stale: tuple[str, ...]
    by_domain: dict[str, int]
    negatives: tuple[Negative, ...]

    @property
    def share(self) -> float:
        """Of the rows, those that are old."""
        return len(self.replayed) / len(self.ids)

    def sentence(self) -> str:
        return (
            f"{len(self.new)} new, {len(self.changed)} changed, {len(self.replayed)} old pairs replayed "
            f"({self.share:.0%} of the rows), {len(self.removed)} gone, {len(self.stale)} left out as "
            f"stale; {len(self.negatives)} questions ask whether an old value is gone"
        )

    def as_dict(self) -> dict[str, Any]:
        """Counts, and the first ids of each kind."""
        kinds = ("new", "changed", "replayed", "removed", "stale")
        return {
            "rows": len(self.ids),
            "share": round(self.share, 4),
            "by_domain": self.by_domain,
            "negatives": len(self.negatives),
            **{k: len(getattr(self, k)) for k in kinds},
            "ids": {k: list(getattr(self, k)[:SHOWN]) for k in ("changed", "removed", "stale")},
        }


def mix(before: Sequence[Pair], after: Sequence[Pair], *, share: float, seed: int) -> Mix:
    """What to train on the way from `before` to `after`. share: of the rows, those to be replayed.

    The same for the same sets and seed, whatever their order. Raises UsageError: nothing is new, or
    nothing old is left to replay.
    """
    old = {p.id: p for p in before}
    lessons = {p.lesson_hash for p in before}
    new, changed, same = [], [], []
    for pair in after:
        if pair.id in old and old[pair.id].lesson_hash != pair.lesson_hash:
            changed.append(pair)
        elif pair.id in old or pair.lesson_hash in lessons:
            same.append(pair)  # also under a new id: it teaches nothing new
        else:
            new.append(pair)
    if not new and not changed:
        raise UsageError(
            "there is nothing new to train",
            why=f"all {len(same)} pairs were in the snapshot that the adapter was trained on",
            try_next="freeze a snapshot with what is new, or train anew (incremental.strategy=retrain)",
        )
    negatives = _negatives(old, changed, new, {p.id for p in after})
    outdated = {_fact(old[n.was]) for n in negatives} - {_fact(p) for p in (*changed, *new)}
    stale = [p for p in same if _fact(p) in outdated]
    pool = [p for p in same if _fact(p) not in outdated]
    replayed = sample(pool, _wanted(len(new) + len(changed), share), seed)
    if not replayed:
        raise UsageError(
            "no old pair is left to replay, and training on the difference alone forgets the rest",
            why=f"{len(same)} pairs are as they were, {len(stale)} of them give a changed answer",
            try_next="train anew from the base (incremental.strategy=retrain)",
        )
    kept = {p.id for p in (*new, *changed, *replayed)}
    now = {p.id for p in after}
    domains = sorted({p.domain for p in replayed})
    return Mix(
        ids=tuple(p.id for p in after if p.id in kept),
        new=_ids(new),
        changed=_ids(changed),
        replayed=_ids(replayed),
        removed=tuple(sorted(i for i in old if i not in now)),
        stale=_ids(stale),
        by_domain={d: sum(p.domain == d for p in replayed) for d in domains},
        negatives=negatives,
    )


def sample(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    """`count` pairs (or all), each domain by its share, drawn by `seed`; largest remainders first."""
    if count >= len(pairs):
        return list(pairs)
    by_domain: dict[str, list[Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda p: p.id):
        by_domain[pair.domain].append(pair)
    exact = {d: count * len(group) / len(pairs) for d, group in by_domain.items()}
    taken = {d: int(x) for d, x in exact.items()}
    rest = sorted(exact, key=lambda d: (taken[d] - exact[d], d))
    for domain in rest[: count - sum(taken.values())]:
        taken[domain] += 1
    return [
        pair
        for domain in sorted(by_domain)
        for pair in random.Random(f"{seed} {domain}").sample(by_domain[domain], taken[domain])
    ]


def _wanted(fresh: int, share: float) -> int:
    return max(1, round(fresh * share / (1 - share)))


def _negatives(
    old: dict[str, Pair], changed: Sequence[Pair], new: Sequence[Pair], now: set[str]
) -> tuple[Negative, ...]:
    """Of pairs that changed, and of those that went while their question was answered anew."""
    gone = {_asked(p): p for p in old.values() if p.id not in now}
    found = [negative(old[p.id], p) for p in changed]
    found += [negative(gone[_asked(p)], p) for p in new if _asked(p) in gone]
    by_question = {n.question: n for n in found if n is not None}
    return tuple(sorted(by_question.values(), key=lambda n: n.was))


def _fact(pair: Pair) -> tuple[str, str]:
    """Pairs about one thing with one answer are wordings of one fact."""
    return pair.source_ref, pair.answer


def _asked(pair: Pair) -> str:
    return " ".join(pair.question.lower().split()).rstrip("?!. ")


def _ids(pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(sorted(p.id for p in pairs))
