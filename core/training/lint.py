"""Can this run teach what it should? Ten rules on the recipe, the data and the host. Light.

A rule answers with an error, a warning or a note: what is found, why it matters, who says so, and what
to do. An error stops a launch unless it is accepted with a reason, which is part of the recipe
(`accept:`) and so of the job's settings and of the version that comes of it.

What cannot work at all is no matter of acceptance: that is core.training.refusals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.errors import UsageError
from core.training import fit as fits
from core.training import fit_cpu
from core.training.architectures import Architecture
from core.training.cost import rows_of, steps_of
from core.training.fit import GIB, Fit
from core.training.lessons import Lessons
from core.training.recipe import RULES, Recipe

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

UPDATE_LEAST = 5e-5  # lr x scale
STEPS_LEAST = 300
WORDINGS_WANTED = 5
DEFERRALS_LEAST, DEFERRALS_MOST = 0.10, 0.20
UNKNOWN_MOST = 0.5
BATCH_MOST = 64
CHANGE_LEAST = 0.01  # of the weights' norm: below it a bf16 merge loses half of an update and more

REGRET = "Schulman et al. 2025, LoRA Without Regret"
LESS = "Biderman et al. 2024, LoRA Learns Less and Forgets Less"
PHYSICS = "Allen-Zhu and Li 2024, Physics of Language Models 3.1"
GEKHMAN = "Gekhman et al. 2024, Does Fine-Tuning LLMs on New Knowledge Encourage Hallucinations?"
PLETENEV = "Pletenev et al. 2025, arXiv 2502.14502"
RSLORA = "Kalajdzievski 2023, rank-stabilised LoRA"
CRAFT = "refusal-aware tuning and over-refusal, CRaFT, AAAI 2025"
PEFT = "PEFT 0.21, LoRA on bare parameters"
MEASURED_SMALL = "measured on the small model with the sample corpus"
MEASURED_MERGE = "measured: rank-64 update of a 2048 x 2048 matrix, merged in bf16"


@dataclass(frozen=True, slots=True)
class Finding:
    """fix: what to do, in words.  settings: the same for --set, if it is a setting.  accepted: the
    reason it was taken for, or "".
    """

    rule: str
    severity: Severity
    message: str
    reason: str
    source: str
    fix: str = ""
    settings: tuple[str, ...] = ()
    accepted: str = ""

    @property
    def stops(self) -> bool:
        return self.severity == "error" and not self.accepted


@dataclass(frozen=True, slots=True)
class Run:
    """All a rule may look at. lessons, fit: None where not known.  merge: the adapter is to be merged
    into the base's weights afterwards.
    """

    recipe: Recipe
    shape: Architecture
    lessons: Lessons | None = None
    fit: Fit | None = None
    merge: bool = False
    smoke: bool = False

    @property
    def scale(self) -> float:
        """What the low-rank product is multiplied with."""
        lora = self.recipe.lora
        return lora.alpha / (math.sqrt(lora.r) if lora.rslora else lora.r)

    @property
    def steps(self) -> int | None:
        if self.lessons is None:
            return None
        return steps_of(self.recipe, rows_of(self.recipe, self.lessons))


def lint(run: Run) -> tuple[Finding, ...]:
    """Findings, errors first, in the order of the rules; accepted ones carry their reason."""
    found = [f for rule in _RULES for f in rule(run)]
    taken = run.recipe.accept
    marked = [
        replace(f, accepted=taken.get(f.rule, "")) if f.severity == "error" else f for f in found
    ]
    return tuple(sorted(marked, key=lambda f: SEVERITIES.index(f.severity)))


def require_accepted(findings: tuple[Finding, ...]) -> None:
    """Raises UsageError naming every error that nobody accepted."""
    open_ = [f for f in findings if f.stops]
    if open_:
        words = " ".join(
            f'--accept {rule} "REASON"' for rule in dict.fromkeys(f.rule for f in open_)
        )
        raise UsageError(
            "; ".join(f"{f.rule}: {f.message}" for f in open_),
            why=" ".join(f.reason for f in open_),
            try_next="; or ".join([*(f.fix for f in open_ if f.fix), f"take it: {words}"]),
        )


def record(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """For a job's settings: rule, severity, message and the reason it was accepted for."""
    return [
        {"rule": f.rule, "severity": f.severity, "message": f.message, "accepted": f.accepted}
        for f in findings
    ]


