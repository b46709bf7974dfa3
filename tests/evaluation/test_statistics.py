"""Intervals, tests and verdicts against published tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.statistics import (
    Bound,
    chances,
    clustered,
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


@pytest.mark.parametrize(
    ("truth", "passes"), [(0.90, 0.01), (0.93, 0.15), (0.95, 0.52), (0.97, 0.93)]
)
def test_what_an_observed_95_of_170_would_let_through(truth: float, passes: float) -> None:
    """The reason for judging intervals: "observed >= 95 %" is passed by what is below it."""
    from scipy.stats import binom

    needed = math.ceil(0.95 * 170)
    assert float(binom.sf(needed - 1, 170, truth)) == pytest.approx(passes, abs=0.006)
    ours = chances(170, Bound(0.95), truth)
    assert sum(ours.values()) == pytest.approx(1.0)
    if truth < 0.95:
        assert ours["PASS"] < 0.003


def test_27_of_30_refusals_would_let_85_per_cent_through() -> None:
    from scipy.stats import binom

    assert float(binom.sf(26, 30, 0.85)) == pytest.approx(0.32, abs=0.005)
    assert chances(30, Bound(0.90), 0.85)["PASS"] == 0.0  # 30 questions can never show it
    assert chances(60, Bound(0.90), 0.99)["PASS"] > 0.5


ONE_SIDED = [
    (30, 30, None),
    (40, 40, None),
    (140, 132, 138),
    (170, 160, 167),
    (200, 187, 196),
    (400, 370, 388),
]


@pytest.mark.parametrize(("n", "at90", "at95"), ONE_SIDED)
def test_one_sided_column_of_the_table(n: int, at90: int | None, at95: int | None) -> None:
    # a one-sided 95 % bound is the lower end of the two-sided 90 % interval
    for target, needed in ((0.90, at90), (0.95, at95)):
        bound = Bound(target, confidence=0.90)
        passing = [k for k in range(n + 1) if verdict(wilson(k, n), bound) == "PASS"]
        assert (passing[0] if passing else None) == needed


# ── several wordings of one item ────────────────────────────────────────────────────────────────


def test_wordings_that_always_agree_are_worth_one_item() -> None:
    flags = [i % 4 != 0 for i in range(60)]
    once = wilson(sum(flags), 60)
    thrice = clustered([(int(f), 1) for f in flags * 3], [str(i) for i in range(60)] * 3)
    assert (thrice.k, thrice.n, thrice.estimate) == (135, 180, once.estimate)
    assert thrice.n_effective == 60
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    assert verdict(thrice, Bound(0.65)) == verdict(once, Bound(0.65)) == "UNDECIDED"
    assert items_needed(thrice, Bound(0.65)) == items_needed(once, Bound(0.65))


def test_wordings_that_differ_at_random_are_worth_more() -> None:
    import random

    rnd = random.Random(1)
    flags = [(int(rnd.random() < 0.7), 1) for _ in range(180)]
    found = clustered(flags, [i // 3 for i in range(180)])
    assert found.n_effective is not None and 120 <= found.n_effective <= 180


def test_items_alone_are_plain_wilson() -> None:
    assert clustered([(1, 1), (0, 1), (0, 0)], ["a", "b", "c"]) == wilson(1, 2)
    assert clustered([], []) == wilson(0, 0)
    all_right = clustered([(1, 1)] * 90, [i // 3 for i in range(90)])
    assert all_right.n_effective == 30 and all_right.low == wilson(30, 30).low
    with pytest.raises(ValueError):
        clustered([(1, 1)], [])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 5)), max_size=40))
def test_an_effective_n_is_between_items_and_answers(rows: list[tuple[int, int, int]]) -> None:
    counts = [(min(k, n), n) for k, n, _ in rows]
    p = clustered(counts, [c for *_, c in rows])
    if p.estimate is not None:
        assert p.low is not None and p.high is not None
        assert 0 <= p.low <= p.estimate <= p.high <= 1
        assert p.n_effective is None or 1 <= p.n_effective <= p.n
