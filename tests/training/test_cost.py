"""Time and disk from past runs, intervals that hold, and predictions held against what came."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training import cost
from core.training import recipe as recipes
from core.training.architectures import KNOWN
from core.training.cost import PastRun
from core.training.lessons import Lessons

TAUGHT = Lessons(280, 160, ((1, 80), (2, 80)), 38, 65, 94)
SIX_TIMES = ["train.epochs=6", "train.batch_size=8"]
RECIPE = recipes.load_recipe("smollm2-135m", SIX_TIMES)
SHAPE = KNOWN["smollm2-135m"]
FLOPS = cost.flops_per_token(RECIPE, SHAPE)


def past(wall_s: float, **more: Any) -> PastRun:
    run = PastRun("train-1", "smollm2-135m", "sandbox", 109_200, wall_s, FLOPS, 5.0, 3_500_000_000)
    return replace(run, **more)


def predicted(runs: list[PastRun], recipe: Any = RECIPE, **more: Any) -> cost.Cost:
    where = {"device": "sandbox", "kind": "cpu"} | more
    return cost.predict(recipe, KNOWN[recipe.model.name], TAUGHT, runs, **where)


def test_a_run_like_the_last_takes_as_long() -> None:
    found = predicted([past(312)])
    assert found.tokens == 109_200 and found.steps == 210
    assert found.wall_s == pytest.approx(317)
    assert found.low_s < 317 < found.high_s
    assert not found.assumed and "1 run of smollm2-135m on sandbox" in found.basis


def test_more_runs_narrow_the_interval_and_scatter_widens_it() -> None:
    one, many = predicted([past(300)]), predicted([past(300 + n) for n in range(8)])
    scattered = predicted([past(s) for s in (100, 150, 250, 400, 700, 900, 200, 300)])
    assert many.high_s / many.low_s < one.high_s / one.low_s < scattered.high_s / scattered.low_s


def test_twice_the_epochs_take_twice_the_time() -> None:
    longer = recipes.load_recipe("smollm2-135m", ["train.epochs=12"])
    assert predicted([past(300)], longer).wall_s - 5 == pytest.approx(600)


def test_checkpointing_is_half_as_much_again() -> None:
    sets = [*SIX_TIMES, "train.gradient_checkpointing=true"]
    slower = recipes.load_recipe("smollm2-135m", sets)
    ratio = (predicted([past(300)], slower).wall_s - 5) / 300
    assert 1.35 < ratio < 1.5


def test_another_model_on_the_same_device_counts_by_flop_and_less() -> None:
    own = predicted([past(300)])
    other = predicted([past(300, model="other")])
    assert other.wall_s == pytest.approx(own.wall_s)
    assert other.high_s > own.high_s and "other models" in other.basis


def test_without_any_run_the_assumption_is_stated_and_wide() -> None:
    mistral = recipes.load_recipe("mistral-7b")
    found = predicted([], mistral, device="gh200", hardware="NVIDIA GH200 480GB", kind="gpu")
    assert found.assumed and "330 of 990 TFLOP/s" in found.basis
    start = found.wall_s - (found.high_s - found.wall_s) / (cost.GUESS - 1)
    assert (found.high_s - start) / (found.low_s - start) == pytest.approx(cost.GUESS**2)
    assert found.gpu_hours == pytest.approx(found.wall_s / 3600)
    assert predicted([past(300)], mistral, device="elsewhere").assumed


def test_disk_is_the_adapter_and_while_it_runs_its_checkpoints() -> None:
    found = predicted([], recipes.load_recipe("mistral-7b"))
    adapter = 4 * 54_525_952
    assert found.disk_bytes == adapter
    assert found.disk_peak_bytes == adapter * (1 + 3 * 3)
    away = predicted([], recipes.load_recipe("mistral-7b"), model_is_there=False)
    assert away.disk_bytes == adapter + 2 * KNOWN["mistral-7b"].parameters


def test_the_interval_holds_8_of_10_runs() -> None:
    """Runs whose rate scatters as much as the prior says: the share inside is near 80 %."""
    rng = random.Random(0)
    inside = 0
    for _ in range(400):
        walls = [300 * 2.718 ** rng.gauss(0, cost.SPREAD_SAME) for _ in range(6)]
        found = predicted([past(w) for w in walls[:5]])
        inside += found.low_s < walls[5] + 5 < found.high_s
    assert 0.72 < inside / 400 < 0.88


# -- what is kept of a run ---------------------------------------------------------------------------

SUMMARY = {
    "base_model": "smollm2-135m",
    "tokens": 109_152,
    "wall_s": 312.03,
    "peak_memory_bytes": 3_493_507_072,
    "device": "cpu",
    "smoke": False,
    "resumed": False,
}


def test_predicted_against_measured() -> None:
    stored = cost.prediction(2_500_000_000, predicted([past(300)]))
    settings = {"recipe": RECIPE.resolved(), "predicted": stored}
    run = cost.past_run("train-2", SUMMARY, settings, host="sandbox", lasted_s=317.4)
    assert run is not None and run.device == "sandbox" and run.flops == FLOPS
    assert run.start_s == pytest.approx(5.37)
    by_figure = {m.figure: m for m in cost.misses([run])}
    assert by_figure["peak_bytes"].error == pytest.approx(3_493_507_072 / 2.5e9 - 1)
    assert by_figure["wall_s"].error == pytest.approx(317.4 / stored["wall_s"] - 1)
    found = {t.figure: t for t in cost.typical(cost.misses([run]))}
    assert found["peak_bytes"].error == by_figure["peak_bytes"].error
    assert found["peak_bytes"].machine == "CPU" and found["peak_bytes"].runs == 1
    kept = cost.compare(stored, SUMMARY)
    assert kept["peak_bytes"]["measured"] == 3_493_507_072 and kept["wall_s"]["predicted"] > 0


def test_runs_that_tell_nothing_are_left_out() -> None:
    settings = {"recipe": RECIPE.resolved()}
    for odd in ({"smoke": True}, {"resumed": True}, {"tokens": 0}, {"wall_s": "fast"}):
        assert cost.past_run("x", {**SUMMARY, **odd}, settings) is None
    assert cost.typical([]) == ()


def test_errors_of_kinds_of_machines_are_never_taken_together() -> None:
    stored = {"predicted": {"peak_bytes": 1e9, "wall_s": 100.0}}
    gpu = {**SUMMARY, "device": "cuda", "gpu": "NVIDIA GH200 480GB"}
    runs = [
        cost.past_run("a", {**SUMMARY, "peak_memory_bytes": 1.5e9, "wall_s": 100.0}, stored),
        cost.past_run("b", {**gpu, "peak_memory_bytes": 0.9e9, "wall_s": 150.0}, stored),
        cost.past_run("c", {**SUMMARY, "peak_memory_bytes": 1.3e9, "wall_s": 100.0}, stored),
    ]
    found = cost.typical(cost.misses(run for run in runs if run is not None))
    assert [(t.machine, t.figure, round(t.error, 6), t.runs) for t in found] == [
        ("CPU", "peak_bytes", 0.4, 2),
        ("CPU", "wall_s", 0.0, 2),
        ("NVIDIA GH200 480GB", "peak_bytes", 0.1, 1),
        ("NVIDIA GH200 480GB", "wall_s", 0.5, 1),
    ]
    assert cost.machine_of({}) == ""


def test_a_run_of_a_model_not_known_here_still_tells_its_memory() -> None:
    settings = {"recipe": {**RECIPE.resolved(), "model": {"name": "our-own-13b"}}}
    run = cost.past_run("x", SUMMARY, settings)
    assert run is not None and run.rate is None and run.peak_bytes == 3_493_507_072


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*SUMMARY, "gpu"]), json_like),
    st.dictionaries(st.sampled_from(["recipe", "predicted"]), json_like),
)
def test_whatever_a_host_sends_is_survived(summary: Any, settings: Any) -> None:
    run = cost.past_run("x", summary, settings, host="h")
    if run is not None:
        assert run.tokens > 0 and run.wall_s > 0
        cost.misses([run])
        predicted([run], device="h")
