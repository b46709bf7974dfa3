"""What a training will take: wall time, GPU hours, disk; and how far such predictions were off. Light.

Time comes from finished runs, as the rate they worked at (useful FLOP a second):

    FLOP a token   6 P with checkpointing (forward twice, backward once), 4 P without; + 6 N
                   P parameters a token passes, N trainable ones; weights themselves get no gradient
    wall time      tokens x FLOP a token / rate

Runs of the same model on the same device come first, then runs on the same device, then a figure for
the kind of device, which is said to be an assumption. The interval is meant to hold 8 of 10 runs: a
t interval on the logarithm, with a prior spread that one run alone cannot shrink.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.errors import SettingsError, UsageError
from core.training import architectures
from core.training.architectures import Architecture
from core.training.lessons import Lessons
from core.training.recipe import Recipe, from_settings

# t quantiles for 80 %, by degrees of freedom from 1
_T80 = (3.08, 1.89, 1.64, 1.53, 1.48, 1.44, 1.41, 1.40, 1.38, 1.37)
PRIOR_RUNS = 2  # what the prior spread counts for
SPREAD_SAME = 0.25  # standard deviation of the logarithm among runs of one model on one device
SPREAD_DEVICE = 0.5  # of other models on that device
GUESS = 4.0  # factor either way where nothing like it has run
START_S = 60.0  # loading and saving, where no run tells; more for large models
LOAD_BYTES_PER_S = 1e9
# FLOP a second that LoRA fine-tuning may reach, by a word in the device's name; bf16, dense peak in
# brackets, of which short rows and small batches reach a third or less.
RATES = {
    "gh200": (330e12, "990"),
    "h200": (330e12, "990"),
    "h100": (330e12, "990"),
    "a100": (150e12, "312"),
    "l40": (90e12, "362"),
    "v100": (40e12, "125"),
}
RATE_GPU = 60e12
RATE_CPU = 0.25e12  # two cores with bf16 matrix units, measured


@dataclass(frozen=True, slots=True)
class PastRun:
    """A finished training. device: what it ran on, as named by the run or its host. flops: a token.

    start_s: from the job's start to its first step and from the last to its end, if known.  machine: the
    kind of it, an accelerator's name or CPU; "" if the run does not say.
    """

    job_id: str
    model: str
    device: str
    tokens: int
    wall_s: float
    flops: float | None = None
    start_s: float | None = None
    peak_bytes: int | None = None
    predicted: Mapping[str, Any] | None = None
    machine: str = ""

    @property
    def rate(self) -> float | None:
        """FLOP a second."""
        return self.tokens * self.flops / self.wall_s if self.flops else None


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, hours, bytes. low, high: 8 of 10 runs are expected between.  basis: where it comes
    from, in words.  assumed: no run of the past stands behind it.  disk_bytes: what stays;
    disk_peak_bytes: with checkpoints, while it runs.
    """

    wall_s: float
    low_s: float
    high_s: float
    gpu_hours: float
    disk_bytes: int
    disk_peak_bytes: int
    steps: int
    tokens: int
    flop: float
    basis: str
    assumed: bool
    runs: int


@dataclass(frozen=True, slots=True)
class Miss:
    """One figure of one run, predicted and measured. error: measured / predicted - 1."""

    job_id: str
    figure: Literal["peak_bytes", "wall_s"]
    predicted: float
    measured: float
    machine: str = ""

    @property
    def error(self) -> float:
        return self.measured / self.predicted - 1


