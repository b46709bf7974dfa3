"""A registry from its export: the folder, with everything; or model_versions.json, without the pairs'
text. Only into an empty one: two histories cannot be one.

Nothing of the files is believed: hashes of pairs, manifests and scores are computed again, and the
audit chain is verified before anything is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import NotFound, Refused, UsageError
from core.registry import audit, portable, seed, snapshots
from core.registry.exports import FORMAT, KEYS, LINES, MARK
from core.registry.portable import Section
from core.registry.store import Registry

MAX_FILE = 512 << 20


@dataclass(frozen=True, slots=True)
class Imported:
    """Rows by section; pairs: texts. changed False: this history was here already."""

    rows: dict[str, int]
    pairs: int
    head: str
    changed: bool = True


def import_from(reg: Registry, path: Path) -> Imported:
    """Fill an empty registry from a folder or a model_versions.json; all of it or nothing.

    Raises NotFound, UsageError (no export, damaged), Refused (the registry has another history).
    """
    source = _Folder(path) if path.is_dir() else _Document(path)
    with reg.writing():
        head = source.head()
        if audit.head(reg) == head and head != audit.GENESIS:
            return Imported({}, 0, head, changed=False)
        _must_be_empty(reg)
        reg.execute("PRAGMA defer_foreign_keys = ON")
        counts = {s.name: portable.put(reg, s, source.rows(s)) for s in portable.SECTIONS}
        pairs = portable.put_contents(reg, source.pairs())
        _set_head(reg)
        _prove(reg, head, with_pairs=source.has_pairs)
        if reg.one("SELECT 1 FROM sources LIMIT 1") is not None:
            seed.take_as_current(reg)  # else the next opening would add to the history
    if source.has_pairs:
        snapshots.build_search(reg)
    return Imported(counts, pairs, head)


class _Folder:
    has_pairs = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = _object(path / MARK)
        _known_format(path, self.mark)

    def head(self) -> str:
        return str(self.mark.get("audit_head"))

    def rows(self, section: Section) -> Iterator[Any]:
        if section is portable.AUDIT:
            for path in self._in("audit", "*.jsonl"):
                yield from _lines(path)
        elif section in LINES:
            path = self.path / f"{section.name}.jsonl"
            yield from _lines(path) if path.exists() else ()
        else:
            found = [_object(p) for p in self._in(section.name, "*.json")]
            yield from sorted(found, key=_order(section))

    def pairs(self) -> Iterator[str]:
        for path in self._in("pairs", "*.jsonl"):
            yield from _split(path)

    def _in(self, name: str, pattern: str) -> list[Path]:
        return sorted((self.path / name).glob(pattern))


class _Document:
    has_pairs = False

    def __init__(self, path: Path) -> None:
        self.data = _object(path)
        _known_format(path, self.data)

    def head(self) -> str:
        return str(self.data.get("audit_head"))

    def rows(self, section: Section) -> Iterable[Any]:
        key = next(k for k, s in KEYS.items() if s is section)
        found = self.data.get(key, [])
        if not isinstance(found, list):
            raise UsageError(f"{key} is not a list")
        return found

    def pairs(self) -> Iterable[str]:
        return ()


def _must_be_empty(reg: Registry) -> None:
    for section in portable.SECTIONS:
        if reg.one(f"SELECT 1 FROM {section.table} LIMIT 1") is not None:
            raise Refused(
                f"{reg.path} has a history of its own",
                why=f"it holds {section.name}; two histories cannot be made one",
                try_next="import into a new file: QA_REGISTRY=new.db qa versions import …",
            )


def _set_head(reg: Registry) -> None:
    row = reg.one("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    if row is not None:
        reg.execute("INSERT INTO meta VALUES (?, ?)", (audit._HEAD, f"{row[0]} {row[1]}"))


def _prove(reg: Registry, head: str, *, with_pairs: bool) -> None:
    """Raises UsageError unless everything is what its name and its hash say."""
    faults = []
    chain = audit.verify(reg)
    if not chain.ok or chain.head != head:
        faults.append(f"audit: {chain.what or 'it does not end in the head of the export'}")
    for row in reg.each("SELECT id, scores, scores_sha256 FROM evaluations"):
        if hashlib.sha256(row["scores"].encode()).hexdigest() != row["scores_sha256"]:
            faults.append(f"the scores of evaluation {row['id']} are not those of their hash")
    for stored in snapshots.list(reg):
        found = snapshots.verify(reg, stored.dataset_version) if with_pairs else ()
        faults += [f"{stored.dataset_version}: {fault}" for fault in found]
        if not with_pairs and not _manifest_fits(reg, stored):
            faults.append(f"{stored.dataset_version}: its pairs are not those of its hash")
    for fault in reg.rows("PRAGMA foreign_key_check"):
        faults.append(f"a row of {fault['table']} refers to a row of {fault['parent']} not there")
    if faults:
        raise UsageError(
            "the export is damaged, or was edited: nothing was imported",
            why="; ".join(faults[:5]),
            try_next="export again, or take an older commit of the folder",
        )


def _manifest_fits(reg: Registry, stored: snapshots.SnapshotRow) -> bool:
    section = portable.SNAPSHOTS
    row = next(
        r for r in portable.rows(reg, section) if r["dataset_version"] == stored.dataset_version
    )
    lines = zip(row["qa_pair_hashes"], row["qa_pair_ids"], strict=True)
    digest = hashlib.sha256("".join(f"{h} {i}\n" for h, i in lines).encode()).hexdigest()
    return digest == stored.manifest_hash and stored.dataset_version.endswith(digest[:12])


def _order(section: Section) -> Any:
    columns = [c.strip() for c in section.order.split(",") if c.strip() != "rowid"]

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        try:
            return tuple(row[c] for c in columns)
        except KeyError as e:
            raise UsageError(f"{section.name}: a row has no {e.args[0]}") from None

    return key


def _known_format(path: Path, data: dict[str, Any]) -> None:
    if data.get("format") != FORMAT:
        raise UsageError(
            f"{path} is not an export this program can read",
            why=f"its format is {str(data.get('format'))[:20]}, known is {FORMAT}",
        )


def _object(path: Path) -> dict[str, Any]:
    found = _parse(path, _text(path))
    if not isinstance(found, dict):
        raise UsageError(f"{path}: not a JSON object")
    return found


def _lines(path: Path) -> Iterator[Any]:
    for line in _split(path):
        yield _parse(path, line)


def _split(path: Path) -> list[str]:
    return [line for line in _text(path).split("\n") if line]  # JSON may hold other line ends


def _parse(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{path}: not JSON", why=str(e)[:200]) from e


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise UsageError(f"{path}: larger than an export's file may be")
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise NotFound(
            f"{path}: no such file", try_next="name a folder or a file that was exported"
        ) from None
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: cannot be read", why=str(e)) from e
