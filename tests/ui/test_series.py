"""The curve's numbers: bounds of any range, gaps, resumed runs; and its drawing."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tui.series import Series, Smooth, ahead
from tui.widgets import braille

BLANK = "\u2800"
values = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.just(math.inf)), max_size=600
)


def filled(numbers: list[float]) -> Series:
    series = Series()
    for step, value in enumerate(numbers):
        series.append(step, value)
    return series


def drawn(
    series: Series, width: int, height: int, *, last_step: float = 0.0, log: bool = False
) -> tuple[list[str], tuple[float, float] | None]:
    """All of a series in a box, and the bounds of what is drawn."""
    whole = (series.steps[0], max(series.steps[-1], last_step)) if len(series) else (0.0, 1.0)
    limits = braille.bounds([series], whole, log=log)
    if limits is None:
        return [BLANK * width] * height, None
    return braille.draw(series, width, height, whole, limits, log=log), limits


@given(values, st.integers(0, 600), st.integers(0, 600))
def test_bounds_are_those_of_the_plain_list(numbers: list[float], a: int, b: int) -> None:
    start, stop = sorted((a, b))
    part = [v for v in numbers[start:stop] if math.isfinite(v)]
    want = (min(part), max(part)) if part else None
    assert filled(numbers).bounds(start, stop) == want


def test_a_spike_of_one_step_in_a_hundred_thousand_is_drawn() -> None:
    numbers = [1.0] * 100_000
    numbers[61_234] = 9.0
    rows, bounds = drawn(filled(numbers), 80, 10)
    assert bounds == (1.0, 9.0)
    top = [i for i, c in enumerate(rows[0]) if c != "\u2800"]
    assert top == [int(61_234 / 100_000 * 80)]


def test_a_gap_stays_open_and_out_of_the_bounds() -> None:
    rows, bounds = drawn(filled([1.0] * 10 + [math.nan] * 20 + [2.0] * 10), 40, 4)
    assert bounds == (1.0, 2.0)
    assert all(row[14:26] == "\u2800" * 12 for row in rows)


def test_a_resumed_run_replaces_the_steps_it_repeats() -> None:
    series = filled([5.0] * 100)
    for step in range(50, 60):
        series.append(step, 1.0)
    assert list(series.steps) == list(range(60))
    assert series.bounds(50, 60) == (1.0, 1.0)
    assert series.bounds(0, 60) == (1.0, 5.0)


def test_the_curve_ends_where_the_run_is() -> None:
    rows, _ = drawn(filled([1.0, 2.0, 3.0]), 40, 5, last_step=20)
    used = [i for row in rows for i, c in enumerate(row) if c != "\u2800"]
    assert max(used) <= 6


def test_logarithmic_axis_passes_over_zero_and_below() -> None:
    rows, bounds = drawn(filled([100.0, 0.0, -1.0, 0.01]), 20, 5, log=True)
    assert bounds == (0.01, 100.0)
    assert any(c != "\u2800" for c in rows[0])
    assert drawn(filled([0.0, -1.0]), 20, 5, log=True)[1] is None


@given(values, st.integers(1, 60), st.integers(1, 12), st.booleans())
def test_any_values_draw_in_the_box(numbers: list[float], w: int, h: int, log: bool) -> None:
    rows, _ = drawn(filled(numbers), w, h, log=log)
    assert len(rows) == h
    assert all(len(row) == w and all(0x2800 <= ord(c) <= 0x28FF for c in row) for row in rows)


def test_zoom_draws_the_window_alone_and_scales_to_it() -> None:
    series = filled([100.0] * 50 + [1.0, 2.0] * 25)
    limits = braille.bounds([series], (50, 99))
    assert limits == (1.0, 2.0)
    rows = braille.draw(series, 20, 4, (50.0, 99.0), limits)
    assert rows[0][0] != BLANK and rows[0][-1] != BLANK
    assert braille.bounds([series], (1000, 2000)) is None


def test_runs_differ_in_shape() -> None:
    series = filled([1.0] * 400)
    whole, dashed, dotted = (
        braille.draw(series, 40, 1, (0.0, 399.0), (0.0, 2.0), shape=shape)[0]
        for shape in ("whole", "dashed", "dotted")
    )
    assert BLANK not in whole and BLANK in dashed
    assert len({whole, dashed, dotted}) == 3


@given(values.filter(len), st.floats(-10, 700))
def test_near_is_the_nearest(numbers: list[float], step: float) -> None:
    series = filled(numbers)
    found = series.near(step)
    assert found is not None
    assert abs(series.steps[found] - step) == min(abs(s - step) for s in series.steps)


def test_the_mean_follows_what_comes_and_begins_anew_after_a_cut() -> None:
    series = filled([4.0, math.nan, 2.0])
    smooth = Smooth(series, 0.5)
    first, gap, last = smooth.series().values
    assert first == 4.0 and math.isnan(gap) and 2.0 < last < 3.0
    series.append(3, 2.0)
    assert smooth.series().values[-1] < last
    series.append(1, 1.0)
    assert list(smooth.series().steps) == [0, 1]
    assert 1.0 < smooth.series().values[-1] < 4.0


def test_ahead_is_told_at_the_same_step_and_not_past_the_other_run() -> None:
    other = filled([5.0, 4.0, 3.0])
    assert ahead(filled([5.0, 3.5]), other) == 0.5
    assert ahead(filled([5.0, 4.5]), other) == -0.5
    assert ahead(filled([1.0] * 9), other) is None
    assert ahead(Series(), other) is None


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=700), st.integers(0, 699), st.data())
def test_a_curve_cut_back_is_the_curve_that_never_went_on(
    values: list[float], kept: int, data: st.DataObject
) -> None:
    cut, plain = Series(), Series()
    for step, value in enumerate(values):
        cut.append(step, value)
    kept = min(kept, len(values) - 1)
    for step, value in enumerate([*values[:kept], 5.0, *values[:40]]):
        plain.append(step, value)
        if step >= kept:
            cut.append(step, value)  # the first of them cuts
    assert cut.steps == plain.steps and cut.values == plain.values
    start = data.draw(st.integers(0, len(plain)))
    stop = data.draw(st.integers(start, len(plain)))
    assert cut.bounds(start, stop) == plain.bounds(start, stop)