def steps_of(recipe: Recipe, rows: int) -> int:
    """Optimizer steps of the whole run."""
    t = recipe.train
    batches = -(-rows // (t.batch_size * t.processes))
    return max(1, math.ceil(t.epochs * -(-batches // t.accumulate)))


def rows_of(recipe: Recipe, lessons: Lessons) -> int:
    return lessons.pairs * (1 + recipe.train.rewordings)


def flops_per_token(recipe: Recipe, shape: Architecture) -> float:
    passes = 6 if recipe.train.gradient_checkpointing else 4
    return passes * shape.active_parameters + 6 * shape.lora_parameters(recipe.lora)


def predict(
    recipe: Recipe,
    shape: Architecture,
    lessons: Lessons,
    past: Sequence[PastRun],
    *,
    device: str = "",
    hardware: str = "",
    kind: str = "gpu",
    model_is_there: bool = True,
) -> Cost:
    """device: the host's name.  hardware: its accelerator's.  model_is_there: else its bytes too."""
    rows = rows_of(recipe, lessons)
    tokens = round(rows * lessons.mean_tokens * recipe.train.epochs)
    per_token = flops_per_token(recipe, shape)
    flop = tokens * per_token
    same = [r for r in past if _same(r.device, device) or _same(r.device, hardware)]
    own = [r for r in same if r.model == recipe.model.name and r.rate]
    processes = recipe.train.processes
    start = _start(own or same, shape)
    assumed = False
    if own:
        rate, factor = _rate(own, SPREAD_SAME)
        basis = f"from {_runs(own)} of {recipe.model.name} on {device}"
    elif others := [r for r in same if r.rate]:
        rate, factor = _rate(others, SPREAD_DEVICE)
        names = ", ".join(sorted({r.model for r in others})[:3])
        basis = f"from {_runs(others)} of other models ({names}) on {device}, by FLOP"
    else:
        rate, why = _guess(f"{hardware} {device}", kind)
        factor, assumed = GUESS, True
        basis = f"assumed: {why}; no run on {device or 'this host'} yet"
    seconds = flop / rate / (processes if kind == "gpu" else 1)
    adapter = 4 * shape.lora_parameters(recipe.lora)
    checkpoint = 3 * adapter  # float32 factors and Adam's two moments
    base = 0 if model_is_there else 2 * shape.parameters
    return Cost(
        wall_s=start + seconds,
        low_s=start + seconds / factor,
        high_s=start + seconds * factor,
        gpu_hours=(start + seconds) * processes / 3600 if kind == "gpu" else 0.0,
        disk_bytes=adapter + base,
        disk_peak_bytes=adapter + base + checkpoint * (recipe.train.keep_checkpoints + 1),
        steps=steps_of(recipe, rows),
        tokens=tokens,
        flop=flop,
        basis=basis,
        assumed=assumed,
        runs=len(own) or len(same),
    )


def past_run(
    job_id: str,
    summary: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    host: str = "",
    lasted_s: float | None = None,
) -> PastRun | None:
    """A run from its summary.json and its job's settings; None if it tells nothing.

    Both come from the host and may lack anything.  lasted_s: of the whole job, start to end.
    """
    tokens, wall = _number(summary, "tokens"), _number(summary, "wall_s")
    if not tokens or not wall or summary.get("smoke") or summary.get("resumed"):
        return None
    flops = None
    model = str(summary.get("base_model", ""))[:200]
    try:
        recipe = from_settings(settings.get("recipe"))
        model = recipe.model.name
        flops = flops_per_token(recipe, architectures.of_recipe(recipe))
    except (SettingsError, UsageError, TypeError):
        pass  # an older recipe, or a model of a shape not known here: its memory still counts
    peak = _number(summary, "peak_memory_bytes")
    predicted = settings.get("predicted")
    return PastRun(
        job_id=job_id,
        model=model,
        device=device_of(summary, host),
        tokens=int(tokens),
        wall_s=wall,
        flops=flops,
        start_s=lasted_s - wall if lasted_s and lasted_s > wall else None,
        peak_bytes=int(peak) if peak else None,
        predicted=predicted if isinstance(predicted, Mapping) else None,
        machine=machine_of(summary),
    )


def machine_of(summary: Mapping[str, Any]) -> str:
    """An accelerator's name, or CPU; "" where the run does not say."""
    return device_of(summary, "CPU" if summary.get("device") == "cpu" else "")


def device_of(summary: Mapping[str, Any], host: str) -> str:
    """The accelerator's name, else the host's."""
    name = summary.get("gpu")
    return str(name)[:200] if isinstance(name, str) and name else host


def prediction(peak_bytes: int, cost: Cost | None) -> dict[str, Any]:
    """What is stored with a job before it starts, as its setting `predicted`."""
    stored: dict[str, Any] = {"peak_bytes": peak_bytes}
    if cost is not None:
        stored |= {k: v for k, v in asdict(cost).items() if k not in ("steps", "tokens", "flop")}
    return stored


def compare(
    predicted: Mapping[str, Any], summary: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Predicted against measured, for the record of the run: {figure: predicted, measured, error}."""
    run = past_run("", {**summary, "resumed": False, "smoke": False}, {"predicted": predicted})
    misses = _misses(run) if run else []
    return {
        m.figure: {
            "predicted": m.predicted,
            "measured": m.measured,
            "error": round(m.error, 4),
        }
        for m in misses
    }


def misses(past: Iterable[PastRun]) -> tuple[Miss, ...]:
    """Every prediction that was stored and can be held against what came."""
    return tuple(m for run in past for m in _misses(run))


@dataclass(frozen=True, slots=True)
class Typical:
    """How far predictions of one figure were off on one kind of machine. error: the median of
    |measured / predicted - 1|.  runs: over how many.
    """

    machine: str
    figure: Literal["peak_bytes", "wall_s"]
    error: float
    runs: int


def typical(found: Iterable[Miss]) -> tuple[Typical, ...]:
    """For each kind of machine, the one of the first run first. Kinds are never taken together: memory
    is another thing on each."""
    errors: dict[tuple[str, Literal["peak_bytes", "wall_s"]], list[float]] = {}
    machines: dict[str, None] = {}
    for miss in found:
        machines.setdefault(miss.machine)
        errors.setdefault((miss.machine, miss.figure), []).append(abs(miss.error))
    order = list(machines)
    return tuple(
        Typical(machine, figure, statistics.median(some), len(some))
        for (machine, figure), some in sorted(
            errors.items(), key=lambda one: (order.index(one[0][0]), one[0][1])
        )
    )


def _misses(run: PastRun) -> list[Miss]:
    if run.predicted is None:
        return []
    out = []
    peak, wall = _number(run.predicted, "peak_bytes"), _number(run.predicted, "wall_s")
    if peak and run.peak_bytes:
        out.append(Miss(run.job_id, "peak_bytes", peak, run.peak_bytes, run.machine))
    if wall:
        took = run.wall_s + (run.start_s or 0.0)
        out.append(Miss(run.job_id, "wall_s", wall, took, run.machine))
    return out


def _rate(runs: Sequence[PastRun], prior: float) -> tuple[float, float]:
    """(typical FLOP a second, factor either way)."""
    logs = [math.log(r.rate) for r in runs if r.rate]
    n = len(logs)
    spread = statistics.variance(logs) if n > 1 else 0.0
    variance = (PRIOR_RUNS * prior**2 + (n - 1) * spread) / (PRIOR_RUNS + n - 1)
    t = _T80[min(PRIOR_RUNS + n - 1, len(_T80)) - 1]
    return math.exp(statistics.fmean(logs)), math.exp(t * math.sqrt(variance * (1 + 1 / n)))


def _guess(device: str, kind: str) -> tuple[float, str]:
    if kind != "gpu":
        return RATE_CPU, f"{RATE_CPU / 1e12:.2g} TFLOP/s of two CPU cores"
    for word, (rate, top) in RATES.items():
        if word in device.casefold():
            return rate, f"{rate / 1e12:.0f} of {top} TFLOP/s"
    return RATE_GPU, f"{RATE_GPU / 1e12:.0f} TFLOP/s, for an accelerator not known here"


def _start(runs: Sequence[PastRun], shape: Architecture) -> float:
    known = [r.start_s for r in runs if r.start_s is not None]
    if known:
        return statistics.median(known)
    return min(START_S, 10 + shape.parameters * 2 / 1e8) + 2 * shape.parameters / LOAD_BYTES_PER_S


def _same(one: str, other: str) -> bool:
    return bool(one) and one.casefold() == other.casefold()


def _runs(runs: Sequence[PastRun]) -> str:
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}"


def _number(data: Mapping[str, Any], key: str) -> float | None:
    """A finite number above zero, or None."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None
