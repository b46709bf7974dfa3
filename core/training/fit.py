"""Does it fit? Peak memory of a training, predicted by part, and what to change where it does not.

The formulas, P parameters, N trainable ones, L layers, h hidden, T tokens on the device in one step,
V vocabulary, q and k widths of queries and keys, i width of the MLP, a experts a token passes:

    weights      2 P in bf16, 4 P in float32; NF4 with double quantisation 0.516 P_linear + 2 P_rest
    adapter      8 N: float32 factors and their gradients
    optimizer    8 N: two moments of Adam in float32
    activations  with checkpointing: 2 T h L of stored inputs, and 1.6 times what one layer saves
                 without: L times what one layer saves; one saves 2 T (4h + 2q + 2k + 4 i a)
    logits       full 10 T V (bf16, float32 copy, gradient); chunked 10 min(T, 1024) V + 4 T h
    overhead     6 % of the sum (fragmentation) + 1.2 GB (context, workspace)

On a CPU activations and overhead are others: core.training.fit_cpu.

All sizes are bytes; people are shown GiB, never decimal GB. The formulas are checked against published
figures of other trainers in tests/training/test_fit.py; no accelerator has measured them here, so each
finished run keeps prediction and measurement (core.training.cost).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.training import fit_cpu
from core.training.architectures import KNOWN, Architecture
from core.training.recipe import Recipe

GIB = 1 << 30
TIGHT = 0.92  # of what is free: above it runs fail now and then
CHECKPOINTED_LAYER = 1.6  # layers' worth of saved tensors in flight while one is computed again
FRAGMENTATION = 0.06
CONTEXT = 1_200_000_000
NF4_BYTES = 0.516  # 4.127 bit: double quantisation of the scales
HEAD_CHUNK = 1024  # positions whose logits exist at once, TRL
OUR_CHUNK = 128  # the same, core.training.fast
MOST_GPUS = 64

Logits = Literal["full", "chunked"]
Verdict = Literal["PASS", "TIGHT", "NO", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Memory:
    """What there is on a host, for one process. free, total: bytes of one accelerator, or of the
    host's memory where there is none; None: not known.  devices: accelerators, None: not known.
    """

    free: int | None = None
    total: int | None = None
    kind: Literal["gpu", "cpu"] = "gpu"
    name: str = ""
    devices: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """One step on one device. longest: tokens of the longest row, which all of a batch are padded to.
    steps: of the whole run; None: not known.
    """

    batch: int
    longest: int
    steps: int | None = None

    @property
    def tokens(self) -> int:
        return self.batch * self.longest


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes by part; `total` is the predicted peak of one process."""

    weights: int
    adapter: int
    optimizer: int
    activations: int
    logits: int
    overhead: int

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def parts(self) -> dict[str, int]:
        return {
            "weights": self.weights,
            "adapter": self.adapter,
            "optimizer": self.optimizer,
            "activations": self.activations,
            "logits": self.logits,
            "overhead": self.overhead,
        }


@dataclass(frozen=True, slots=True)
class Option:
    """A change that helps. settings: for --set.  peak: bytes afterwards."""

    text: str
    settings: tuple[str, ...]
    peak: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Fit:
    """verdict: PASS up to 92 % of what is free, TIGHT up to all of it, NO above."""

    peak: Peak
    memory: Memory
    load: Load
    verdict: Verdict
    options: tuple[Option, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """Predicted peak / free memory."""
        return self.peak.total / self.memory.free if self.memory.free else None

    def sentence(self) -> str:
        need = f"{self.peak.total / GIB:.1f} GiB"
        if self.memory.free is None:
            return f"{need} predicted; free memory of the host not known"
        share, free = self.share or 0.0, f"{self.memory.free / GIB:.1f} GiB free"
        word = {"PASS": "fits", "TIGHT": "tight", "NO": "does not fit"}[self.verdict]
        return f"{need} of {free}, {share:.0%}: {word}"

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "peak_bytes": self.peak.total,
            "parts": self.peak.parts,
            "free_bytes": self.memory.free,
            "total_bytes": self.memory.total,
            "share": self.share,
            "device": self.memory.kind,
            "batch": self.load.batch,
            "longest_tokens": self.load.longest,
            "options": self.options,
            "notes": self.notes,
        }


