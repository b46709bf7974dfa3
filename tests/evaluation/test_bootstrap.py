"""Paired bootstrap and comparisons: against SciPy's own, with items drawn together, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.evaluation import bootstrap
from core.evaluation.paired import Item, compare_items
from core.evaluation.statistics import holm, mcnemar


def test_it_agrees_with_scipys_bootstrap() -> None:
    rng = np.random.default_rng(1)
    first = (rng.random(170) < 0.7).astype(float)
    second = (rng.random(170) < 0.5).astype(float)
    ours = bootstrap.paired(list(first), list(second))
    theirs = stats.bootstrap(
        (first - second,), np.mean, n_resamples=9999, method="percentile", random_state=2
    ).confidence_interval
    assert ours is not None
    assert ours.difference == pytest.approx((first - second).mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.013)


@pytest.mark.parametrize("n", [40, 1000])
def test_values_that_are_not_yes_or_no(n: int) -> None:
    rng = np.random.default_rng(3)
    first, second = rng.exponential(1.0, n), rng.exponential(1.2, n)
    ours = bootstrap.paired(list(first), list(second))
    assert ours is not None
    half = 1.96 * (first - second).std(ddof=1) / n**0.5
    assert ours.high - ours.low == pytest.approx(2 * half, rel=0.15)


def test_the_same_scores_give_the_same_interval() -> None:
    a, b = [True, False, True, True] * 10, [False, False, True, False] * 10
    assert bootstrap.paired(a, b) == bootstrap.paired(a, b)


def test_wordings_of_one_item_do_not_make_it_surer() -> None:
    first = [i % 3 == 0 for i in range(60)]
    second = [i % 2 == 0 for i in range(60)]
    items = [str(i) for i in range(60)]
    once = bootstrap.paired(first, second, items)
    thrice = bootstrap.paired(first * 3, second * 3, items * 3)
    naive = bootstrap.paired(first * 3, second * 3)
    assert once is not None and thrice is not None and naive is not None
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.05)
    assert naive.high - naive.low < 0.7 * (once.high - once.low)


def test_nothing_and_uneven() -> None:
    assert bootstrap.paired([], []) is None
    with pytest.raises(ValueError):
        bootstrap.paired([1.0], [])
    with pytest.raises(ValueError):
        bootstrap.paired([1.0], [1.0], ["a", "b"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=1))
def test_the_interval_holds_the_difference(rows: list[tuple[bool, bool, int]]) -> None:
    a, b, clusters = zip(*rows, strict=True)
    found = bootstrap.paired(a, b, clusters, resamples=500)
    assert found is not None and -1 <= found.low <= found.high <= 1
    if len(set(clusters)) == 1:
        assert found.low == found.high == pytest.approx(found.difference)


# ── Holm ────────────────────────────────────────────────────────────────────────────────────────


def test_holm_by_hand() -> None:
    # 0.01 × 4, 0.02 × 3, 0.03 × 2, 0.04 × 1, each at least as large as the one before
    assert holm({"d": 0.04, "a": 0.01, "c": 0.03, "b": 0.02}) == pytest.approx(
        {"d": 0.06, "a": 0.04, "c": 0.06, "b": 0.06}
    )
    assert holm({}) == {} and holm({"a": 0.3}) == {"a": 0.3}
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_never_shrinks(p_values: dict[str, float]) -> None:
    corrected = holm(p_values)
    assert list(corrected) == list(p_values)
    for name, p in p_values.items():
        assert p <= corrected[name] <= min(1.0, p * len(p_values)) + 1e-12 or any(
            corrected[name] == corrected[other] for other in p_values if p_values[other] < p
        )
    ranked = sorted(p_values, key=lambda n: p_values[n])
    assert [corrected[n] for n in ranked] == sorted(corrected.values())


# ── two systems ─────────────────────────────────────────────────────────────────────────────────


def items(category: str, wins: int, losses: int, ties: int) -> list[Item]:
    kinds = [(True, False)] * wins + [(False, True)] * losses + [(True, True)] * ties
    return [Item(f"{category}{n}", category, f"{category}{n}", *k) for n, k in enumerate(kinds)]


def test_categories_are_corrected_together() -> None:
    c = compare_items(items("software", 0, 6, 24) + items("dynamic", 6, 0, 24))
    assert (c.wins, c.losses, c.n) == (6, 6, 60) and c.p_value == 1.0
    software = c.categories["software"]
    assert software["p_value"] == mcnemar(0, 6) < 0.05
    assert software["holm_p"] == pytest.approx(0.0625)  # alone it would have been believed
    assert c.mdd == c.detectable is not None
    assert c.bootstrap is not None and c.bootstrap.low < 0 < c.bootstrap.high


def test_no_items_no_claims() -> None:
    c = compare_items([])
    assert (c.n, c.p_value, c.mdd, c.bootstrap) == (0, 1.0, None, None) and not c.categories
