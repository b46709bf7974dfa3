"""The registry as files: the design's `model_versions.json`, and a folder for Git. SQLite is the truth.

    export.json                       the format, and the head of the audit
    versions/access-qa-v1.2.0.json    one file a version, snapshot, evaluation, deployment, approval …
    snapshots/dataset-….json
    pairs/3f.jsonl                    the pairs' text, by the first two digits of their hash
    audit/000001.jsonl                a thousand rows each; a file that is full never changes again
    sources.jsonl  checklist.jsonl  evidence.jsonl  decisions.jsonl  corrections.jsonl
    labels.jsonl  judgements.jsonl

Both are deterministic: sorted keys, stable names, no time of export. Import: imports.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import EnvironmentProblem, Refused
from core.jobdir import write_atomic
from core.registry import audit, deployments, portable, records
from core.registry.portable import Row, Section
from core.registry.store import Registry

FORMAT = 2
MARK = "export.json"
AUDIT_ROWS = 1000
KEYS = {
    "model_versions": portable.VERSIONS,
    "dataset_snapshots": portable.SNAPSHOTS,
    "evaluations": portable.EVALUATIONS,
    "history": portable.DEPLOYMENTS,
    "approvals": portable.APPROVALS,
    "releases": portable.RELEASES,
    "checklist": portable.ITEMS,
    "evidence": portable.EVIDENCE,
    "decisions": portable.DECISIONS,
    "corrections": portable.CORRECTIONS,
    "labels": portable.LABELS,
    "judgements": portable.JUDGEMENTS,
    "sources": portable.SOURCES,
    "audit": portable.AUDIT,
}
"""Key of model_versions.json → section."""

_FILES = (portable.VERSIONS, portable.SNAPSHOTS, portable.EVALUATIONS, portable.DEPLOYMENTS,
          portable.APPROVALS, portable.RELEASES)  # fmt: skip
LINES = (portable.SOURCES, portable.ITEMS, portable.EVIDENCE, portable.DECISIONS,
         portable.CORRECTIONS, portable.LABELS, portable.JUDGEMENTS)  # fmt: skip
FOLDERS = (*(s.name for s in _FILES), "pairs", "audit")


def model_versions_json(reg: Registry) -> dict[str, Any]:
    """Versions (lowest first), their snapshots, what is live, and everything it follows from.

    The same registry always gives the same value. Pairs are named by id and hash; their text is in
    the folder export alone.
    """
    with _unchanging(reg):
        document: dict[str, Any] = {"format": FORMAT}
        document |= {key: list(portable.rows(reg, section)) for key, section in KEYS.items()}
        document["live"] = {
            name: version.model_version
            for name in records.ENVIRONMENTS
            if (version := deployments.live(reg, name))
        }
        document["audit_head"] = audit.head(reg)
    return document


def write_model_versions(reg: Registry, path: Path) -> None:
    """Write model_versions.json, whole or not at all."""
    text = json.dumps(model_versions_json(reg), ensure_ascii=False, indent=2, sort_keys=False)
    write_atomic(path, text.encode("utf-8", "replace") + b"\n")


def write_folder(reg: Registry, folder: Path) -> int:
    """Bring a folder up to the registry; files that hold the same already are not touched.

    Returns how many files were written or removed. Raises Refused for a folder with other things in
    it, EnvironmentProblem if it cannot be written.
    """
    try:
        _must_be_ours(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with _unchanging(reg):
            changed, kept = 0, set()
            for name, data in files(reg):
                kept.add(name)
                changed += _write(folder / name, data)
        for path in _managed(folder):
            if path.relative_to(folder).as_posix() not in kept:
                path.unlink()
                changed += 1
    except OSError as e:
        raise EnvironmentProblem(
            f"{folder}: cannot be written", why=e.strerror or str(e), try_next="name another folder"
        ) from e
    return changed


def files(reg: Registry) -> Iterator[tuple[str, bytes]]:
    """(path inside the folder, content) of every file of the export."""
    yield MARK, _pretty({"format": FORMAT, "audit_head": audit.head(reg)})
    for section in _FILES:
        for row in portable.rows(reg, section):
            yield f"{section.name}/{_name(section, row)}.json", _pretty(row)
    for section in LINES:
        data = b"".join(_line(row) for row in portable.rows(reg, section))
        if data:
            yield f"{section.name}.jsonl", data
    yield from _pairs(reg)
    yield from _audit(reg)


def _pairs(reg: Registry) -> Iterator[tuple[str, bytes]]:
    part, lines = "", bytearray()
    for content_hash, body in portable.contents(reg):
        if content_hash[:2] != part and lines:
            yield f"pairs/{part}.jsonl", bytes(lines)
            lines.clear()
        part = content_hash[:2]
        lines += body.encode() + b"\n"
    if lines:
        yield f"pairs/{part}.jsonl", bytes(lines)


def _audit(reg: Registry) -> Iterator[tuple[str, bytes]]:
    number, lines = 1, bytearray()
    for count, row in enumerate(portable.rows(reg, portable.AUDIT), 1):
        lines += _line(row)
        if count % AUDIT_ROWS == 0:
            yield f"audit/{number:06}.jsonl", bytes(lines)
            lines.clear()
            number += 1
    if lines:
        yield f"audit/{number:06}.jsonl", bytes(lines)


def _name(section: Section, row: Row) -> str:
    """A file name from a row: names are checked by the database, numbers are padded."""
    if section is portable.VERSIONS:
        return str(row["model_version"])
    if section is portable.SNAPSHOTS:
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in row["dataset_version"])
    return f"{row['id']:08}"


def _pretty(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
    return text.encode("utf-8", "replace") + b"\n"


def _line(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _write(path: Path, data: bytes) -> int:
    try:
        if path.read_bytes() == data:
            return 0
    except FileNotFoundError:
        path.parent.mkdir(exist_ok=True)
    write_atomic(path, data)
    return 1


def _managed(folder: Path) -> list[Path]:
    found = [p for name in FOLDERS for p in (folder / name).glob("*.json*")]
    return found + [p for s in LINES if (p := folder / f"{s.name}.jsonl").exists()]


def _must_be_ours(folder: Path) -> None:
    if not folder.exists() or (folder / MARK).is_file():
        return
    others = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
    if others:
        raise Refused(
            f"{folder} is not an export of a registry",
            why=f"it holds {sorted(others)[0]}, and no {MARK}",
            try_next="name an empty folder, or one exported to before",
        )


class _unchanging:
    """Everything inside reads one state of the registry."""

    def __init__(self, reg: Registry) -> None:
        self.reg = reg
        self.mine = False

    def __enter__(self) -> None:
        self.mine = not self.reg.conn.in_transaction
        if self.mine:
            self.reg.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        if self.mine:
            self.reg.execute("COMMIT")
