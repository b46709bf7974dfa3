"""Hostile strings in every field: stored or refused by a typed error, never half-done, always shown
as what they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import QAError
from core.jobdir import JobSpec, JobState
from core.registry import (
    Registry,
    audit,
    checklist,
    evaluations,
    jobs,
    maintenance,
    open_registry,
    points,
    snapshots,
    sources,
    versions,
)
from core.snapshots import freeze
from tests.core.conftest import make_pair, make_scores
from tests.core.faults.harness import prepare

NASTY = [
    "", " ", "\x00", "a\x00b", "\ud800", "x\udfff", "\u202eevil\u202c", "\x1b[2J\x1b]0;x\x07",
    "'; DROP TABLE versions; --", '"', "`", "%s%n", "{}", "\\", "\n\r\t", "🙂" * 50, "\ufeff",
    "ı İ ß ﬁ", "<<SRC:a:b>>", "../../etc/passwd", "-1", "NULL", "nan", "a" * 1_000_000,
]  # fmt: skip
text = st.one_of(
    st.sampled_from(NASTY[:-1]),
    st.text(st.characters(), max_size=60),
    st.text(st.sampled_from("\x00\ud800\udfff\u202e'\"\\%<>:\n\x1b "), max_size=20),
)
Write = Callable[[Registry, str], object]

WRITES: dict[str, Write] = {
    "register": lambda r, t: versions.register(
        r, base_model=t, dataset_version=versions.list(r)[0].dataset_version,
        training_config={t: [t, {t: None}]}, reproducibility={"x": t}, created_by=t, note=t,
        train_job=t, adapter_path=t, adapter_sha256=t),
    "evaluated": lambda r, t: evaluations.save(
        r, versions.list(r)[0].model_version, {**make_scores("NO-GO"), "reasons": [t], t: t}, t,
        who=t),
    "promote": lambda r, t: versions.promote(
        r, _evaluated(r), "staging", t, t or "x", None, t or "x"),
    "rollback": lambda r, t: versions.rollback(r, "staging", t, t),
    "sources": lambda r, t: sources.upsert_many(
        r, [{"source_id": f"doc:{t}", "display_name": t, "url": t}], who=t, why=t),
    "unknown": lambda r, t: sources.note_unknown(r, t, model_version=t, example=t),
    "evidence": lambda r, t: checklist.add_evidence(
        r, checklist.items(r)[0].id, "note", t, t, who=t, job_id=t),
    "decide": lambda r, t: checklist.decide(r, "GO", t, t),
    "job": lambda r, t: jobs.record(
        r, JobSpec(t, t, [t], {t: t}, requested_by=t, note=t), t),
    "job state": lambda r, t: jobs.update(r, "train-1", JobState("running", reason=t, boot_id=t)),
    "points": lambda r, t: points.add(r, t, [(t, 1, 1.0)]),
    "freeze": lambda r, t: _freeze(r, t),
    "audit": lambda r, t: _append(r, t),
}  # fmt: skip


def _evaluated(reg: Registry) -> str:
    live = versions.live(reg, "staging")
    return next(
        v.model_version for v in versions.list(reg)
        if v.status in ("evaluated", "archived", "approved") and v != live
    )  # fmt: skip


def _freeze(reg: Registry, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()  # half surrogates end up among the rejects
    pairs = [make_pair(1, source_ref=text, domain=text or "d", metadata={text: text})]
    snapshots.save(reg, freeze(pairs), pairs, who=text)


def _append(reg: Registry, text: str) -> None:
    with reg.writing():
        audit.append(reg, text, text, who=text, before={text: text}, after=text, why=text)


@pytest.fixture(scope="module")
def reg() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.db"
        prepare(path)
        with open_registry(path) as registry:
            yield registry


def tried(reg: Registry, what: str, text: str) -> None:
    """Each in a transaction of its own that is undone: the next meets the registry as prepared."""
    reg.execute("BEGIN IMMEDIATE")
    try:
        try:
            WRITES[what](reg, text)
        except QAError as e:
            assert e.what
        else:
            newest = audit.entries(reg, limit=1)[0]
            newest.why.encode(), newest.subject.encode()
        assert audit.verify(reg).ok
        assert reg.rows("PRAGMA foreign_key_check") == []
    finally:
        reg.execute("ROLLBACK")


@pytest.mark.parametrize("what", WRITES)
def test_nasty_strings(reg: Registry, what: str) -> None:
    for one in NASTY:
        tried(reg, what, one)
    assert maintenance.check(reg) == ()


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(WRITES)), text)
def test_any_string(reg: Registry, what: str, text: str) -> None:
    tried(reg, what, text)