def fit(
    recipe: Recipe,
    shape: Architecture,
    memory: Memory,
    *,
    longest: int | None = None,
    steps: int | None = None,
) -> Fit:
    """longest: tokens of the longest row if known; else the recipe's max_length.  steps: of the run."""
    load = load_of(recipe, longest, steps, kind=memory.kind)
    predicted = peak(recipe, shape, load, kind=memory.kind)
    found = Fit(predicted, memory, load, verdict_of(predicted.total, memory.free))
    options: tuple[Option, ...] = ()
    if found.verdict in ("TIGHT", "NO"):
        options = tuple(_options(recipe, shape, memory, load))
    return replace(
        found, options=options, notes=tuple(_notes(recipe, shape, memory, load, longest))
    )


def verdict_of(total: int, free: int | None) -> Verdict:
    if free is None:
        return "UNKNOWN"
    return "PASS" if total <= TIGHT * free else "TIGHT" if total <= free else "NO"


def load_of(
    recipe: Recipe, longest: int | None = None, steps: int | None = None, *, kind: str = "gpu"
) -> Load:
    """longest: tokens of the longest row if known. On a CPU batches are padded to multiples of a step."""
    t = recipe.train
    tokens = t.max_length if longest is None else min(longest, t.max_length)
    if kind == "cpu":
        tokens = fit_cpu.padded(tokens)
    return Load(t.batch_size, tokens, steps)


def peak(
    recipe: Recipe,
    shape: Architecture,
    load: Load,
    *,
    kind: str = "gpu",
    logits: Logits | None = None,
    quantised_experts: bool = False,
) -> Peak:
    """Predicted peak of one process.

    logits: default as the trainer does it.  quantised_experts: bitsandbytes replaces linear modules
    only, and the experts are fused parameters, so NF4 leaves them in bf16 unless something else
    quantises them.
    """
    t, parts = recipe.train, recipe.train.processes if recipe.train.sharding == "fsdp" else 1
    width = 4 if recipe.model.dtype == "float32" else 2
    weights = _weights(recipe, shape, width, quantised_experts)
    n = shape.lora_parameters(recipe.lora)
    layer = _layer(recipe, shape, load, width, kind)
    if t.gradient_checkpointing:
        stored = width * load.tokens * shape.hidden * shape.layers
        activations = stored + CHECKPOINTED_LAYER * layer
        if kind == "cpu":
            activations += fit_cpu.held(recipe, shape, load.longest, layer)
    else:
        activations = shape.layers * layer
    head = _logits(recipe, shape, load, logits)
    whole_layers = 2 * width * shape.linear_parameters / shape.layers if parts > 1 else 0
    sizes = (weights / parts + whole_layers, 8 * n / parts, 8 * n / parts, activations, head)
    overhead = FRAGMENTATION * sum(sizes) + CONTEXT
    if kind == "cpu":
        overhead = fit_cpu.overhead(recipe, shape, load.longest, load.steps, activations + head)
    return Peak(*(round(x) for x in (*sizes, overhead)))


def _layer(recipe: Recipe, shape: Architecture, load: Load, width: int, kind: str) -> float:
    """Bytes of what one layer keeps for its backward pass."""
    cpu, longest = kind == "cpu", load.longest
    if cpu and fit_cpu.by_hand(recipe, shape, longest):
        return fit_cpu.saved_by_hand(recipe, shape, load.tokens, longest)
    kept = saved_by_layer(shape, load, width)
    if fit_cpu.eager(recipe, longest) if cpu else recipe.model.attention == "eager":
        kept += 6 * load.batch * shape.heads * longest**2  # scores in float32 and in bf16
    return fit_cpu.LIBRARY * kept if cpu else kept


def saved_by_layer(shape: Architecture, load: Load, width: int = 2) -> int:
    """Bytes of what one layer keeps for its backward pass, without attention scores."""
    active = shape.experts_per_token or 1
    elements = 4 * shape.hidden + 2 * shape.q_width + 2 * shape.kv_width + 4 * shape.mlp * active
    return width * load.tokens * elements


def _weights(recipe: Recipe, shape: Architecture, width: int, experts: bool) -> float:
    if recipe.model.quantise == "none":
        return width * shape.parameters
    small = shape.linear_parameters - (0 if experts else shape.expert_parameters)
    return NF4_BYTES * small + width * (shape.parameters - small)


