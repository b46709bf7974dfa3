"""Which rows share a batch: like lengths together, order a pure function of seed and epoch.

The library's length-grouped sampler sorts windows of fifty batches, which at a few hundred rows is one
sort of everything: each batch then holds one kind of question, and learning suffers. It also draws from
the global random state, so that a run resumed inside an epoch sees other batches than the one it goes on
from. Light apart from the sampler's base class.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

WINDOW = 4  # batches sorted together: most of the padding goes, the mixture of questions stays


def order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    """Row numbers for one epoch. The batch with the longest row comes first, so that running out of
    memory shows at the first step and not in the middle of the night.
    """
    rng = random.Random(f"{seed} {epoch}")
    rows = list(range(len(lengths)))
    rng.shuffle(rows)
    size = batch_size * WINDOW
    batches: list[list[int]] = []
    for at in range(0, len(rows), size):
        window = sorted(rows[at : at + size], key=lambda n: lengths[n], reverse=True)
        batches += [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    short = batches.pop() if batches and len(batches[-1]) < batch_size else []
    rng.shuffle(batches)
    if batches:
        longest = max(range(len(batches)), key=lambda i: max(lengths[n] for n in batches[i]))
        batches.insert(0, batches.pop(longest))
    return [n for batch in [*batches, short] for n in batch]


class ByLength:
    """Sampler over `order`; the training loop calls `set_epoch`."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = list(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(order(self._lengths, self._batch_size, self._seed, self._epoch))
