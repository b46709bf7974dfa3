"""Before a switch: are the version's files there, unchanged, of the right shape, with their template?

Whoever can see the files collects the facts (`local_facts` here, a probe on the host elsewhere);
`check` judges them against the record and needs neither torch nor a server. What could not be looked
at is "not checked", never "good": it does not stop a rollback, and it is said.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Refused
from core.registry.records import Version

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
TEMPLATE = "chat_template.jinja"
MAX_HEADER = 64 << 20
DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True, slots=True)
class Facts:
    """An adapter folder as somebody saw it. None: not looked at, or not there.

    sizes: file name → bytes.  config: adapter_config.json.  header: of the safetensors file.
    body_bytes: what the file has behind its header.  header_read: False where nobody read it.
    template_sha256: of the chat template that the server will use.
    """

    where: str
    sizes: Mapping[str, int]
    weights_sha256: str | None = None
    config: Mapping[str, Any] | None = None
    header: Mapping[str, Any] | None = None
    body_bytes: int | None = None
    template_sha256: str | None = None
    header_read: bool = True


Probe = Callable[[Version], Facts | None]
"""Facts of a version's adapter where it lies, or None if nobody can look now."""


@dataclass(frozen=True, slots=True)
class Check:
    """ok None: not checked."""

    name: str
    ok: bool | None
    detail: str


def local_facts(version: Version) -> Facts | None:
    """Look at the adapter if its folder is on this machine; None if it is not."""
    folder = Path(version.adapter_path) if version.adapter_path else None
    if folder is None or not folder.is_dir():
        return None
    try:
        return facts_in(folder)
    except OSError:
        return None


def facts_in(folder: Path) -> Facts:
    """Facts of an adapter folder. Raises OSError."""
    weights = folder / WEIGHTS
    template = folder / TEMPLATE
    there = weights.is_file()
    header, body = read_header(weights) if there else (None, None)
    return Facts(
        where=str(folder),
        sizes={p.name: p.stat().st_size for p in sorted(folder.iterdir()) if p.is_file()},
        weights_sha256=_sha256(weights) if there else None,
        config=_config(folder / CONFIG),
        header=header,
        body_bytes=body,
        template_sha256=_sha256(template) if template.is_file() else None,
    )


