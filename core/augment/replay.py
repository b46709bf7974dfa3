"""Old pairs beside new ones: what an incremental run must see so that it does not forget."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from core.errors import UsageError
from core.pairs import Pair
from core.subjects import entities

SHARE = 0.3
LEAST, MOST = 0.2, 0.5
"""Replay is 20 to 50 % of the mix; less forgets, more is a full retrain that calls itself otherwise."""


def replayed(new: Sequence[Pair], old: Iterable[Pair], share: float, seed: int) -> list[Pair]:
    """Old pairs that make up `share` of the mix with `new`; all of them if there are fewer.

    Drawn in turn from every entity, so that none is forgotten for being small. An old pair whose id
    or question is among the new ones has changed, and is left out. Raises UsageError: the share.
    """
    if not LEAST <= share <= MOST:
        raise UsageError(
            f"a replay share of {share:g}",
            why=f"it must be {LEAST:g} to {MOST:g} of the mix",
            try_next=f"--replay-share {SHARE:g}",
        )
    ids, asked = {p.id for p in new}, {p.question for p in new}
    by_entity: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in old:
        if pair.id not in ids and pair.question not in asked:
            by_entity[entities(pair)[0]].append(pair)
    rng = random.Random(f"replay {seed}")
    for listed in by_entity.values():
        rng.shuffle(listed)
    wanted = round(len(new) * share / (1 - share))
    names = sorted(by_entity)
    rng.shuffle(names)
    out: list[Pair] = []
    at = 0
    while len(out) < wanted and any(at < len(by_entity[n]) for n in names):
        out += [by_entity[n][at] for n in names if at < len(by_entity[n])]
        at += 1
    return out[:wanted]
