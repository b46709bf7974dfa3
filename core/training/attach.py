"""Load the base model, attach LoRA, and prove afterwards that every targeted module learned."""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from core.errors import EnvironmentProblem, JobFailed, MissingComponent, UsageError
from core.training import experts, four_bit, refusals, sharding, weights
from core.training.adapter_files import WEIGHTS
from core.training.attention import attention as attention
from core.training.environment import device, dtype
from core.training.experts import Adapted, Targets
from core.training.recipe import Recipe
from core.training.tokenizer import load_tokenizer as load_tokenizer
from core.training.weights import Large

# never worth adapting, and the light loss reads the head's weight directly
EXCLUDED = ("lm_head", "embed_tokens")


@dataclass(frozen=True, slots=True)
class Attached:
    """model: PeftModel.  modules: names of the adapted modules.  notes: what was decided, aloud.
    ranks: of each adapted matrix.  weights: the large frozen parameters as they lie in memory.
    """

    model: Any
    tokenizer: Any
    modules: tuple[str, ...]
    trainable: int
    total: int
    notes: tuple[str, ...]
    ranks: tuple[Adapted, ...] = ()
    weights: tuple[Large, ...] = ()

    def sentence(self) -> str:
        return (
            f"{self.trainable / 1e6:.2f} M of {self.total / 1e6:.1f} M parameters in "
            f"{len(self.modules)} modules are trained ({'; '.join(experts.by_rank(self.ranks))}); "
            f"{'; '.join(self.notes)}"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "trainable": self.trainable,
            "total": self.total,
            "modules": len(self.modules),
            "notes": list(self.notes),
            "ranks": [r.as_dict() for r in self.ranks],
            "weights": [w.as_dict() for w in self.weights],
        }


def load_model(base: Path, recipe: Recipe, attention_name: str) -> Any:
    """The base model where it is trained: on the accelerator, or, if it is to be divided among
    several, where its first process has read it. Raises EnvironmentProblem."""
    from transformers import AutoModelForCausalLM

    sharding.before_loading(recipe)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(base),
            dtype=dtype(recipe.model.dtype),
            attn_implementation=attention_name,
            local_files_only=True,
            **four_bit.loading(recipe),
        )
    except (OSError, ValueError, KeyError, RuntimeError) as e:
        raise EnvironmentProblem(
            f"{base}: the model cannot be loaded",
            why=str(e).splitlines()[0] if str(e) else type(e).__name__,
            try_next="fetch or copy it again (`qa model fetch NAME`)",
        ) from e
    except Exception as e:
        if type(e).__name__ != "SafetensorError":
            raise
        raise EnvironmentProblem(
            f"{base}: the weights are damaged",
            why=str(e),
            try_next="fetch or copy the model again (`qa model fetch NAME`)",
        ) from e
    model.config.use_cache = False
    placed = four_bit.wanted(recipe) or sharding.wanted(recipe)
    return model if placed else model.to(device())


def attach(model: Any, tokenizer: Any, recipe: Recipe, notes: tuple[str, ...]) -> Attached:
    """A fresh adapter: A random, B zero, so the model starts as the base. Seed set by the caller."""
    lora = recipe.lora
    found = experts.targets(lora, experts.is_fused(model))
    _check_targets(model, found)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=_whole(lora.alpha),
        lora_dropout=0.0 if found.parameters else lora.dropout,
        target_modules=found.modules,
        target_parameters=found.parameters or None,
        use_rslora=lora.rslora,
        bias="none",
        task_type="CAUSAL_LM",
        **experts.patterns(found, lora),
    )
    with warnings.catch_warnings():
        # it looks for the ranks of parameters among the modules; those in force are checked below
        warnings.filterwarnings("ignore", message=".*rank_pattern|.*alpha_pattern")
        peft: Any = get_peft_model(model, config)
    return _attached(peft, tokenizer, recipe, (*notes, *found.notes))


def attach_existing(
    model: Any, tokenizer: Any, recipe: Recipe, adapter: Path, notes: tuple[str, ...]
) -> Attached:
    """Go on training an adapter made earlier; it must be of the same shape as the recipe asks."""
    check_adapter(adapter, recipe)
    try:
        peft: Any = PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    except Exception as e:
        raise EnvironmentProblem(
            f"{adapter}: the adapter does not fit this base model",
            why=str(e).splitlines()[0][:300] if str(e) else type(e).__name__,
            try_next="name the base model the adapter was trained on",
        ) from e
    notes = (*notes, f"continues from the adapter {adapter}")
    return _attached(peft, tokenizer, recipe, notes)


