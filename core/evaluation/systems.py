"""The systems that answer the same questions side by side, and what each needs to do so.

retrieval       the nearest stored answer
base            the untuned model, closed book
base+retrieval  the untuned model with the three nearest stored pairs in its prompt
previous        the model with the previous version's adapter
tuned           the model with the adapter that is judged
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import base_manifest, base_models
from core.errors import NotFound, RegistryError, UsageError
from core.evaluation import augment, retrieval
from core.evaluation.decode import REVISION
from core.evaluation.engines import Engine
from core.evaluation.plan import Plan

VERSION_PREFIX = "access-qa-v"


def about(name: str, plan: Plan) -> dict[str, Any]:
    """What this system's answers depend on; answers given under other circumstances are not mixed.

    Not the system's name: yesterday's tuned version is today's previous one.
    """
    pairs = [base_manifest.sha256(p) for p in plan.pairs] if "retrieval" in name else []
    if name == "retrieval":
        return {"pairs": pairs, "threshold": retrieval.THRESHOLD}
    out = _served(name, plan) if plan.engine == "endpoint" else _loaded(name, plan)
    if plan.engine != "transformers":
        out["engine"] = plan.engine
    if name == "base+retrieval":
        out["retrieval"] = {
            "pairs": pairs,
            "top": augment.TOP,
            "threshold": retrieval.THRESHOLD,
            "prompt": augment.prompt_sha256(),
        }
    return out


def _loaded(name: str, plan: Plan) -> dict[str, Any]:
    base = base_models.resolve(plan.base_model, verify=False)
    adapter = adapter_of(name, plan)
    weights = adapter / "adapter_model.safetensors" if adapter else None
    template = base / "chat_template.jinja"
    return {
        "base_model": base.name,
        **base_models.identity(base),
        "chat_template": base_manifest.sha256(template) if template.is_file() else None,
        "adapter": base_manifest.sha256(weights) if weights and weights.is_file() else None,
        "dtype": plan.dtype,
        "max_new_tokens": plan.max_new_tokens,
        "decoder": REVISION,
    }


def _served(name: str, plan: Plan) -> dict[str, Any]:
    return {
        "endpoint": plan.endpoint,
        "model": served_name(name, plan),
        "max_new_tokens": plan.max_new_tokens,
    }


def adapter_of(name: str, plan: Plan) -> Path | None:
    return {"tuned": plan.adapter, "previous": plan.previous_adapter}.get(name)


def served_name(name: str, plan: Plan) -> str:
    """What the endpoint calls the model of a system: as told, else by the version or base model."""
    told = plan.serve.get(name) or plan.serve.get(name.partition("+")[0])
    if told:
        return told
    return plan.version or "tuned" if name == "tuned" else Path(plan.base_model).name


def key(name: str, plan: Plan) -> tuple[str, ...]:
    """Systems with the same key are the same loaded model."""
    if plan.engine == "endpoint":
        return (served_name(name, plan),)
    return (str(adapter_of(name, plan) or ""),)


def open_engine(name: str, plan: Plan) -> Engine:
    """Load or reach the model of a system.

    Raises UsageError, MissingComponent, EndpointFailed.
    """
    if plan.engine == "endpoint":
        from core.evaluation.endpoint import connect
        from core.evaluation.openai_http import Limits, server

        limits = Limits(stall=plan.stall_s, total=plan.timeout_s)
        where = server(plan.endpoint or "", plan.api_key_env)
        return connect(
            where, served_name(name, plan), max_new_tokens=plan.max_new_tokens, limits=limits
        )
    from core.training import environment

    environment.prepare()  # threads and quiet libraries, before torch is imported
    base = base_models.resolve(plan.base_model)
    adapter = adapter_of(name, plan)
    if plan.engine == "vllm":
        from core.evaluation import vllm_offline

        return vllm_offline.load(
            base, adapter, dtype=plan.dtype, max_new_tokens=plan.max_new_tokens
        )
    from core.evaluation import generate

    return generate.load(
        base,
        adapter,
        dtype="float32" if plan.dtype == "float32" else "bfloat16",
        max_new_tokens=plan.max_new_tokens,
    )


def registered(version: str) -> tuple[str, Path]:
    """Base model and adapter folder of a registered version whose adapter is on this machine.

    Raises UsageError: no such version, no adapter here, or not the one that was registered.
    """
    from core.registry import open_registry, versions

    hint = (
        f"give its folder with --adapter DIR, or serve it and use --endpoint URL --serve {version}"
    )
    try:
        with open_registry() as reg:
            found = versions.get(reg, version)
    except NotFound:
        raise UsageError(
            f"{version} needs an adapter", why="no such version is registered", try_next=hint
        ) from None
    except RegistryError as e:
        raise UsageError(f"{version} needs an adapter", why=e.what, try_next=hint) from e
    folder = Path(found.adapter_path or "")
    if not found.adapter_path or not (folder / "adapter_config.json").is_file():
        where = f"it is registered at {found.adapter_path}" if found.adapter_path else ""
        raise UsageError(f"{version} needs an adapter, which is not here", why=where, try_next=hint)
    weights = folder / "adapter_model.safetensors"
    there = base_manifest.sha256(weights) if weights.is_file() else None
    if found.adapter_sha256 and there != found.adapter_sha256:
        raise UsageError(
            f"{folder}: not the adapter that was registered as {version}",
            why="the SHA-256 of its weights is another one",
            try_next=hint,
        )
    return found.base_model, folder