# -- the rules ---------------------------------------------------------------------------------


def _targets(run: Run) -> Iterator[Finding]:
    lora = run.recipe.lora
    if not run.shape.attention_only(lora):
        return
    if run.shape.experts:
        yield Finding(
            "L1",
            "note",
            "the experts get no adapter, only attention does",
            "Facts sit mostly in the MLP, here the experts; adapting them costs memory and needs "
            "dropout 0.",
            REGRET,
        )
        return
    wide = fits.changed(run.recipe, lora={"targets": "all-linear"})
    kind = run.fit.memory.kind if run.fit else "gpu"
    longest = run.lessons.longest_tokens if run.lessons else None
    load = fits.load_of(run.recipe, longest, kind=kind)
    more = (
        fits.peak(wide, run.shape, load, kind=kind).total
        - fits.peak(run.recipe, run.shape, load, kind=kind).total
    )
    yield Finding(
        "L1",
        "warning",
        "only attention is adapted",
        "Facts sit mostly in the MLP: attention-only LoRA does worse at equal size. On the small model "
        "it got 9 % of facts right in new words, all linear layers 21 %.",
        f"{REGRET}; {LESS}; {MEASURED_SMALL}",
        f"adapt all linear layers: {more / GIB:.1f} GiB more here",
        ("lora.targets=all-linear",),
    )


def _rate(run: Run) -> Iterator[Finding]:
    lr, product = run.recipe.train.lr, run.recipe.train.lr * run.scale
    if product >= UPDATE_LEAST:
        return
    yield Finding(
        "L2",
        "warning",
        f"lr × scale = {product:.1e}, below {UPDATE_LEAST:.0e}",
        "The first updates are as large as the learning rate times alpha / r. LoRA wants about ten "
        "times the rate of full fine-tuning, more for short runs; at 2e-5 the small model did not "
        "change at all (loss 3.7 before and after).",
        f"{REGRET}; {MEASURED_SMALL}",
        f"try three points: qa jobs train … --sweep train.lr={lr:.0e},{3 * lr:.0e},{10 * lr:.0e}",
        (f"train.lr={10 * lr:.1e}",),
    )


def _steps(run: Run) -> Iterator[Finding]:
    steps = run.steps
    if steps is None or steps >= STEPS_LEAST or run.smoke:
        return
    epochs = math.ceil(run.recipe.train.epochs * STEPS_LEAST / steps)
    yield Finding(
        "L3",
        "warning",
        f"{steps} optimizer steps, fewer than {STEPS_LEAST}",
        "Unknown facts are fitted late; a short run needs a higher rate, more epochs, or better more "
        "wordings of each fact.",
        f"{GEKHMAN}; {REGRET}",
        f"more wordings of each fact, or {epochs} epochs",
        (f"train.epochs={epochs}",),
    )


def _wordings(run: Run) -> Iterator[Finding]:
    lessons = run.lessons
    if lessons is None or not lessons.facts or run.smoke or lessons.per_fact >= WORDINGS_WANTED:
        return
    shallow = (
        f" {run.recipe.train.rewordings} mechanical rewordings are not counted: they raised it to 27 %."
        if run.recipe.train.rewordings
        else ""
    )
    yield Finding(
        "L4",
        "error",
        f"{lessons.per_fact:.1f} wordings per fact ({WORDINGS_WANTED} wanted; "
        f"{lessons.facts_below(WORDINGS_WANTED)} of {lessons.facts} facts have fewer): stored, not "
        "extractable",
        "A fact that is always asked in the same words is memorised with them and not found under "
        "others: 90 % of trained wordings right on the small model, 21 % of new ones." + shallow,
        f"{PHYSICS}; {MEASURED_SMALL}",
        "add wordings: true paraphrases, checked against the facts",
    )


