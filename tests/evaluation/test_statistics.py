"""Intervals, tests and verdicts against published tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.statistics import (
    Bound,
    items_needed,
    mcnemar,
    minimum_detectable_difference,
    percentile,
    percentile_interval,
    verdict,
    wilson,
)

# n, interval of an observed 95 %, of an observed 90 %, k needed for >= 90 % and >= 95 %
TABLE = [
    (20, (76.4, 99.1), (69.9, 97.2), None, None),
    (30, (78.7, 98.2), (74.4, 96.5), None, None),
    (40, (83.5, 98.6), (76.9, 96.0), 40, None),
    (140, (90.0, 97.6), (83.9, 93.9), 133, 139),
    (170, (91.0, 97.6), (84.6, 93.7), 161, 168),
    (200, (91.0, 97.3), (85.1, 93.4), 189, 197),
    (400, (92.4, 96.7), (86.7, 92.6), 372, 389),
]


@pytest.mark.parametrize(("n", "at95", "at90", "for90", "for95"), TABLE)
def test_wilson_table(
    n: int, at95: tuple[float, float], at90: tuple[float, float], for90: int, for95: int
) -> None:
    for share, (low, high) in ((0.95, at95), (0.90, at90)):
        # 95 % of 30 is 28.5: the table's row is that of 28
        p = wilson(int(share * n), n) if n == 30 else wilson(round(share * n), n)
        assert p.low == pytest.approx(low / 100, abs=0.00051)
        assert p.high == pytest.approx(high / 100, abs=0.00051)
    for target, needed in ((0.90, for90), (0.95, for95)):
        passing = [k for k in range(n + 1) if verdict(wilson(k, n), Bound(target)) == "PASS"]
        assert (passing[0] if passing else None) == needed


def test_thirty_of_thirty_does_not_show_ninety_per_cent() -> None:
    p = wilson(30, 30)
    assert p.low == pytest.approx(0.886, abs=0.001)
    assert verdict(p, Bound(0.90)) == "UNDECIDED"
    assert items_needed(p, Bound(0.90)) == 5  # 35 all right
    assert items_needed(p, Bound(0.95)) == 43  # 73 all right


def test_verdicts_at_most() -> None:
    bound = Bound(0.01, at_least=False)
    assert verdict(wilson(0, 400), bound) == "PASS"
    assert verdict(wilson(0, 100), bound) == "UNDECIDED"
    assert verdict(wilson(10, 100), bound) == "FAIL"
    assert verdict(wilson(0, 150), Bound(0.01, False, margin=0.02)) == "PASS"
    assert verdict(wilson(5, 150), Bound(0.01, False, margin=0.02)) == "FAIL"


def test_nothing_measured_is_undecided() -> None:
    nothing = wilson(0, 0)
    assert nothing.estimate is None and nothing.low is None
    assert verdict(nothing, Bound(0.9)) == "UNDECIDED"
    assert items_needed(nothing, Bound(0.9)) is None


def test_at_the_target_no_number_decides() -> None:
    assert items_needed(wilson(95, 100), Bound(0.95)) is None


def test_impossible_counts_are_refused() -> None:
    for k, n in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError):
            wilson(k, n)


@given(st.integers(0, 300), st.integers(1, 300), st.floats(0.02, 0.98), st.booleans())
def test_verdict_and_items_needed_agree(k: int, n: int, target: float, at_least: bool) -> None:
    k = min(k, n)
    p, bound = wilson(k, n), Bound(target, at_least)
    assert p.low is not None and p.high is not None and p.estimate is not None
    assert 0 <= p.low <= p.estimate <= p.high <= 1
    needed = items_needed(p, bound)
    if verdict(p, bound) != "UNDECIDED":
        assert needed == 0
        wrong_side = p.estimate < target if at_least else p.estimate > target
        assert (verdict(p, bound) == "FAIL") is wrong_side or p.estimate == pytest.approx(target)
    elif needed is not None:
        total = n + needed
        later = wilson(min(total, max(k, round(k * total / n))), total)
        assert verdict(later, bound) != "UNDECIDED"


@given(st.integers(1, 200), st.floats(0.05, 0.95))
def test_more_successes_never_make_it_worse(n: int, target: float) -> None:
    order = {"FAIL": 0, "UNDECIDED": 1, "PASS": 2}
    verdicts = [order[verdict(wilson(k, n), Bound(target))] for k in range(n + 1)]
    assert verdicts == sorted(verdicts)


def test_mcnemar_needs_six_flips_one_way() -> None:
    assert mcnemar(5, 0) == pytest.approx(0.0625)
    assert mcnemar(6, 0) == pytest.approx(0.03125)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(31, 7) == pytest.approx(0.000116, rel=0.01)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_sign_test(wins: int, losses: int) -> None:
    n = wins + losses
    tail = sum(math.comb(n, i) for i in range(min(wins, losses) + 1)) / 2**n if n else 1
    assert mcnemar(wins, losses) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(wins, losses) == mcnemar(losses, wins)


@pytest.mark.parametrize(
    ("n", "discordant", "points"),
    [
        (170, 0.10, 7),
        (170, 0.15, 9),
        (170, 0.20, 10),
        (150, 0.10, 7.5),
        (150, 0.15, 9.5),
        (150, 0.20, 10.5),
        (200, 0.10, 6.5),
        (200, 0.15, 8),
        (200, 0.20, 9.5),
    ],
)
def test_minimum_detectable_difference_table(n: int, discordant: float, points: float) -> None:
    found = minimum_detectable_difference(n, discordant)
    assert found is not None
    # the table was simulated in steps of half a point
    assert found * 100 == pytest.approx(points, abs=0.5)


def test_too_few_items_detect_nothing() -> None:
    assert minimum_detectable_difference(10, 0.2) is None
    assert minimum_detectable_difference(0, 0.2) is None


def test_percentiles_are_nearest_rank() -> None:
    values = [float(i) for i in range(1, 101)]
    assert percentile(values, 0.95) == 95 and percentile(values, 0.5) == 50
    assert percentile([3.0], 0.95) == 3.0 and percentile([], 0.5) is None


def test_interval_of_p95_by_order_statistics() -> None:
    values = [float(i) for i in range(1, 171)]
    low, high = percentile_interval(values, 0.95)
    assert low is not None and high is not None
    assert low / 170 == pytest.approx(0.918, abs=0.007)
    assert high / 170 == pytest.approx(0.988, abs=0.007)
    # twelve values have no upper end
    assert percentile_interval([float(i) for i in range(12)], 0.95)[1] is None
    assert percentile_interval([], 0.95) == (None, None)
