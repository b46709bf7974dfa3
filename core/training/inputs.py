"""A base model directory looked at before torch is imported: whole, what it claims, the right revision.

What people copy in place of a model: the page that a hub answers to somebody who may not have it, the
pointers that git leaves where large files are not fetched, half of a download.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from core import base_manifest
from core.errors import EnvironmentProblem, UsageError
from core.training.recipe import Recipe

LFS = b"version https://git-lfs"
HEADER_MOST = 100_000_000  # bytes; what safetensors itself takes for a header at most
DENIED = ("restricted", "gated", "unauthorized", "401 client error", "must be authenticated")
GATED = (
    "accept the model's licence on its page, log in where you download it (`hf auth login`, or "
    "HF_TOKEN in the environment), and download it again"
)


def check_base(base: Path, recipe: Recipe) -> str:
    """The commit that the directory says it holds, "" if it says none.

    Reads config.json and the headers of the weights, nothing else. Raises EnvironmentProblem for a
    directory that holds no whole model, UsageError for another revision than the recipe's.
    """
    _check_config(base)
    for file in _weights(base):
        _check_weights(file)
    found = revision(base)
    wanted = recipe.model.revision
    if wanted and not found.startswith(wanted):
        raise UsageError(
            f"{base}: not the revision {wanted} of the model"
            + (f", but {found[:12]}" if found else ""),
            why="" if found else "the directory does not say which it is",
            try_next=f"hf download REPOSITORY --revision {wanted} --local-dir {base}"
            + (f", or --set model.revision={found[:12]}" if found else ""),
        )
    return found


def revision(base: Path) -> str:
    """The commit of a directory that `hf download` wrote, or of a snapshot in its cache; else ""."""
    about = base_manifest.manifest(base).get("revision")
    if isinstance(about, str) and about:
        return about
    if base.parent.name == "snapshots":
        return base.name
    note = base / ".cache" / "huggingface" / "download" / "config.json.metadata"
    try:
        return note.read_text("utf-8").split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _check_config(base: Path) -> None:
    file = base / "config.json"
    try:
        text = file.read_text("utf-8", errors="replace")[:1_000_000]
        config: Any = json.loads(text)
    except OSError as e:
        raise EnvironmentProblem(f"{file}: cannot be read", why=str(e)) from e
    except ValueError:
        config = None
    if isinstance(config, dict) and "model_type" in config:
        return
    denied = any(word in text.lower() for word in DENIED)
    raise EnvironmentProblem(
        f"{file}: no model's configuration, but {_first_words(text)}",
        why="the hub refused the download: the model is gated" if denied else "",
        try_next=GATED if denied else "download or copy the model again",
    )


def _weights(base: Path) -> list[Path]:
    """Every file of weights; those of an index must all be there. Raises EnvironmentProblem."""
    index = base / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(base.glob("*.safetensors"))
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as e:
        raise EnvironmentProblem(
            f"{index}: cannot be read",
            why=f"{type(e).__name__}: {e}",
            try_next="download or copy the model again",
        ) from e
    missing = [n for n in names if not (base / n).is_file()]
    if missing:
        raise EnvironmentProblem(
            f"{base}: {len(missing)} of {len(names)} files of weights are missing",
            why=", ".join(map(str, missing[:3])),
            try_next="go on with the download: it fetches what is missing",
        )
    return [base / n for n in names]


def _check_weights(file: Path) -> None:
    """The header of a safetensors file: how long it is, and that the tensors it names end where the file
    does. Raises EnvironmentProblem."""
    with file.open("rb") as f:
        start = f.read(64)
        said = struct.unpack("<Q", start[:8])[0] if len(start) >= 8 else 0
        f.seek(8)
        text = f.read(said) if 0 < said <= HEADER_MOST else b""
    size, again = file.stat().st_size, "download or copy the model again"
    if start.startswith(LFS):
        raise EnvironmentProblem(
            f"{file}: a pointer to the weights, not the weights",
            why="git fetched the repository without its large files",
            try_next="`git lfs pull` in that directory, or `hf download REPOSITORY --local-dir …`",
        )
    try:
        header = json.loads(text)
        ends = [int(t["data_offsets"][1]) for n, t in header.items() if n != "__metadata__"]
        wanted = 8 + said + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise EnvironmentProblem(
            f"{file}: no safetensors file, but {_first_words(start.decode('utf-8', 'replace'))}",
            try_next=again,
        ) from None
    if size != wanted:
        raise EnvironmentProblem(
            f"{file}: the weights are damaged",
            why=f"it has {size} bytes, its header speaks of {wanted}",
            try_next=again,
        )


def _first_words(text: str) -> str:
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:60]
    return repr(shown) if shown else "an empty file"