def _deferrals(run: Run) -> Iterator[Finding]:
    lessons = run.lessons
    if lessons is None or run.smoke:
        return
    share, fix = lessons.deferral_share, "add questions that a live tool must answer, 10 to 20 %"
    if share < DEFERRALS_LEAST:
        none = not lessons.deferrals
        yield Finding(
            "L5",
            "error",
            "no pair that defers"
            if none
            else f"{share:.0%} of the pairs defer ({lessons.deferrals} of {lessons.pairs}), "
            f"fewer than {DEFERRALS_LEAST:.0%}",
            "Refusal cannot be learned from none, and training on facts alone unlearns it: the model "
            "stops refusing.",
            PLETENEV,
            fix,
        )
    elif share > DEFERRALS_MOST:
        yield Finding(
            "L5",
            "note",
            f"{share:.0%} of the pairs defer, more than {DEFERRALS_MOST:.0%}",
            "Too many refusals teach to refuse what could be answered; watch false refusals.",
            CRAFT,
        )


def _unknown(run: Run) -> Iterator[Finding]:
    lessons = run.lessons
    if lessons is None or run.smoke:
        return
    share = lessons.unknown_share
    if share is None:
        yield Finding(
            "L6",
            "note",
            "how many of the facts the base knows already has not been asked",
            "The share of unknown facts is the best prognosis of what is learned and what is invented.",
            GEKHMAN,
            "take a census of the base before training, once for a base and a snapshot",
            ("census.before_training=true",),
        )
    elif share > UNKNOWN_MOST:
        yield Finding(
            "L6",
            "warning",
            f"{share:.0%} of the facts are unknown to the base"
            + (f" ({lessons.unknown_from})" if lessons.unknown_from else ""),
            "Hallucination on what the model knew before rises with the unknown facts that are finally "
            "fitted; a mix with known facts and an early stop avoid most of it.",
            f"{GEKHMAN}; {PLETENEV}",
            "mix in facts the base knows, and stop by the recall probe",
        )


def _stop(run: Run) -> Iterator[Finding]:
    recipe = run.recipe
    divided = recipe.train.sharding != "none"
    if run.smoke or (recipe.stop.rule != "none" and not divided):
        return
    what = "no stop by recall"
    fix = "stop when held-out recall minus fabrication, by the probe, no longer rises"
    settings: tuple[str, ...] = ("stop.rule=recall",)
    if not recipe.probe.every:
        settings = ("probe.every=epoch", *settings)
    if divided:
        what = "nothing is probed while the model is divided among processes"
        fix = "fewer epochs, and qa-eval on each checkpoint; or a base that one accelerator holds"
        settings = ()
    yield Finding(
        "L7",
        "warning",
        f"{recipe.train.epochs:g} epochs whatever happens: {what}",
        "The last epochs fit the unknown facts, and that is when invention rises.",
        GEKHMAN,
        fix,
        settings,
    )


