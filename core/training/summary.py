"""summary.json: what a run was, what it cost, and on what it ran."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from core.training import adapter, distributed, environment
from core.training.attach import Attached
from core.training.given import Given
from core.training.probe import COUNTS, Probe
from core.training.probing import Probing, as_count
from core.training.request import Request
from core.training.survival import Survival

_DRIVER = re.compile(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b")


def of_run(
    request: Request, given: Given, attached: Attached, survival: Survival | None
) -> dict[str, Any]:
    """What was trained on what, with what, and where."""
    recipe = given.recipe
    return {
        "routine": "train",
        "recipe": recipe.name,
        "epochs": recipe.train.epochs,
        "pairs": given.pairs,
        "processes": distributed.world_size(),
        "peak_memory_bytes": environment.peak_memory_bytes(),
        "trainable": attached.trainable,
        "ranks": [r.as_dict() for r in attached.ranks],
        "base_model": recipe.model.name,
        "base_model_revision": given.revision,
        **given.identity,
        "chat_template_sha256": adapter.text_sha256(attached.tokenizer.chat_template),
        "versions": environment.versions(),
        **hardware(),
        "seed": recipe.train.seed,
        "smoke": request.smoke,
        "resumed": bool(given.checkpoint),
        "init_adapter": str(request.init_adapter) if request.init_adapter else None,
        "incremental": {
            "strategy": recipe.incremental.strategy,
            "mix": given.mix.as_dict() if given.mix else None,
            "survival": survival.summary() if survival else None,
        },
    }


def hardware(version_file: Path = Path("/proc/driver/nvidia/version")) -> dict[str, Any]:
    """gpu, driver and cuda are None where there is no accelerator; memory in bytes."""
    import torch

    out: dict[str, Any] = {
        "device": environment.device(),
        "gpu": None,
        "gpus": 0,
        "gpu_memory_bytes": None,
        "driver": None,
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "cpus": environment.usable_cpus(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(torch.cuda.current_device())
        out["gpu"], out["gpus"] = about.name, torch.cuda.device_count()
        out["gpu_memory_bytes"], out["driver"] = about.total_memory, driver(version_file)
    return out


def driver(version_file: Path) -> str | None:
    """Version of the NVIDIA driver, as the kernel module says it."""
    try:
        found = _DRIVER.search(version_file.read_text("utf-8", "replace"))
    except OSError:
        return None
    return found[1] if found else None


def of_probes(probing: Probing | None, questions: dict[str, Any], wall_s: float) -> dict[str, Any]:
    """{"probe": …} of a run that was probed, else {}. seconds: of all probes; share: of wall_s."""
    if probing is None or not probing.history.probes:
        return {}
    found = probing.history.probes
    standing = probing.standing
    best = standing.best_step if standing else None
    return {
        "probe": {
            "probes": len(found),
            "first": _counts(found[0]),
            "last": _counts(found[-1]),
            "best": next((_counts(p) for p in found if p.step == best), None),
            "best_step": best,
            "stopped": probing.done,
            "seconds": round(probing.seconds, 2),
            "share": round(probing.seconds / wall_s, 4) if wall_s else 0.0,
            "set": questions,
        },
        "curves": [curve(p) for p in found],
    }


def curve(probe: Probe) -> dict[str, Any]:
    """One point of the report's curves: shares, those that were asked for."""
    names = ("recall", "fabricated", "refusal")
    shares = {name: as_count(probe.counts[name])["estimate"] for name in names}
    return {"step": probe.step, **{k: v for k, v in shares.items() if v is not None}}


def _counts(probe: Probe) -> dict[str, Any]:
    counts = {name: as_count(probe.counts[name]) for name in COUNTS if probe.counts[name][1]}
    return {"step": probe.step, **counts}
