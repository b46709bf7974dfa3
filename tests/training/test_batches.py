"""Batches: every row once, like lengths together, the same for the same seed and epoch."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from core.training.batches import ByLength, order

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=200)


@given(LENGTHS, st.integers(1, 16), st.integers(0, 5))
def test_every_row_once_and_the_longest_in_the_first_full_batch(
    lengths: list[int], batch_size: int, epoch: int
) -> None:
    rows = order(lengths, batch_size, 0, epoch)
    assert sorted(rows) == list(range(len(lengths)))
    assert rows == order(lengths, batch_size, 0, epoch)
    full = rows[: len(rows) // batch_size * batch_size]
    if full:
        assert max(lengths[n] for n in rows[:batch_size]) == max(lengths[n] for n in full)


def padding(lengths: list[int], rows: list[int], batch_size: int) -> float:
    batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return sum(max(lengths[n] for n in b) * len(b) for b in batches) / sum(lengths)


def test_it_saves_padding_and_still_mixes() -> None:
    rng = random.Random(0)
    lengths = [rng.randint(30, 120) for _ in range(280)]
    grouped = order(lengths, 8, 0, 0)
    plain = order([0] * 280, 8, 0, 0)
    assert padding(lengths, grouped, 8) - 1 < (padding(lengths, plain, 8) - 1) / 2
    means = [sum(lengths[n] for n in grouped[i : i + 8]) / 8 for i in range(0, 280, 8)]
    assert means != sorted(means) and means != sorted(means, reverse=True)


def test_another_order_each_epoch_and_seed() -> None:
    sampler = ByLength([5] * 50, 4, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert len(sampler) == 50
    assert first != list(sampler) != list(ByLength([5] * 50, 4, seed=2))
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_plain_shuffle_where_lengths_do_not_count() -> None:
    rows = order([0] * 100, 10, 3, 0)
    assert rows != list(range(100)) and sorted(rows) == list(range(100))
