"""How a training builds on an earlier one: from the base, merged with it, or from where it stopped.

    retrain    every pair of the snapshot, from the base
    merge      the earlier adapter summed into the base in float32, a new adapter beside it, and at the
               end the sum of both as one adapter of the base (no merge of a merge, ever)
    continue   the earlier adapter goes on, at a lower rate and with a warm-up

`decide` says which, and why; the others carry it out. Light: no torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from core import base_manifest
from core.errors import UsageError
from core.pairs import Message, Pair
from core.training import data, replay
from core.training.recipe import Recipe
from core.training.refusals import check_adapter, check_adapter_directory
from core.training.replay import Mix

Strategy = Literal["retrain", "merge", "continue"]

SMALL = 50_000  # pairs up to which a full training costs minutes to hours
MINOR, MODERATE = 0.02, 0.10  # shares of the pairs that are new or changed
ATTENTION = frozenset("q_proj k_proj v_proj o_proj".split())
DENSE = ATTENTION | {"gate_proj", "up_proj", "down_proj"}
EXPERTS = frozenset(("w1", "w2", "w3"))


@dataclass(frozen=True, slots=True)
class Change:
    """What a new snapshot asks for, against what the earlier adapter was trained on.

    pairs: of the new snapshot.  same_base, same_targets: None where nothing was trained before.
    """

    pairs: int
    new: int
    changed: int
    removed: int
    same_base: bool | None = None
    same_targets: bool | None = None

    @property
    def share(self) -> float:
        return (self.new + self.changed + self.removed) / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """reasons: for it, the deciding one first.  against: the others, each with what speaks against it."""

    strategy: Strategy
    reasons: tuple[str, ...]
    against: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(change: Change) -> Decision:
    """The strategy for a change. Pure."""
    values = (
        "changed and removed facts: neither incremental way makes sure that the old value is gone; "
        "the negative questions measure it"
    )
    both = {
        "merge": "an update lost in rounding, a rank that grows with every round, old values that stay",
        "continue": "the optimizer starts without its memory, facts outside the replay fade, old "
        "values stay",
    }
    if change.same_base is None:
        return Decision("retrain", ("no earlier adapter to build on",), both)
    if not change.same_base:
        return Decision("retrain", ("another base: the factors fit no other weights",), both)
    if change.pairs < SMALL:
        reasons = [
            f"{change.pairs} pairs: from the base costs minutes on an accelerator, and an incremental "
            f"training saves nothing worth its risks below {SMALL}"
        ]
        if change.changed or change.removed:
            reasons.append(values)
        return Decision("retrain", tuple(reasons), both)
    late = {"retrain": f"{change.pairs} pairs again for {change.share:.1%} that differ"}
    if change.share > MODERATE:
        why = f"{change.share:.0%} of the pairs differ: a major change"
        return Decision("retrain", (why,), both)
    if change.changed or change.removed or change.share > MINOR:
        if change.same_targets is False:
            why = "facts changed, and the earlier adapter has other targets: it cannot go on"
            return Decision("retrain", (why, values), both)
        why = f"{change.share:.1%} of the pairs differ: a moderate change; {values}"
        return Decision("continue", (why,), {"merge": both["merge"], **late})
    why = f"only additions, {change.share:.1%} of the pairs: a minor change"
    return Decision("merge", (why,), {"continue": both["continue"], **late})


def settled(
    recipe: Recipe, init_adapter: Path | None, previous_data: Path | None
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe as it will be carried out, and what is to be said about it.

    Raises UsageError, MissingComponent: nothing to build on, another base, other targets, or no
    earlier pairs to replay.
    """
    part = recipe.incremental
    if part.strategy == "retrain":
        if init_adapter is None:
            return recipe, ()
        return recipe, (
            "starts from an earlier adapter on every row of the data; incremental.strategy=continue "
            "would train the difference, with replay, a lower rate and a warm-up",
        )
    if init_adapter is None or previous_data is None:
        raise _nothing_to_build_on(part.strategy, init_adapter)
    if part.strategy == "merge":
        _check_mergeable(recipe)
        _check_base(init_adapter, recipe)
        return recipe, (f"merges {init_adapter} into the base in float32 and trains beside it",)
    check_adapter_directory(init_adapter, recipe)
    check_targets(init_adapter, recipe)
    return _slowed(recipe)


