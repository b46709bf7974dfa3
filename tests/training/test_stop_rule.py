"""When a run ends before its last epoch, and which probe is the best; what is learned and forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.training.forgetting import change
from core.training.recipe import StopPart
from core.training.stop_rule import Standing, standing

RULE = StopPart(rule="recall", patience=2, min_gain=0.01)


def at(*scores: float, rule: StopPart = RULE) -> Standing | None:
    return standing([(10 * (n + 1), s) for n, s in enumerate(scores)], rule)


def test_it_waits_for_as_many_probes_as_it_is_told() -> None:
    assert at() is None
    assert at(0.2) == Standing(10, 0.2, 0, False)
    assert at(0.2, 0.5, 0.4) == Standing(20, 0.5, 1, False)
    assert at(0.2, 0.5, 0.4, 0.5) == Standing(20, 0.5, 2, True)
    assert at(0.2, 0.5, 0.4, 0.6) == Standing(40, 0.6, 0, False)


def test_a_gain_below_the_smallest_one_is_none_but_small_gains_add_up() -> None:
    assert at(0.50, 0.505) == Standing(10, 0.50, 1, False)
    assert at(0.50, 0.505, 0.512) == Standing(30, 0.512, 0, False)


def test_without_the_rule_nothing_stops_and_the_best_is_known() -> None:
    assert at(0.5, 0.1, 0.1, 0.1, rule=StopPart()) == Standing(10, 0.5, 3, False)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(1, 5))
def test_it_stops_exactly_when_no_probe_of_the_last_ones_beats_all_before(
    scores: list[float], patience: int
) -> None:
    rule = StopPart(rule="recall", patience=patience, min_gain=0)
    found = at(*scores, rule=rule)
    assert found is not None and found.best_score == max(scores)
    recent, before = scores[-patience:], scores[:-patience]
    assert found.stop == (bool(before) and max(recent) <= max(before))


def test_learned_forgotten_and_never() -> None:
    first = {"a": True, "b": False, "c": False}
    then = {"a": False, "b": True, "c": False}
    assert change([first]).learned == ("a",) and change([first]).never == ("b", "c")
    found = change([first, then])
    assert (found.learned, found.forgotten, found.never) == (("b",), ("a",), ("c",))
