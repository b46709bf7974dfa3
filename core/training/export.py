"""Adapters out: a merged model, or one plain PEFT adapter. Imports torch when it works.

Either is written beside its place and moved there whole; a full disk leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import base_manifest, base_models
from core.errors import DiskFull, MissingComponent, UsageError
from core.jobdir import write_atomic
from core.training.adapter import describe
from core.training.adapter_files import TEMPLATE, AdapterFiles, read
from core.training.failures import recognise

if TYPE_CHECKING:
    from core.training.logits_check import LogitsCheck
    from core.training.merging import Part
    from core.training.survival import Survival

BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
SHARD = "5GB"
TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
Say = Callable[[str], None]


def base_of(adapters: Sequence[AdapterFiles], base: str | None) -> Path:
    """The base's directory: as named, else as the adapters name it.

    Raises UsageError (they name another one), MissingComponent, EnvironmentProblem.
    """
    named = adapters[0].base
    if not base and not named:
        raise UsageError(f"{adapters[0].folder} names no base model", try_next="--base NAME|DIR")
    found = base_models.resolve(base or named)
    if base and named and not _same(base, found, named):
        raise UsageError(
            f"{adapters[0].folder}: an adapter for the base model {named[:200]}, not {base}",
            why="the low-rank factors fit no other weights",
            try_next=f"--base {named[:200]}, or the directory it is in",
        )
    return found


def _same(given: str, found: Path, named: str) -> bool:
    """By name, by directory name, by path, or by the name the model's manifest has."""
    names = {given, str(found), found.name, str(base_manifest.manifest(found).get("name") or "")}
    return bool({named, Path(named).name} & names)


