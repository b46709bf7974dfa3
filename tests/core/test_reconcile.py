"""An edit of the records that leaves the audit alone is found by the audit, and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from core.registry import Registry, audit, health, reconcile, sources, versions
from tests.core.conftest import Evaluated, make_scores

A, B, C = "access-qa-v1.0.0", "access-qa-v1.0.1", "access-qa-v1.0.2"
Tamper = Callable[..., list[str]]


@pytest.fixture
def lived(reg: Registry, evaluated: Evaluated, stored: object) -> Registry:
    """Approved, promoted, promoted against the gates, rolled back; one begun and trained."""
    from core.registry import releases
    from core.registry.orders import Promote

    first, second = evaluated(), evaluated("NO-GO")
    versions.approve(reg, first, "staging", "bob", "looked")
    releases.release(reg, Promote(first, "staging", "ada", "x"))
    versions.promote(reg, second, "staging", "eve", "typed", None, override_reason="typed")
    versions.rollback(reg, "staging", "ada", "bad answers")
    third = versions.begin(
        reg,
        base_model="base",
        dataset_version=stored.id,  # type: ignore[attr-defined]
        training_config={"r": 16},
        train_job="train-1",
    )
    versions.trained(
        reg, third.model_version, adapter_path="/a", adapter_sha256="e" * 64, who="ada"
    )
    return reg


def test_what_was_lived_fits(lived: Registry) -> None:
    assert list(reconcile.check(lived)) == []
    assert health.check(lived) == ()


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("deployments", "override_reason = 'fine' WHERE id = 2", "deployment 2: override_reason"),
        ("deployments", "who = 'ada' WHERE id = 2", "deployment 2: who is 'ada', row "),
        ("deployments", "reason = 'x' WHERE id = 3", "deployment 3: reason"),
        ("deployments", "verdict = 'GO' WHERE id = 2", "deployment 2: verdict"),
        ("deployment_gates", "verdict = 'PASS' WHERE deployment_id = 2", "deployment 2: gates"),
        ("deployment_evidence", "value = 'x' WHERE deployment_id = 1", "deployment 1: evidence"),
        ("evaluations", "verdict = 'GO' WHERE id = 2", "evaluation 2 of access-qa-v1.0.1: verdict"),
        ("evaluations", "scores = replace(scores, '9', '8')", "not those of their hash"),
        ("versions", f"base_model = 'evil' WHERE model_version = '{A}'", f"version {A}: base_mod"),
        ("versions", f"created_by = 'eve' WHERE model_version = '{C}'", f"version {C}: created_by"),
        ("versions", "training_config = '{\"r\":64}'", f"version {C}: training_config"),
        ("versions", "reproducibility = '{\"a\":1}'", f"version {C}: reproducibility"),
        ("versions", "adapter_sha256 = 'f'", f"version {C}: adapter_sha256"),
        ("versions", "bump_reason = 'so'", f"version {B}: bump_reason"),
        ("versions", "eval_metrics = '{\"accuracy\":1.0}'", f"version {A}: its eval_metrics"),
        ("versions", f"status = 'archived' WHERE model_version = '{A}'", f"version {A}: status"),
        ("approvals", "who = 'carl'", "approval 1: who is 'carl', row"),
    ],
)
def test_an_edit_behind_the_guards_is_named(
    lived: Registry, table: str, change: str, says: str
) -> None:
    with closing(sqlite3.connect(lived.path)) as conn, conn:
        sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
        for (name,) in conn.execute(sql, (table,)).fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("PRAGMA ignore_check_constraints = ON")
        assert conn.execute(f"UPDATE {table} SET {change}").rowcount > 0
    assert audit.verify(lived).ok, "the chain itself was not touched"
    assert any(says in fault for fault in reconcile.check(lived)), list(reconcile.check(lived))
    assert any("trigger" in fault and "is missing" in fault for fault in health.check(lived))


def test_rows_that_were_removed_or_added_are_counted(lived: Registry) -> None:
    with closing(sqlite3.connect(lived.path)) as conn, conn:
        for table in ("deployments", "approvals"):
            conn.execute(f"DROP TRIGGER {table}_no_delete")
        conn.execute("DELETE FROM approvals")
        conn.execute("DELETE FROM deployments WHERE id = 3")
    faults = list(reconcile.check(lived))
    assert "0 approvals are stored, the audit tells of 1" in faults
    assert "2 deployments are stored, the audit tells of 3" in faults


def test_a_guard_that_was_weakened_is_named(reg: Registry) -> None:
    reg.execute("DROP TRIGGER audit_no_update")
    reg.execute("CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT 1; END")
    reg.execute("CREATE TRIGGER extra AFTER INSERT ON audit BEGIN SELECT 1; END")
    assert health.check(reg) == (
        "the trigger audit_no_update was changed",
        "the trigger extra is none of this program's",
    )


def test_scores_after_scores_fit(reg: Registry, evaluated: Evaluated) -> None:
    from core.registry import evaluations

    name = evaluated()
    evaluations.save(reg, name, make_scores("NO-GO"), "job-2")
    evaluations.save(reg, None, make_scores("UNDECIDED"))
    versions.fail(reg, name, "ada", "no good")
    assert list(reconcile.check(reg)) == []


def test_a_source_edited_by_hand_is_located(reg: Registry) -> None:
    sources.upsert_many(reg, [{"source_id": f"doc:{n}", "url": "https://x.org"} for n in "abc"])
    sources.upsert_many(reg, [{"source_id": "doc:b", "display_name": "B"}])
    assert list(reconcile.check(reg)) == []
    reg.execute("UPDATE sources SET url = 'https://evil.org' WHERE source_id = 'doc:b'")
    reg.execute("DELETE FROM sources WHERE source_id = 'doc:c'")
    reg.execute(
        "INSERT INTO sources SELECT 'doc:d', domain, display_name, url, status, renamed_to, origin,"
        " checked_at, updated_at FROM sources WHERE source_id = 'doc:a'"
    )
    found = list(reconcile.check(reg))
    assert len(found) == 3
    assert found[0].startswith("source doc:b: it is not what row") and "doc:c" in found[1]
    assert found[2] == "source doc:d: the audit does not tell of it"
