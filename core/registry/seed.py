"""Filling a registry from the configs: sample sources and checklist items. Idempotent."""

from __future__ import annotations

import hashlib
from pathlib import Path

from core import checklist, corpus
from core.registry.store import Registry

_KEY = "seed_files"


def seed_paths() -> tuple[Path, Path]:
    return corpus.corpus_dir() / "sources.yaml", checklist.checklist_path()


def seeds_are_current(reg: Registry) -> bool:
    """True if the files are those the registry was last filled from."""
    stored = reg.value("SELECT value FROM meta WHERE key = ?", (_KEY,))
    return bool(stored == _fingerprint())


def seed_files(reg: Registry) -> None:
    """Take over both files. Rows an operator has edited stay as they are.

    Raises SettingsError for a broken file; then nothing is changed.
    """
    from core.registry import checklist as stored_items
    from core.registry import source_patterns, sources

    fingerprint = _fingerprint()
    found, items = corpus.load_sources(), checklist.load_items()
    with reg.writing():
        sources.take_samples(reg, found.rows)
        source_patterns.take_samples(reg, found.patterns)
        stored_items.take_items(reg, items)
        _remember(reg, fingerprint)


def take_as_current(reg: Registry) -> None:
    """Leave a filled registry as it is until the files change (or `qa registry seed` is run)."""
    _remember(reg, _fingerprint())


def _remember(reg: Registry, fingerprint: str) -> None:
    reg.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_KEY, fingerprint),
    )


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in seed_paths():
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            digest.update(b"missing")
    return digest.hexdigest()