def read_header(path: Path) -> tuple[Mapping[str, Any] | None, int | None]:
    """The JSON in front of a safetensors file and the bytes behind it; None if it cannot be read."""
    with open(path, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        body = os.fstat(f.fileno()).st_size - 8 - length
        if not 2 <= length <= MAX_HEADER or body < 0:
            return None, None
        return _object(f.read(length)), body


def check(version: Version, facts: Facts | None, live: Version | None = None) -> tuple[Check, ...]:
    """files, hash, template and loadable of a version. live: what is live where it will go."""
    if facts is None:
        seen = f"nobody could look at {version.adapter_path or 'its files'}"
        unseen = tuple(Check(name, None, seen) for name in ("files", "hash", "loadable"))
        return (*unseen, _template(version, None, live))
    missing = [name for name in (WEIGHTS, CONFIG) if not facts.sizes.get(name)]
    files = Check(
        "files",
        not missing,
        f"{' and '.join(missing)} missing in {facts.where}" if missing else facts.where,
    )
    return (
        files,
        _hash(version, facts),
        _loadable(version, facts),
        _template(version, facts, live),
    )


def objections(checks: Sequence[Check]) -> list[str]:
    return [f"{c.name}: {c.detail}" for c in checks if c.ok is False]


def not_checked(checks: Sequence[Check]) -> list[str]:
    """What nobody could look at, one line for each reason."""
    names: dict[str, list[str]] = {}
    for c in checks:
        if c.ok is None:
            names.setdefault(c.detail, []).append(c.name)
    return [f"{', '.join(found)}: {why}" for why, found in names.items()]


def require_sound(version: Version, checks: Sequence[Check]) -> None:
    """Raises Refused if something was looked at and is wrong."""
    wrong = objections(checks)
    if wrong:
        raise Refused(
            f"{version.model_version} cannot go live: its files are not as recorded",
            why="; ".join(wrong),
            try_next="put its files back, or choose another version; nothing was switched",
        )


def _hash(version: Version, facts: Facts) -> Check:
    if version.adapter_sha256 is None:
        return Check("hash", None, "no hash on record")
    if facts.weights_sha256 is None:
        return Check("hash", None, f"{WEIGHTS} could not be hashed")
    same = facts.weights_sha256 == version.adapter_sha256
    seen, wanted = facts.weights_sha256[:12], version.adapter_sha256[:12]
    return Check("hash", same, seen if same else f"{WEIGHTS} is {seen}, on record is {wanted}")


def _template(version: Version, facts: Facts | None, live: Version | None) -> Check:
    """Trained with one template and asked with another, a model answers badly and nothing fails."""
    wanted = version.reproducibility.get("chat_template_sha256")
    if not isinstance(wanted, str) or not _is_hash(wanted):
        return Check("template", None, "no chat template on record")
    served = facts.template_sha256 if facts is not None else None
    source = "the server's"
    if served is None and live is not None and live.base_model == version.base_model:
        of_live = live.reproducibility.get("chat_template_sha256")
        served, source = (of_live if _is_hash(of_live) else None), f"{live.model_version}'s"
    if served is None:
        return Check("template", None, "nothing to compare the chat template with")
    if served == wanted:
        return Check("template", True, f"{wanted[:12]}, as {source}")
    return Check("template", False, f"trained with {wanted[:12]}, {source} is {served[:12]}")


def _loadable(version: Version, facts: Facts) -> Check:
    fault = _fault(version, facts)
    if fault is not None:
        return Check("loadable", False, fault)
    if not facts.header_read:
        same = facts.weights_sha256 is not None and facts.weights_sha256 == version.adapter_sha256
        seen = "byte for byte what the training saved" if same else "its header was not read"
        return Check("loadable", True if same else None, seen)
    assert facts.header is not None
    tensors = sum(name != "__metadata__" for name in facts.header)
    return Check("loadable", True, f"{tensors} tensors for {version.base_model}")


def _fault(version: Version, facts: Facts) -> str | None:
    if facts.config is None and not facts.header_read:
        return None  # nobody read either
    if facts.config is None:
        return f"{CONFIG} is not a JSON object"
    base = facts.config.get("base_model_name_or_path")
    if base != version.base_model:
        return f"{CONFIG} is for {str(base)[:80]}, the version's base is {version.base_model}"
    if not facts.header_read:
        return None
    if facts.header is None:
        return f"{WEIGHTS} has no safetensors header"
    return header_fault(facts.header, facts.config, facts.body_bytes)


def header_fault(
    header: Mapping[str, Any], config: Mapping[str, Any], body_bytes: int | None
) -> str | None:
    """What keeps these tensors from being this LoRA, or None.

    Every dtype is a float, every byte range fits its shape, the ranges fill the file, and the rank
    stands where it belongs: first in A, second in B.
    """
    end = count = 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        count += 1
        try:
            dtype, shape = tensor["dtype"], tensor["shape"]
            low, high = tensor["data_offsets"]
            room = math.prod(shape) * DTYPE_BYTES[dtype]
            if high - low != room or low < 0:
                return f"tensor {name[:80]}: {high - low} bytes for {room}"
        except (KeyError, TypeError, ValueError):
            return f"tensor {name[:80]} is not described as a float tensor"
        rank = _rank(config, name)
        axis = {"lora_A": 0, "lora_B": 1}.get(_kind(name), -1)
        if rank is not None and axis >= 0 and (len(shape) != 2 or shape[axis] != rank):
            return f"tensor {name[:80]} has shape {shape}, the rank is {rank}"
        end = max(end, high)
    if not count:
        return "there are no tensors in it"
    if body_bytes is not None and body_bytes != end:
        return f"{WEIGHTS} has {body_bytes} bytes of tensors, its header describes {end}"
    return None


def _kind(name: str) -> str:
    return next(
        (k for k in ("lora_A", "lora_B") if f".{k}." in name and "embedding" not in name), ""
    )


def _rank(config: Mapping[str, Any], name: str) -> int | None:
    if config.get("rank_pattern"):
        return None  # ranks differ by module: PEFT matches them with expressions
    if config.get("target_parameters") and ".experts." in name:
        return None  # the experts' factors are stacked in one tensor
    rank = config.get("r")
    return rank if isinstance(rank, int) and not isinstance(rank, bool) else None


def _config(path: Path) -> Mapping[str, Any] | None:
    return _object(path.read_bytes()) if path.is_file() else None


def _object(data: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64


def _sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
