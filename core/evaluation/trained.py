"""All that the adapter of an evaluation was trained on, for the strata of its questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from core.pairs import Message, Pair, read_pairs


def all_trained(pairs: Sequence[Pair], earlier: Sequence[Path], rewordings: int) -> Iterator[Pair]:
    """pairs: of the version's own snapshot.  earlier: files of pairs that an adapter it builds on was
    trained on: what it taught is still there.  rewordings: mechanical variants of each question that
    were trained beside it (train.rewordings).

    Each pair is given once, whatever the number of snapshots it is in.
    """
    from core.training.rewording import rewordings as reworded

    known: set[str] = set()
    for pair in (*pairs, *(read_pairs(list(earlier)).pairs if earlier else ())):
        if pair.lesson_hash in known:
            continue
        known.add(pair.lesson_hash)
        yield pair
        at = max(i for i, m in enumerate(pair.messages) if m.role == "user")
        for n, text in enumerate(reworded(pair.messages[at].content, rewordings), 1):
            turns = (*pair.messages[:at], Message("user", text), *pair.messages[at + 1 :])
            yield replace(pair, id=f"{pair.id}~{n}", messages=turns)
