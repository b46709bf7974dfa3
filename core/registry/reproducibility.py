"""What is needed to make a version again, and to see why another run came out differently.

Nothing is guessed: what nobody wrote down is "not recorded". bf16 runs with fused attention are not
bit-reproducible; compare figures with the spread of a few seeds, not with each other.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from core.jobdir import JobSpec

NOT_RECORDED: Final = "not recorded"
Text = str
Number = int | float | str
"""A number, or NOT_RECORDED."""


@dataclass(frozen=True, slots=True)
class Reproducibility:
    """memory in bytes, wall time in seconds, hashes SHA-256 in hex.

    code_dirty_sha256: of the uncommitted changes; "clean" if there were none.
    code_bundle: the name, by hash, of the code that ran on the host.
    """

    code_commit: Text = NOT_RECORDED
    code_dirty_sha256: Text = NOT_RECORDED
    code_bundle: Text = NOT_RECORDED
    pins_sha256: Text = NOT_RECORDED
    python: Text = NOT_RECORDED
    torch: Text = NOT_RECORDED
    cuda: Text = NOT_RECORDED
    driver: Text = NOT_RECORDED
    transformers: Text = NOT_RECORDED
    peft: Text = NOT_RECORDED
    trl: Text = NOT_RECORDED
    device: Text = NOT_RECORDED
    gpu: Text = NOT_RECORDED
    host: Text = NOT_RECORDED
    base_model: Text = NOT_RECORDED
    base_model_sha256: Text = NOT_RECORDED
    tokenizer_sha256: Text = NOT_RECORDED
    chat_template_sha256: Text = NOT_RECORDED
    adapter_sha256: Text = NOT_RECORDED
    data_sha256: Text = NOT_RECORDED
    seed: Number = NOT_RECORDED
    steps: Number = NOT_RECORDED
    epochs: Number = NOT_RECORDED
    pairs: Number = NOT_RECORDED
    rows: Number = NOT_RECORDED
    tokens: Number = NOT_RECORDED
    attention: Text = NOT_RECORDED
    resumed: Text = NOT_RECORDED
    init_adapter: Text = NOT_RECORDED
    peak_memory_bytes: Number = NOT_RECORDED
    wall_s: Number = NOT_RECORDED
    loss_first: Number = NOT_RECORDED
    loss_last: Number = NOT_RECORDED

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of what was not recorded."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) == NOT_RECORDED)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Reproducibility:
        """The record of a version as stored, also by an older program."""
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in stored.items() if k in names and _is_value(v)})


def reproducibility_from(
    summary: Mapping[str, Any], spec: JobSpec, laptop: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of a training run that ended, as JSON.

    summary: summary.json of the run.  spec: its job.  laptop: `laptop_facts`. What else the summary
    says is kept under "run", and the inputs with their hashes under "inputs".
    """
    versions = summary.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    found: dict[str, Any] = {
        **{k: v for k, v in laptop.items() if v},
        "code_bundle": spec.env.get("PYTHONPATH", "").rsplit("/", 1)[-1],
        "host": spec.host,
        "data_sha256": _data_hash(spec),
    }
    known = {f.name for f in fields(Reproducibility)}
    for source in (versions, summary):
        found |= {k: v for k, v in source.items() if k in known and _is_value(v)}
    if "resumed" in found:
        found["resumed"] = "yes" if found["resumed"] else "no"
    if "init_adapter" in summary and not summary["init_adapter"]:
        found["init_adapter"] = "none"
    record = Reproducibility.of({k: v for k, v in found.items() if v != ""})
    rest = {k: v for k, v in summary.items() if k not in known and k != "versions"}
    return {**asdict(record), "versions": dict(versions), "inputs": spec.inputs, "run": rest}


def laptop_facts(root: Path) -> dict[str, str]:
    """Commit, hash of the uncommitted changes and hash of the pins of the checkout at `root`.

    The changes are those to tracked files and the names and contents of untracked ones. What cannot
    be told (no git, no checkout) is left out.
    """
    out = {}
    commit = _git(root, "rev-parse", "HEAD")
    if commit is not None:
        out["code_commit"] = commit.decode().strip()
        dirty = _dirty(root)
        if dirty is not None:
            out["code_dirty_sha256"] = dirty
    pins = root / "constraints.txt"
    if pins.is_file():
        out["pins_sha256"] = hashlib.sha256(pins.read_bytes()).hexdigest()
    return out


def _dirty(root: Path) -> str | None:
    changes = _git(root, "diff", "--no-ext-diff", "--binary", "HEAD")
    names = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if changes is None or names is None:
        return None
    if not changes and not names:
        return "clean"
    digest = hashlib.sha256(changes)
    for name in sorted(names.split(b"\0")):
        path = root / name.decode("utf-8", "surrogateescape")
        if name and path.is_file() and not path.is_symlink():
            digest.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _git(root: Path, *words: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _data_hash(spec: JobSpec) -> str:
    """Hash of the pairs among the job's inputs: the one whose path is the setting `data`."""
    data = spec.settings.get("data")
    for given in spec.inputs:
        if isinstance(given, Mapping) and given.get("path") == data and given.get("sha256"):
            return str(given["sha256"])
    return ""


def _is_value(value: object) -> bool:
    return isinstance(value, str | int | float) and value != "?"
