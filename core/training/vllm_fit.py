"""Will vLLM serve this adapter, and as the same model? Its rules, checked on the files. Light.

vLLM reads `r`, `lora_alpha`, `target_modules`, `bias`, `modules_to_save`, `use_rslora` and `use_dora`
of adapter_config.json and passes over everything else, so a setting it does not know changes the model
without a word. What it refuses and what it would get wrong are both errors here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.training.adapter_files import AdapterFiles, pickles, read

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank may be
DEFAULT_RANK = 16
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """key: the setting or file it is about.  what: the fact.  fix: what to do."""

    severity: Severity
    key: str
    what: str
    fix: str = ""


def vllm_fit(adapter_dir: Path, max_lora_rank: int | None = None) -> tuple[Finding, ...]:
    """What vLLM would refuse, get wrong, or need to be told. Errors first.

    max_lora_rank: the server's; None = not decided yet. Raises as `adapter_files.read` does.
    """
    return fit(read(adapter_dir), max_lora_rank)


def fit(files: AdapterFiles, max_lora_rank: int | None = None) -> tuple[Finding, ...]:
    """`vllm_fit` of files that were read already."""
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(_findings(files, max_lora_rank), key=lambda f: order[f.severity]))


def needed_rank(files: AdapterFiles) -> int | None:
    """The smallest --max-lora-rank that takes the adapter; None: there is none."""
    return next((r for r in RANKS if r >= files.rank), None)


def _findings(files: AdapterFiles, max_lora_rank: int | None) -> Iterator[Finding]:
    c = files.config
    yield from _rank(files, max_lora_rank)
    if c.get("modules_to_save"):
        yield Finding(
            "error",
            "modules_to_save",
            f"whole modules are trained beside the low-rank factors: {_short(c['modules_to_save'])}",
            "merge the adapter into the base and serve that",
        )
    if c.get("use_dora"):
        yield Finding("error", "use_dora", "vLLM does not serve DoRA", "merge it into the base")
    if c.get("bias", "none") != "none" or c.get("lora_bias"):
        yield Finding("error", "bias", "vLLM takes no trained biases", "train with bias none")
    for key in ("lora_alpha", "target_modules"):
        if c.get(key) is None:
            yield Finding(
                "error", key, "vLLM requires it in adapter_config.json", "save it anew with PEFT"
            )
    yield from _patterns(c)
    if c.get("target_parameters"):
        yield Finding(
            "error",
            "target_parameters",
            "experts are adapted as bare parameters; vLLM versions were seen to pass over them and to "
            "answer like the base, without an error",
            "merge it into the base; or prove on the server that answers differ from the base's",
        )
    if c.get("fan_in_fan_out"):
        yield Finding("error", "fan_in_fan_out", "vLLM takes the factors as they are", "merge it")
    if c.get("use_rslora"):
        yield Finding("note", "use_rslora", "scaled by lora_alpha / sqrt(r), as vLLM does too")
    for name in pickles(files.folder):
        yield Finding("warning", name, "a pickle lies beside the safetensors file", "delete it")
    yield from _tensors(files)


def _rank(files: AdapterFiles, max_lora_rank: int | None) -> Iterator[Finding]:
    needed = needed_rank(files)
    if needed is None:
        yield Finding(
            "error",
            "r",
            f"rank {files.rank}; vLLM serves at most {RANKS[-1]}",
            f"export it with --rank {RANKS[-1]} or less, or merge it into the base",
        )
    elif max_lora_rank is not None and files.rank > max_lora_rank:
        yield Finding(
            "error",
            "r",
            f"rank {files.rank}, the server's --max-lora-rank is {max_lora_rank}",
            f"start the server with --max-lora-rank {needed}",
        )
    elif max_lora_rank is None and needed > DEFAULT_RANK:
        yield Finding(
            "note",
            "r",
            f"rank {files.rank}; vLLM's default is {DEFAULT_RANK}",
            f"start the server with --max-lora-rank {needed}",
        )


def _patterns(c: Any) -> Iterator[Finding]:
    """vLLM scales every layer by lora_alpha / r, whatever the patterns say."""
    ranks, alphas = (c.get(k) or {} for k in ("rank_pattern", "alpha_pattern"))
    if not ranks and not alphas:
        return
    try:
        plain = c["lora_alpha"] / c["r"]
        odd = [
            key
            for key in {*ranks, *alphas}
            if abs(alphas.get(key, c["lora_alpha"]) / ranks.get(key, c["r"]) - plain) > 1e-9 * plain
        ]
    except (TypeError, KeyError, ZeroDivisionError, AttributeError):
        odd = ["?"]
    if odd or c.get("use_rslora"):
        yield Finding(
            "error",
            "alpha_pattern",
            f"some layers have a scale of their own ({_short(odd or ranks)}); vLLM scales all alike",
            "export it with --format peft: the scale goes into the factors",
        )


def _tensors(files: AdapterFiles) -> Iterator[Finding]:
    kinds: dict[str, set[str]] = {}
    foreign = []
    for name in files.shapes:
        module, part = _split(name)
        if part:
            kinds.setdefault(module, set()).add(part)
        else:
            foreign.append(name)
    if foreign:
        yield Finding(
            "error",
            "tensors",
            f"{len(foreign)} tensors are no low-rank factors: {_short(foreign)}",
            "save the adapter without whole modules (save_embedding_layers=False)",
        )
    half = [m for m, parts in kinds.items() if len(parts) == 1]
    if half:
        yield Finding(
            "error", "tensors", f"one factor of two is missing: {_short(half)}", "copy it again"
        )
    head = [m for m in kinds if m.rpartition(".")[2] in ("lm_head", "embed_tokens")]
    if head:
        yield Finding(
            "warning",
            "target_modules",
            f"the vocabulary is adapted ({_short(head)}); whether vLLM takes it depends on the model",
            "leave it out of lora.targets",
        )


def _split(name: str) -> tuple[str, str]:
    for part in ("lora_A", "lora_B"):
        module, sign, _ = name.partition(f".{part}.")
        if sign:
            return module, part
    return name, ""


def _short(values: Any) -> str:
    names = [str(v)[:80] for v in values]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