def _settings(run: Run) -> Iterator[Finding]:
    lora, t = run.recipe.lora, run.recipe.train
    if lora.rslora and lora.alpha >= 2 * lora.r:
        yield Finding(
            "L8",
            "warning",
            f"rsLoRA with alpha {lora.alpha:g} and r {lora.r}: the scale is {run.scale:.0f}, not "
            f"{lora.alpha / lora.r:g}",
            "alpha / sqrt(r) is a jump against alpha / r; a rate tuned without it is too high with it.",
            RSLORA,
            "set alpha so that the scale stays, or tune the rate anew",
            (f"lora.alpha={lora.alpha / math.sqrt(lora.r):g}",),
        )
    batch = t.batch_size * t.accumulate * t.processes
    if batch > BATCH_MOST:
        yield Finding(
            "L8",
            "warning",
            f"{batch} rows a step, more than {BATCH_MOST}",
            "LoRA tolerates large batches worse than full fine-tuning.",
            REGRET,
            "fewer rows a step",
        )
    if lora.dropout > 0 and run.shape.adapts_experts(lora):
        yield Finding(
            "L8",
            "error",
            f"dropout {lora.dropout:g} with adapters on experts or router",
            "They are bare parameters, and PEFT refuses dropout there: the run ends while the adapter "
            "is being attached, unless the trainer sets it to 0.",
            PEFT,
            "dropout 0",
            ("lora.dropout=0",),
        )
    elif lora.dropout > 0 and _loses_the_fast_way(run):
        yield Finding(
            "L8",
            "note",
            f"dropout {lora.dropout:g}: on a CPU the layers then go the library's way",
            "The layers by hand have no dropout; the library's take longer and keep more in memory.",
            MEASURED_SMALL,
            "dropout 0",
            ("lora.dropout=0",),
        )


def _loses_the_fast_way(run: Run) -> bool:
    if run.fit is None or run.fit.memory.kind != "cpu":
        return False
    without = fits.changed(run.recipe, lora={"dropout": 0.0})
    return fit_cpu.by_hand(without, run.shape, run.fit.load.longest)


def _memory(run: Run) -> Iterator[Finding]:
    if run.fit is None or run.fit.verdict not in ("TIGHT", "NO"):
        return
    largest = sorted(run.fit.peak.parts.items(), key=lambda p: -p[1])[:3]
    parts = ", ".join(f"{name} {size / GIB:.1f}" for name, size in largest)
    helps = next((o for o in run.fit.options if o.verdict == "PASS"), None)
    yield Finding(
        "L9",
        "error",
        run.fit.sentence(),
        f"Largest: {parts} GiB. Above {fits.TIGHT:.0%} of free memory a run fails now and then.",
        "prediction of core/training/fit.py, checked against published figures",
        f"{helps.text}: {helps.peak / GIB:.1f} GiB" if helps else "a smaller base",
        helps.settings if helps else (),
    )


def _merge(run: Run) -> Iterator[Finding]:
    if not run.merge or run.steps is None:
        return
    change = relative_change(run)
    if change >= CHANGE_LEAST:
        return
    yield Finding(
        "L10",
        "error",
        f"a merge is planned, and the update is predicted at {change:.1%} of the weights' norm",
        "bf16 has 8 bits of fraction: of an update of 0.3 % half of the weights stay as they are, and "
        "at 0.1 % more than three quarters.",
        MEASURED_MERGE,
        "keep the adapter beside the base, or a higher rate",
    )


def relative_change(run: Run) -> float:
    """Rough ||dW|| / ||W|| after the run, an estimate good to a factor of about two.

    Under Adam entries of B reach about 0.7 lr sqrt(steps) (0.6 to 0.9 in nine runs of the small
    model); A starts with variance 1 / (3 d_in); the product comes out 1.5 times as large as if both
    were independent.
    """
    lora, lr = run.recipe.lora, run.recipe.train.lr
    b = 0.7 * lr * math.sqrt(run.steps or 0)
    a = math.sqrt(1 / (3 * run.shape.hidden) + b * b)
    return 1.5 * run.scale * math.sqrt(lora.r) * a * b / run.shape.weight_rms


_RULES: tuple[Callable[[Run], Iterator[Finding]], ...] = (
    _targets,
    _rate,
    _steps,
    _wordings,
    _deferrals,
    _unknown,
    _stop,
    _settings,
    _memory,
    _merge,
)
assert len(_RULES) == len(RULES)
