"""What a training on a CPU takes beside weights, adapter and optimizer: measured on the small model.

There is no allocator of its own to ask, and the figure is the resident set of the whole process:

    process      interpreter, torch, libraries, rows: 0.6 GB
    programs     a CPU's matrix units get one for every shape of a product; 40 for each length that batches
                 are padded to (of as many as there are steps), 0.4 MB each, 1,024 at most
    activations  layers by hand: 2 T (4h + 2q + 2k + 2i + 7r + a s) each; a heads, s tokens of a row.
                 the library's way: 1.5 times what an accelerator's formula says, for its norms and its
                 attention keep float32 copies
                 checkpointed, the library's way: 30 % of what all layers would keep comes on top, measured;
                 what keeps it is not known, for the backward pass does not
    kept         15 % of activations and logits: blocks of other sizes that malloc holds on to
    a probe      programs of its own, and packed weights with keys and values where activations were
"""

from __future__ import annotations

from core.training.architectures import Architecture
from core.training.recipe import Recipe

PROCESS = 600_000_000
PROGRAM = 400_000
PROGRAMS_A_LENGTH = 40
PROBE_PROGRAMS = 400
MOST_PROGRAMS = 1024  # what oneDNN keeps
PROBED_AT_ONCE = 64  # core.training.probe.BATCH
MOST_PACKED = 8 << 30  # core.evaluation.packing.MAX_BYTES
LENGTH_STEP = 8  # core.training.fast.CPU_LENGTH, which torch comes with
LIBRARY = 1.5
HELD = 0.3
KEPT = 0.15
SHORT = 512  # tokens up to which attention is plain (core.training.attention)
BY_HAND = frozenset({"mistral", "llama"})  # core.training.layer.FAMILIES


def padded(longest: int) -> int:
    """Tokens that a batch with a row of so many is padded to."""
    return -(-longest // LENGTH_STEP) * LENGTH_STEP


def eager(recipe: Recipe, longest: int) -> bool:
    """Whether attention will be plain, as core.training.attention decides on a CPU."""
    wanted = recipe.model.attention
    return wanted == "eager" or (wanted != "sdpa" and longest <= SHORT)


def by_hand(recipe: Recipe, shape: Architecture, longest: int) -> bool:
    """Whether the layers will be those of core.training.layer."""
    return (
        recipe.train.low_rank_in_model_dtype
        and shape.family in BY_HAND
        and not shape.qkv_bias
        and recipe.lora.dropout == 0
        and eager(recipe, longest)
    )


def saved_by_hand(recipe: Recipe, shape: Architecture, tokens: int, longest: int) -> int:
    """Bytes of what one layer by hand keeps for its backward pass."""
    width = 4 if recipe.model.dtype == "float32" else 2
    plain = 4 * shape.hidden + 2 * shape.q_width + 2 * shape.kv_width + 2 * shape.mlp
    ranks = sum(rank for _, rank in shape.adapted(recipe.lora))
    return width * tokens * (plain + ranks + shape.heads * longest)


def held(recipe: Recipe, shape: Architecture, longest: int, layer: float) -> float:
    """Bytes that stay although they are computed again. layer: of what one layer saves."""
    return 0 if by_hand(recipe, shape, longest) else HELD * shape.layers * layer


def asked(recipe: Recipe, shape: Architecture, longest: int) -> float:
    """Bytes that a probe takes while it answers: weights in the order of the matrix units, and keys and
    values of all rows, twice while they grow. 0 for a recipe without one."""
    p = recipe.probe
    if not p.every:
        return 0
    width = 4 if recipe.model.dtype == "float32" else 2
    packed = width * (shape.linear_parameters + shape.vocab * shape.hidden) if width == 2 else 0
    rows = min(PROBED_AT_ONCE, p.facts + p.deferrals + p.canaries)
    tokens = rows * (longest // 2 + p.max_new_tokens)
    return (packed if packed < MOST_PACKED else 0) + 2 * width * tokens * (
        2 * shape.kv_width * shape.layers
    )


def overhead(
    recipe: Recipe, shape: Architecture, longest: int, steps: int | None, in_flight: float
) -> float:
    """longest: tokens of a row.  steps: of the run, if known.  in_flight: bytes of activations and logits,
    of which nothing is left while a probe answers."""
    lengths = -(-longest // LENGTH_STEP)
    seen = lengths if steps is None else min(lengths, steps)
    programs = PROGRAMS_A_LENGTH * seen + (PROBE_PROGRAMS if recipe.probe.every else 0)
    kept = max(KEPT * in_flight, asked(recipe, shape, longest) - in_flight)
    return PROCESS + PROGRAM * min(MOST_PROGRAMS, programs) + kept