def check_adapter(adapter: Path, recipe: Recipe) -> None:
    """Raises MissingComponent or UsageError."""
    refusals.check_adapter_directory(adapter, recipe)
    if not (adapter / WEIGHTS).is_file():
        raise MissingComponent(
            f"{adapter}: no adapter there",
            why=f"{WEIGHTS} is missing",
            try_next="name the artifacts/adapter directory of a finished training",
        )


def _whole(number: float) -> Any:
    """128, not 128.0: other readers of adapter_config.json expect an integer."""
    return int(number) if number == int(number) else number


def _check_targets(model: Any, found: Targets) -> None:
    """PEFT objects only if no target is found at all; a single misspelt one would be left out."""
    modules = {name.rpartition(".")[2] for name, _ in model.named_modules()} - {""}
    parameters = [name for name, _ in model.named_parameters()]
    wanted = [] if isinstance(found.modules, str) else found.modules
    for target in wanted:
        if target.rpartition(".")[2] not in modules or target in EXCLUDED:
            raise _no_target("lora.targets", target, sorted(modules - set(EXCLUDED)))
    for target in found.parameters:
        if not any(f".{name}".endswith(f".{target}") for name in parameters):
            endings = {".".join(name.split(".")[-3:]) for name in parameters}
            raise _no_target("lora.target_parameters", target, sorted(endings))


def _no_target(key: str, target: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(target, known, 1)
    return UsageError(
        f"{key}: {target!r} is nothing in this model that can be adapted",
        why=f"it has {', '.join(n for n in known if '_proj' in n)}",
        try_next=f"did you mean {near[0]!r}?" if near else "use all-linear",
    )


def _attached(model: Any, tokenizer: Any, recipe: Recipe, notes: tuple[str, ...]) -> Attached:
    ranks = tuple(experts.adapted(model))
    if any(r.experts > 1 for r in ranks) and recipe.lora.dropout:
        count = experts.add_dropout(model, recipe.lora.dropout)
        share = recipe.lora.dropout
        notes += (
            f"dropout {share} on {count} plain modules, none on experts: PEFT has none there",
        )
    held = weights.large(model)
    return Attached(
        model=model,
        tokenizer=tokenizer,
        modules=tuple(name for name, m in model.named_modules() if hasattr(m, "lora_A")),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        total=sum(p.numel() for p in model.parameters()),
        notes=(*notes, *weights.check(held, recipe)),
        ranks=ranks,
        weights=held,
    )


def fingerprints(model: Any) -> dict[str, tuple[float, float]]:
    """Sum and sum of squares of each trainable tensor: cheap to keep, different after any update."""
    return {
        name: (whole.sum().item(), whole.square().sum().item())
        for name, p in model.named_parameters()
        if p.requires_grad
        for whole in [sharding.whole(p.detach()).double()]
    }


def check_all_changed(attached: Attached, before: dict[str, tuple[float, float]]) -> int:
    """Every adapted module moved. Returns their number; raises JobFailed naming the others.

    It is B that must have moved: it starts at zero, and until it moves A gets no gradient. A wrapper of
    one parameter of a module lies inside that of another, so names are compared whole.
    """
    after = fingerprints(attached.model)
    moved = {
        name.partition(".lora_B.")[0]
        for name, value in after.items()
        if ".lora_B." in name and before.get(name) != value
    }
    idle = [m for m in attached.modules if m not in moved]
    if idle:
        names = (m.removeprefix("base_model.model.") for m in idle[:5])
        raise JobFailed(
            f"{len(idle)} of {len(attached.modules)} adapted modules did not change: "
            f"{', '.join(names)}",
            why="the adapter is attached but gets no gradient there, or the rate is too small for "
            "a single step to show",
            try_next="check lora.targets against the model, and train.lr",
        )
    return len(attached.modules)


def left_alone(attached: Attached) -> list[str]:
    """Experts that are as they were, in words: the router sent them no token."""
    still = list(experts.idle(attached.model))
    if not still:
        return []
    count, of = sum(n for _, n, _ in still), sum(r.experts for r in attached.ranks if r.experts > 1)
    return [
        f"{count} of {of} adapted expert matrices did not change, first in {still[0][0]}: "
        "no token was routed there; more rows, or rows of more kinds, would reach them"
    ]
