"""Load the base model, attach LoRA, and prove afterwards that every targeted module learned."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from core.errors import EnvironmentProblem, JobFailed, MissingComponent, UsageError
from core.training.adapter import CONFIG, WEIGHTS
from core.training.environment import device, dtype
from core.training.recipe import LoraPart, Recipe

SHORT = 512  # tokens up to which plain attention beats the blocked kernels on a CPU
# never worth adapting, and the light loss reads the head's weight directly
EXCLUDED = ("lm_head", "embed_tokens")


@dataclass(frozen=True, slots=True)
class Attached:
    """model: PeftModel.  modules: names of the adapted modules.  notes: what was decided, aloud."""

    model: Any
    tokenizer: Any
    modules: tuple[str, ...]
    trainable: int
    total: int
    notes: tuple[str, ...]


def load_tokenizer(base: Path) -> tuple[Any, set[int]]:
    """Tokenizer with a pad token of its own, and the ids that end a turn."""
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer: Any = AutoTokenizer.from_pretrained(str(base), local_files_only=True)
    if not tokenizer.chat_template:
        raise UsageError(
            f"{base}: the model has no chat template",
            why="it is a base model, not an instruction-tuned one, or the template file is missing",
            try_next="use the instruction-tuned form of the model",
        )
    eos: set[int] = {tokenizer.eos_token_id}
    if (base / "generation_config.json").is_file():
        ids = GenerationConfig.from_pretrained(str(base), local_files_only=True).eos_token_id
        eos |= set(ids) if isinstance(ids, list) else {ids}
    eos.discard(None)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id in eos:
        _give_pad(tokenizer, eos)
    return tokenizer, eos


def _give_pad(tokenizer: Any, eos: set[int]) -> None:
    """Padding with end-of-turn teaches or hides the stop; take an unused token instead."""
    vocabulary = tokenizer.get_vocab()
    unused = ("<|finetune_right_pad_id|>", "[control_8]", "<|endoftext|>", "<pad>", "<unk>")
    for token in unused:
        if vocabulary.get(token, tokenizer.eos_token_id) not in eos:
            tokenizer.pad_token = token
            return
    raise UsageError(
        "the tokenizer has no token to pad with besides end-of-turn",
        try_next="add a pad token to its tokenizer_config.json",
    )


def attention(recipe: Recipe, longest: int) -> tuple[str, str]:
    """The attention implementation to use, and a note on why. longest: tokens of a row."""
    wanted, gpu = recipe.model.attention, device() == "cuda"
    has_flash = gpu and find_spec("flash_attn") is not None
    if wanted in ("eager", "sdpa"):
        return wanted, f"attention: {wanted} (recipe)"
    if has_flash:
        return "flash_attention_2", "attention: flash-attn"
    missing = "no accelerator here" if not gpu else "flash-attn is not installed"
    because = f" ({missing})" if wanted == "flash" else ""
    if not gpu and longest <= SHORT:
        return "eager", f"attention: eager, fastest on a CPU up to {SHORT} tokens{because}"
    return "sdpa", f"attention: sdpa{because}"


def load_model(base: Path, recipe: Recipe, attention_name: str) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(base),
            dtype=dtype(recipe.model.dtype),
            attn_implementation=attention_name,
            local_files_only=True,
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
    return model.to(device())


def attach(model: Any, tokenizer: Any, recipe: Recipe, notes: tuple[str, ...]) -> Attached:
    """A fresh adapter: A random, B zero, so the model starts as the base. Seed set by the caller."""
    _check_targets(model, recipe.lora)
    config = LoraConfig(
        r=recipe.lora.r,
        lora_alpha=_whole(recipe.lora.alpha),
        lora_dropout=recipe.lora.dropout,
        target_modules=recipe.lora.targets,
        target_parameters=recipe.lora.target_parameters or None,
        use_rslora=recipe.lora.rslora,
        bias="none",
        task_type="CAUSAL_LM",
    )
    return _attached(get_peft_model(model, config), tokenizer, notes)


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
    return _attached(peft, tokenizer, (*notes, f"continues from the adapter {adapter}"))


def check_adapter(adapter: Path, recipe: Recipe) -> None:
    """Raises MissingComponent or UsageError."""
    file = adapter / CONFIG
    if not file.is_file() or not (adapter / WEIGHTS).is_file():
        raise MissingComponent(
            f"{adapter}: no adapter there",
            why=f"{CONFIG} or {WEIGHTS} is missing",
            try_next="name the artifacts/adapter directory of a finished training",
        )
    config = json.loads(file.read_text("utf-8"))
    for key, has, wants in (
        ("lora.r", config.get("r"), recipe.lora.r),
        ("lora.alpha", config.get("lora_alpha"), recipe.lora.alpha),
    ):
        if has != wants:
            raise UsageError(
                f"{adapter}: trained with {key} = {has}, the recipe says {wants}",
                why="an adapter cannot change its shape while it is trained on",
                try_next=f"--set {key}={has}, or train a new adapter",
            )
    base = str(config.get("base_model_name_or_path") or "")
    if base and base != recipe.model.name:
        raise UsageError(
            f"{adapter}: trained on the base model {base}, the recipe says {recipe.model.name}",
            try_next=f"--set model.name={base}, or train a new adapter",
        )


def _whole(number: float) -> Any:
    """128, not 128.0: other readers of adapter_config.json expect an integer."""
    return int(number) if number == int(number) else number


def _check_targets(model: Any, lora: LoraPart) -> None:
    """PEFT objects only if no target is found at all; a single misspelt one would be left out."""
    if lora.targets == "all-linear":
        return
    endings = {name.rpartition(".")[2] for name, _ in model.named_modules()} - {""}
    endings |= {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    for target in lora.targets:
        if target.rpartition(".")[2] not in endings or target in EXCLUDED:
            near = difflib.get_close_matches(target, sorted(endings - set(EXCLUDED)), 1)
            raise UsageError(
                f"lora.targets: {target!r} is no module of this model that can be adapted",
                why=f"it has {', '.join(sorted(e for e in endings if e.endswith('_proj')))}",
                try_next=f"did you mean {near[0]!r}?" if near else "use all-linear",
            )


def _attached(model: Any, tokenizer: Any, notes: tuple[str, ...]) -> Attached:
    modules = tuple(name for name, m in model.named_modules() if hasattr(m, "lora_A"))
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return Attached(model, tokenizer, modules, trainable, total, notes)


def fingerprints(model: Any) -> dict[str, tuple[float, float]]:
    """Sum and sum of squares of each trainable tensor: cheap to keep, different after any update."""
    return {
        name: (p.detach().double().sum().item(), p.detach().double().square().sum().item())
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def check_all_changed(attached: Attached, before: dict[str, tuple[float, float]]) -> int:
    """Every adapted module moved. Returns their number; raises JobFailed naming the others."""
    after = fingerprints(attached.model)
    moved = {name for name, value in after.items() if before.get(name) != value}
    idle = [m for m in attached.modules if not any(name.startswith(f"{m}.") for name in moved)]
    if idle:
        raise JobFailed(
            f"{len(idle)} of {len(attached.modules)} adapted modules did not change: "
            f"{', '.join(m.removeprefix('base_model.model.') for m in idle[:5])}",
            why="the adapter is attached but gets no gradient there, or the rate is too small for "
            "a single step to show",
            try_next="check lora.targets against the model, and train.lr",
        )
    return len(attached.modules)