def _nothing_to_build_on(strategy: Strategy, init_adapter: Path | None) -> UsageError:
    if init_adapter is None:
        return UsageError(
            f"incremental.strategy is {strategy}, and no earlier adapter is named",
            try_next="--init-adapter DIR, or --set incremental.strategy=retrain",
        )
    return UsageError(
        f"incremental.strategy is {strategy}, and the earlier adapter's pairs are not named",
        why="what is new is told by comparing, and what is old must be replayed or it is forgotten",
        try_next="--previous-data FILE (the earlier snapshot), or "
        "--set incremental.strategy=retrain",
    )


def check_targets(adapter: Path, recipe: Recipe) -> None:
    """An adapter that goes on keeps its modules. Raises UsageError."""
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    has = config.get("target_modules") or []
    had = {has} if isinstance(has, str) else {str(t).rpartition(".")[2] for t in has}
    parameters = sorted(map(str, config.get("target_parameters") or []))
    wanted = recipe.lora.targets
    if wanted == "all-linear":
        same = "all-linear" in had or had >= (ATTENTION if parameters else DENSE)
    else:
        names = {t.rpartition(".")[2] for t in wanted}
        if names & EXPERTS:  # PEFT saves those as parameters
            same = bool(parameters) and names - EXPERTS - {"gate"} == had
        else:
            same = names == had and parameters == sorted(recipe.lora.target_parameters)
    if not same:
        raise UsageError(
            f"{adapter}: trained on {', '.join([*sorted(had), *parameters])[:300]}, the recipe says "
            f"{wanted if isinstance(wanted, str) else ', '.join(wanted)}",
            why="an adapter keeps its modules while it is trained on",
            try_next=f'--set "lora.targets=[{", ".join(sorted(had))}]", or '
            "incremental.strategy=merge, which takes any",
        )


def rows_for(
    recipe: Recipe, path: Path, previous: Path | None
) -> tuple[list[data.Conversation], Mix | None]:
    """The conversations to train on. All of the file with retrain; else new, changed and replayed ones.

    Raises PairsError, UsageError.
    """
    rows = data.read_conversations(path)
    part = recipe.incremental
    if part.strategy == "retrain" or previous is None:
        return rows, None
    after = _pairs(path, rows)
    before = _pairs(previous, data.read_conversations(previous))
    mixed = replay.mix(before, after, share=part.replay, seed=recipe.train.seed)
    kept = set(mixed.ids)
    return [row for row in rows if row.id in kept], mixed


def identity_of(previous: Path | None) -> str:
    """sha256 of the earlier pairs, for the identity of a run; "" without."""
    return base_manifest.sha256(previous) if previous is not None else ""


def _slowed(recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    part, train = recipe.incremental, recipe.train
    lr, warmup = train.lr * part.lr_factor, max(train.warmup, part.warmup)
    changed = recipe.model_copy(
        update={"train": train.model_copy(update={"lr": lr, "warmup": warmup})}
    )
    return changed, (
        f"continues an adapter: rate {train.lr:g} × {part.lr_factor:g} = {lr:g}, warm-up over "
        f"{warmup:.0%} of the steps, for the optimizer starts without its memory",
    )


def _check_mergeable(recipe: Recipe) -> None:
    """Raises UsageError: the weights are not whole in each process, or not in 16 bit."""
    for is_so, key, reset in (
        (recipe.train.sharding != "none", "train.sharding", "none"),
        (recipe.model.quantise != "none", "model.quantise", "none"),
    ):
        if is_so:
            raise UsageError(
                f"incremental.strategy is merge, and {key} is set",
                why="the earlier update is added to whole weights, which no process has then",
                try_next=f"--set {key}={reset}, or --set incremental.strategy=retrain",
            )


def _check_base(adapter: Path, recipe: Recipe) -> None:
    """Of this base; its rank may be any. Raises MissingComponent, UsageError."""
    from core.training.adapter_files import read

    check_adapter({"base_model_name_or_path": read(adapter).base}, recipe, str(adapter))


def _pairs(path: Path, rows: list[data.Conversation]) -> list[Pair]:
    """The same rows as pairs. The file was read once already: its lines are whole."""
    lines = [x for x in path.read_text("utf-8").split("\n") if x.strip()]
    out = []
    for row, line in zip(rows, lines, strict=True):
        raw = json.loads(line)
        turns = (*row.prompt, row.completion)
        out.append(
            Pair(
                row.id,
                str(raw.get("source") or ""),
                str(raw.get("source_ref") or ""),
                str(raw.get("domain") or "unknown"),
                tuple(Message(m["role"], m["content"]) for m in turns),
                raw.get("metadata") if isinstance(raw.get("metadata"), dict) else {},
            )
        )
    return out
