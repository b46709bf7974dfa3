"""Snapshots as files: three of them, the same bytes for the same snapshot, and back again.

    folder             beside a JSONL file       what
    pairs.jsonl        x.jsonl                   canonical JSON, one pair a line, sorted by id
    manifest.txt       x.manifest.txt            "<content hash> <pair id>" lines
    snapshot.json      x.snapshot.json           id, time, parent, counts; written last

Nothing of the files is believed on the way back: every row is checked as an imported one, every hash
is computed again, and the id has to be the one the manifest gives.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from core.errors import DiskFull, EnvironmentProblem, PairsError, Refused
from core.pair_checks import ANY_DOMAIN
from core.pairs import Pair, Reading
from core.registry import snapshots
from core.registry.store import Registry
from core.snapshots import Freezer, Snapshot, manifest_pieces

FORMAT = "access-qa snapshot 1"
_MAX_META_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Files:
    pairs: Path
    manifest: Path
    meta: Path

    @classmethod
    def at(cls, path: Path) -> Files:
        """In the folder `path`, or beside the file `path` if it ends in .jsonl."""
        if path.suffix == ".jsonl" and not path.is_dir():
            return cls(path, path.with_suffix(".manifest.txt"), path.with_suffix(".snapshot.json"))
        return cls(path / "pairs.jsonl", path / "manifest.txt", path / "snapshot.json")


def export(reg: Registry, dataset_version: str, path: Path) -> Files:
    """Write a stored snapshot; files of an earlier export are replaced, each at once.

    Raises NotFound, RegistryError (damaged), EnvironmentProblem (the place cannot be written).
    """
    snapshot = snapshots.load(reg, dataset_version)
    files = Files.at(path)
    meta = {
        "format": FORMAT,
        "dataset_version": snapshot.dataset_version,
        "created_at": snapshot.created_at,
        "parent": snapshot.parent,
        "qa_pair_count": snapshot.pair_count,
        "manifest_sha256": snapshot.manifest_hash,
        "source_breakdown": dict(snapshot.source_breakdown),
        "domain_breakdown": dict(snapshot.domain_breakdown),
    }
    with _told(files.pairs, writing=True):
        files.pairs.parent.mkdir(parents=True, exist_ok=True)
        files.meta.unlink(missing_ok=True)  # without it the other two are no snapshot
        with _replacing(files.pairs) as f:
            for pair in snapshots.iter_pairs(reg, dataset_version):
                f.write(pair.content_json.encode() + b"\n")
        with _replacing(files.manifest) as f:
            f.writelines(manifest_pieces(snapshot.entries))
        with _replacing(files.meta) as f:
            f.write(json.dumps(meta, ensure_ascii=False, indent=2).encode() + b"\n")
    return files


def restore(
    reg: Registry, path: Path, *, keep_parent: bool = True, who: str | None = None
) -> Snapshot:
    """Store an exported snapshot under its own id. What is stored already stays as it is.

    keep_parent: False drops the link to the snapshot before it, for when that one is lost.
    Raises PairsError (files that are missing, faulty or do not fit together), Refused (the parent
    is not stored).
    """
    files = Files.at(path)
    meta = _read_meta(files.meta)
    parent = meta["parent"] if keep_parent else None
    if parent is not None and parent not in {s.dataset_version for s in snapshots.list(reg)}:
        raise Refused(
            f"{meta['dataset_version']} follows {parent}, which is not stored here",
            try_next=f"restore {parent} first, or give --no-parent",
        )
    snapshot = _from_files(files, meta, parent)
    snapshots.put(reg, snapshot, _good_pairs(files.pairs), who=who)
    return snapshot


def _from_files(files: Files, meta: Mapping[str, Any], parent: str | None) -> Snapshot:
    """The snapshot the pairs make, proved against manifest and meta; the text is not kept."""
    freezer = Freezer()
    for pair in _good_pairs(files.pairs):
        freezer.add(pair)
    snapshot = freezer.snapshot(parent, meta["created_at"])
    with _told(files.manifest):
        digest = hashlib.sha256(files.manifest.read_bytes()).hexdigest()
    if digest != meta["manifest_sha256"]:
        raise _unfit(files.manifest, "it is not the manifest that was exported")
    if snapshot.manifest_hash != digest:
        line = _first_difference(snapshot, files.manifest)
        raise _unfit(files.pairs, f"the pairs are not those of the manifest, first at {line}")
    if snapshot.id != meta["dataset_version"] or snapshot.created_at != meta["created_at"]:
        raise _unfit(files.meta, f"by its content and time it is {snapshot.id}")
    return snapshot


def _good_pairs(path: Path) -> Iterable[Pair]:
    def refuse(problem: Any) -> None:
        if not problem.usable:
            raise _unfit(path, str(problem))

    return Reading(path, domains=ANY_DOMAIN, on_problem=refuse)


def _first_difference(snapshot: Snapshot, manifest: Path) -> str:
    with open(manifest, "rb") as f:
        wanted = (line.decode("utf-8", "replace").rstrip("\n") for line in f)
        for entry, line in zip(snapshot.entries, wanted, strict=False):
            if f"{entry.content_hash} {entry.id}" != line:
                return line[65:][:80] or entry.id
    return "the end"


def _read_meta(path: Path) -> Mapping[str, Any]:
    with _told(path), open(path, "rb") as f:
        raw = f.read(_MAX_META_BYTES)
    try:
        meta = json.loads(raw)
    except (ValueError, RecursionError) as e:
        raise _unfit(path, f"not JSON: {e}") from e
    texts = ("dataset_version", "created_at", "manifest_sha256")
    if (
        not isinstance(meta, dict)
        or meta.get("format") != FORMAT
        or not all(isinstance(meta.get(k), str) for k in texts)
        or not isinstance(meta.get("parent"), str | None)
    ):
        raise _unfit(path, f"not a snapshot of the format {FORMAT!r}")
    try:
        datetime.fromisoformat(meta["created_at"])
    except ValueError as e:
        raise _unfit(path, f"it is not a time: {meta['created_at'][:80]!r}") from e
    return meta


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file in the place of `path`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _told(path: Path, *, writing: bool = False) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as e:
        if writing:
            raise _unreachable(path, e) from e
        raise PairsError(
            f"{path}: no such file",
            try_next="give the folder, or the .jsonl file, of `qa snapshots export`",
        ) from e
    except OSError as e:
        if e.errno == 28:
            raise DiskFull(f"{path}: no room", try_next="free some space") from e
        raise _unreachable(path, e) from e


def _unreachable(path: Path, e: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{path}: cannot be read or written",
        why=e.strerror or str(e),
        try_next="name another place, or make this one writable",
    )


def _unfit(path: Path, why: str) -> PairsError:
    return PairsError(f"{path}: cannot be restored", why=why, try_next="export the snapshot again")