def _logits(recipe: Recipe, shape: Architecture, load: Load, asked: Logits | None) -> int:
    if asked == "full":
        return 10 * load.tokens * shape.vocab
    light = recipe.train.light_loss and not shape.experts and asked is None
    chunk = OUR_CHUNK if light else HEAD_CHUNK
    return 10 * min(load.tokens, chunk) * shape.vocab + 4 * load.tokens * shape.hidden


def changed(recipe: Recipe, **sections: Mapping[str, Any]) -> Recipe:
    """The recipe with some values replaced: changed(r, train={"batch_size": 1})."""
    parts = {k: getattr(recipe, k).model_copy(update=dict(v)) for k, v in sections.items()}
    return recipe.model_copy(update=parts)


def _options(recipe: Recipe, shape: Architecture, memory: Memory, load: Load) -> Iterator[Option]:
    """Most harmless first. Of each kind the mildest that passes, or the strongest if none does."""

    def tried(text: str, settings: tuple[str, ...], other: Recipe, of: Architecture) -> Option:
        now = load_of(other, load.longest, load.steps, kind=memory.kind)
        need = peak(other, of, now, kind=memory.kind).total
        return Option(text, settings, need, verdict_of(need, memory.free))

    t = recipe.train
    if not t.gradient_checkpointing:
        with_it = changed(recipe, train={"gradient_checkpointing": True})
        text = "compute activations again in the backward pass (a step takes about a third longer)"
        yield tried(text, ("train.gradient_checkpointing=true",), with_it, shape)
    best: Option | None = None
    size = t.batch_size
    while size > 1 and (best is None or best.verdict != "PASS"):
        size //= 2
        more = t.accumulate * -(-t.batch_size // size)
        smaller = changed(recipe, train={"batch_size": size, "accumulate": more})
        settings = (f"train.batch_size={size}", f"train.accumulate={more}")
        best = tried("smaller batches, more of them a step: same result", settings, smaller, shape)
    if best:
        yield best
    if memory.kind == "cpu":
        yield from _other_bases(recipe, shape, memory, load)
        return
    if recipe.model.quantise == "none":
        text = (
            "4-bit weights (NF4): slower, trained against rounded weights; evaluate after a merge"
        )
        if shape.experts:
            text = "4-bit weights help little here: the experts are fused and stay in bf16"
        small = changed(recipe, model={"quantise": "nf4"})
        yield tried(text, ("model.quantise=nf4",), small, shape)
    count, divided = max(2, t.processes), None
    while count <= MOST_GPUS and (divided is None or divided.verdict != "PASS"):
        spread = changed(recipe, train={"processes": count, "sharding": "fsdp"})
        settings = (f"train.processes={count}", "train.sharding=fsdp")
        text = f"FSDP over {count} GPUs of this size, on a Slurm host"
        divided = tried(text, settings, spread, shape)
        count *= 2
    if divided:
        yield divided
    yield from _other_bases(recipe, shape, memory, load)


def _other_bases(
    recipe: Recipe, shape: Architecture, memory: Memory, load: Load
) -> Iterator[Option]:
    """The largest base known here that passes with the recipe's other settings."""
    for other in sorted(KNOWN.values(), key=lambda a: -a.parameters):
        if other.parameters >= shape.parameters or other.name in ("tiny", "llama-2-7b"):
            continue
        need = peak(recipe, other, load, kind=memory.kind).total
        if verdict_of(need, memory.free) == "PASS":
            text = f"another base: the recipe {other.name} ({other.parameters / 1e9:.1f} B)"
            yield Option(text, (f"model.name={other.name}",), need, "PASS")
            return


def _notes(
    recipe: Recipe, shape: Architecture, memory: Memory, load: Load, longest: int | None
) -> Iterator[str]:
    if longest is None:
        yield f"rows of max_length {load.longest} are assumed: no data was given"
    if recipe.model.quantise == "nf4" and shape.experts:
        yield "NF4 leaves the experts in bf16: they are fused parameters, not linear modules"
    if recipe.train.processes > 1 and recipe.train.sharding == "none":
        yield "without sharding each of the processes holds the whole model"
    if memory.free and memory.total and memory.kind == "gpu" and memory.free < 0.9 * memory.total:
        used = (memory.total - memory.free) / GIB
        yield f"{used:.1f} of {memory.total / GIB:.1f} GiB are in use on the host right now"