def merged(
    parts: Sequence[Part],
    out: Path,
    *,
    base: str | None = None,
    dtype: str | None = None,
    min_survival: float = 0.8,
    prompts: Sequence[str] = (),
    max_shard_size: str = SHARD,
    say: Say = print,
) -> dict[str, Any]:
    """Base and adapters as one model in `out`: safetensors in shards, config, tokenizer, template.

    dtype: of the result; None = the base's own. Returns what merge.json holds.
    Raises MergeLoss below `min_survival`, and what reading, fitting and writing may raise.
    """
    from core.training import merging

    adapters = [read(p.adapter) for p in parts]
    source = base_of(adapters, base)
    merging.check_pristine(source)
    check_tokenizer(source)
    check_out(out)
    stored = dtype or _dtype_of(source)
    check_room(out, _weight_bytes(source) * BYTES[stored] // BYTES[_dtype_of(source)])
    with whole(out) as temp:
        found, check = _merge_into(
            temp, parts, source, stored, min_survival, prompts, max_shard_size, say
        )
        about = merging.record(parts, adapters[0].base or source.name, source, found, check)
        write_atomic(temp / merging.RECORD, json.dumps(about, indent=1).encode())
        write_atomic(temp / "README.md", _card(about).encode())
        base_manifest.write_manifest(temp, name=out.name, source=f"{source.name} with adapters")
    return about


def _merge_into(
    temp: Path,
    parts: Sequence[Part],
    source: Path,
    dtype: str,
    min_survival: float,
    prompts: Sequence[str],
    max_shard_size: str,
    say: Say,
) -> tuple[Survival, LogitsCheck]:
    from core.training import logits_check, merging
    from core.training.attach import load_tokenizer

    say(f"loading {source.name}")
    tokenizer, _ = load_tokenizer(source)
    model = merging.load_base(source)
    rows = logits_check.render(tokenizer, prompts or logits_check.PROMPTS)
    alone = logits_check.scores(model, rows)
    peft = merging.attach_parts(model, parts)
    beside = logits_check.scores(peft, rows)
    say(f"adding {len(parts)} adapter{'s' if len(parts) > 1 else ''} in float32")
    found = merging.fold_in(peft, parts, merging.DTYPES[dtype]).require(min_survival)
    say(found.sentence())
    plain = peft.unload().to(merging.DTYPES[dtype])
    plain.config.use_cache = True
    say(f"writing {dtype} weights in shards of at most {max_shard_size}")
    plain.save_pretrained(str(temp), max_shard_size=max_shard_size)
    tokenizer.save_pretrained(str(temp))
    for name in (TEMPLATE, "tokenizer.model"):
        if (source / name).is_file() and not (temp / name).is_file():
            shutil.copy2(source / name, temp / name)
    del peft, plain, model
    say("reading it back")
    check = logits_check.compare(alone, beside, logits_check.scores(merging.load_base(temp), rows))
    say(check.sentence())
    if not check.agrees:
        say("▲ the merged model prefers other tokens than base + adapters: evaluate it by itself")
    return found, check


def peft(
    parts: Sequence[Part],
    out: Path,
    *,
    base: str | None = None,
    rank: int | None = None,
    say: Say = print,
) -> dict[str, Any]:
    """One adapter whose update is the weighted sum of `parts`; exact unless cut to `rank`.

    Returns rank, rank_of_sum, lost (share of the norm), max_lora_rank. Raises like `merged`.
    """
    from core.training import lowrank
    from core.training.vllm_fit import needed_rank

    adapters = [read(p.adapter) for p in parts]
    check_out(out)
    check_room(out, sum((a.folder / "adapter_model.safetensors").stat().st_size for a in adapters))
    experts = _experts(base_of(adapters, base)) if base else None
    with whole(out) as temp:
        figures = lowrank.write_sum(
            [p.adapter for p in parts],
            temp,
            weights=[p.weight for p in parts],
            rank=rank,
            experts=experts,
        )
        newest = adapters[-1].folder
        for name in (TEMPLATE, "recipe.yaml"):
            if (newest / name).is_file():
                shutil.copy2(newest / name, temp / name)
        describe(temp, parts=[p.adapter for p in parts])
        figures["max_lora_rank"] = needed_rank(read(temp))
    say(
        f"rank {figures['rank']}"
        + (f", cut from {figures['rank_of_sum']}: {figures['lost']:.2%} of the norm is lost"
           if figures["lost"] else ", exact")
    )  # fmt: skip
    return figures


def check_tokenizer(base: Path) -> None:
    """Raises MissingComponent: a model without its tokenizer cannot be served."""
    if not any((base / name).is_file() for name in TOKENIZER[:2]):
        raise MissingComponent(
            f"{base}: the tokenizer is missing",
            why=f"neither {TOKENIZER[0]} nor {TOKENIZER[1]} is there",
            try_next="copy it from where the model came from",
        )


def check_out(out: Path) -> None:
    """Raises UsageError where something is already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already", try_next="name a new directory")


def check_room(out: Path, needed: int) -> None:
    """Raises DiskFull before anything is loaded."""
    place = out.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DiskFull(
            f"{place}: {free / 1e9:.2f} GB are free, about {needed / 1e9:.2f} GB are needed",
            try_next="free space, or name an --out on another disk",
        )


@contextlib.contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A directory to fill, which becomes `out` at the end, or is gone. Raises DiskFull."""
    temp = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        temp.mkdir(parents=True)
        yield temp
        if out.is_dir():
            out.rmdir()  # empty: check_out has seen to it
        temp.rename(out)
    except BaseException as e:
        shutil.rmtree(temp, ignore_errors=True)
        if isinstance(recognise(e), DiskFull) or (
            isinstance(e, OSError) and e.errno == errno.ENOSPC
        ):
            raise DiskFull(
                f"{out}: the disk became full",
                why=str(e).splitlines()[0][:300] if str(e) else "",
                try_next="free space and run it again; nothing was left behind",
            ) from e
        raise


def _dtype_of(base: Path) -> str:
    """As stored; float32 where the configuration does not say."""
    config = _config(base)
    found = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return found if found in BYTES else "float32"


def _experts(base: Path) -> int | None:
    found = _config(base).get("num_local_experts")
    return found if isinstance(found, int) else None


def _config(base: Path) -> dict[str, Any]:
    try:
        found = json.loads((base / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _weight_bytes(base: Path) -> int:
    return sum(p.stat().st_size for p in base.glob("*.safetensors"))


def _card(about: dict[str, Any]) -> str:
    s, check = about["survival"], about["logits"]
    adapters = "\n".join(
        f"- `{a['adapter']}`, rank {a['rank']}, weight {a['weight']:g}, sha256 `{a['sha256'][:12]}`"
        for a in about["adapters"]
    )
    return f"""---
base_model: {json.dumps(about["base_model"])}
library_name: transformers
pipeline_tag: text-generation
tags: [access-ci, merged, question-answering, citations]
---

# Merged model

`{about["base_model"]}` with these adapters, summed in float32 and rounded once to {s["dtype"]}:

{adapters}

**Trained, not judged.** Of the update {s["survival"]:.1%} survives. Against the base with the adapters
beside it, on {check["prompts"]} prompts: the same first choice at {check["top1_agreement"]:.1%} of
{check["positions"]} positions, scores differ by at most {check["max_abs_diff"]:.3g}. Every figure is in
`merge.json`. Do not merge into it again: merge all adapters into the base at once.
"""
