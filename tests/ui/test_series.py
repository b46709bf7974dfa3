"""The curve's numbers: bounds of any range, gaps, resumed runs; and its drawing."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tui.series import Series
from tui.widgets import braille

values = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.just(math.inf)), max_size=600
)


def filled(numbers: list[float]) -> Series:
    series = Series()
    for step, value in enumerate(numbers):
        series.append(step, value)
    return series


@given(values, st.integers(0, 600), st.integers(0, 600))
def test_bounds_are_those_of_the_plain_list(numbers: list[float], a: int, b: int) -> None:
    start, stop = sorted((a, b))
    part = [v for v in numbers[start:stop] if math.isfinite(v)]
    want = (min(part), max(part)) if part else None
    assert filled(numbers).bounds(start, stop) == want


def test_a_spike_of_one_step_in_a_hundred_thousand_is_drawn() -> None:
    numbers = [1.0] * 100_000
    numbers[61_234] = 9.0
    rows, bounds = braille.draw(filled(numbers), 80, 10)
    assert bounds == (1.0, 9.0)
    top = [i for i, c in enumerate(rows[0]) if c != "\u2800"]
    assert top == [int(61_234 / 100_000 * 80)]


def test_a_gap_stays_open_and_out_of_the_bounds() -> None:
    rows, bounds = braille.draw(filled([1.0] * 10 + [math.nan] * 20 + [2.0] * 10), 40, 4)
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
    rows, _ = braille.draw(filled([1.0, 2.0, 3.0]), 40, 5, last_step=20)
    used = [i for row in rows for i, c in enumerate(row) if c != "\u2800"]
    assert max(used) <= 6


def test_logarithmic_axis_passes_over_zero_and_below() -> None:
    rows, bounds = braille.draw(filled([100.0, 0.0, -1.0, 0.01]), 20, 5, log=True)
    assert bounds == (0.01, 100.0)
    assert any(c != "\u2800" for c in rows[0])
    assert braille.draw(filled([0.0, -1.0]), 20, 5, log=True)[1] is None


@given(values, st.integers(1, 60), st.integers(1, 12), st.booleans())
def test_any_values_draw_in_the_box(numbers: list[float], w: int, h: int, log: bool) -> None:
    rows, _ = braille.draw(filled(numbers), w, h, log=log)
    assert len(rows) == h
    assert all(len(row) == w and all(0x2800 <= ord(c) <= 0x28FF for c in row) for row in rows)
