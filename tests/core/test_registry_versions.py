"""Numbers follow the rule, and a version once registered keeps what it is."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import NotFound, Refused, RegistryError, UsageError
from core.registry import Registry, audit, evaluations, snapshots, versions
from core.snapshots import Snapshot, freeze
from tests.core.conftest import Evaluated, make_pair, make_scores


def grown(reg: Registry, parent: Snapshot, new: int) -> Snapshot:
    """A snapshot of 100 pairs of which `new` are not in the parent (which has 0..99)."""
    pairs = [make_pair(n) for n in range(new, 100 + new)]
    snapshot = freeze(pairs, parent)
    snapshots.save(reg, snapshot, pairs)
    return snapshot


@pytest.fixture
def hundred(reg: Registry) -> Snapshot:
    pairs = [make_pair(n) for n in range(100)]
    snapshot = freeze(pairs)
    snapshots.save(reg, snapshot, pairs)
    return snapshot


def register(
    reg: Registry, snapshot: Snapshot, base: str = "base", **more: Any
) -> versions.Version:
    more = {"training_config": {}} | more
    return versions.register(reg, base_model=base, dataset_version=snapshot.id, **more)


def test_the_first_is_1_0_0(reg: Registry, hundred: Snapshot) -> None:
    bump = versions.propose_bump(reg, "base", hundred, {})
    assert (bump.version, bump.part, bump.parent) == ("access-qa-v1.0.0", "first", None)
    assert register(reg, hundred, bump=bump).number == (1, 0, 0)


@pytest.mark.parametrize(
    ("new", "base", "config", "version", "part"),
    [
        (0, "base", {}, "access-qa-v1.0.1", "patch"),
        (10, "base", {}, "access-qa-v1.0.1", "patch"),  # exactly 10 % is not more than 10 %
        (11, "base", {}, "access-qa-v1.1.0", "minor"),
        (0, "other", {}, "access-qa-v2.0.0", "major"),
        (50, "other", {}, "access-qa-v2.0.0", "major"),
        (0, "base", {"model": {"architecture": "moe"}}, "access-qa-v2.0.0", "major"),
        (0, "base", {"model": {"architecture": "dense"}}, "access-qa-v1.0.1", "patch"),
    ],
)
def test_bump(
    reg: Registry,
    hundred: Snapshot,
    new: int,
    base: str,
    config: dict[str, Any],
    version: str,
    part: str,
) -> None:
    register(reg, hundred, training_config={"model": {"architecture": "dense"}})
    snapshot = grown(reg, hundred, new)
    bump = versions.propose_bump(reg, base, snapshot, config)
    assert (bump.version, bump.part, bump.parent) == (version, part, "access-qa-v1.0.0")
    assert bump.reason and bump.share_new == new / 100
    assert register(reg, snapshot, base, training_config=config).model_version == version


def test_a_bump_may_be_raised_and_not_lowered(reg: Registry, hundred: Snapshot) -> None:
    register(reg, hundred)
    snapshot = grown(reg, hundred, 30)
    raised = versions.propose_bump(reg, "base", snapshot, {}, at_least="major")
    assert (raised.version, raised.part) == ("access-qa-v2.0.0", "major")
    assert "raised" in raised.reason and "30.0%" in raised.reason
    kept = versions.propose_bump(reg, "base", snapshot, {}, at_least="patch")
    assert kept.version == "access-qa-v1.1.0"
    low = versions.Bump("access-qa-v1.0.1", (1, 0, 1), "patch", "mine", "access-qa-v1.0.0")
    with pytest.raises(Refused, match=r"access-qa-v1\.1\.0"):
        register(reg, snapshot, bump=low)
    assert register(reg, snapshot, bump=raised).model_version == "access-qa-v2.0.0"


def test_a_failed_version_keeps_its_number_and_is_no_parent(
    reg: Registry, hundred: Snapshot
) -> None:
    register(reg, hundred)
    bad = register(reg, grown(reg, hundred, 30))
    versions.fail(reg, bad.model_version, "ada", "loss is nan")
    bump = versions.propose_bump(reg, "base", grown(reg, hundred, 31), {})
    assert (bump.version, bump.parent) == ("access-qa-v1.2.0", "access-qa-v1.0.0")


def test_a_proposal_that_is_overtaken_is_refused(reg: Registry, hundred: Snapshot) -> None:
    bump = versions.propose_bump(reg, "base", hundred, {})
    register(reg, hundred, bump=bump)
    with pytest.raises(Refused, match="now, not") as e:
        register(reg, hundred, bump=bump)
    assert "look again" in e.value.try_next


def test_all_fields_are_kept(reg: Registry, hundred: Snapshot) -> None:
    given: dict[str, Any] = {
        "training_config": {"lora": {"r": 64}, "lr": 1e-3},
        "created_by": "jsmith",
        "created_at": "2026-01-05T14:30:00Z",
        "reproducibility": {"seed": 7, "torch": "2.14"},
        "train_job": "train-1",
        "adapter_path": "/x/adapter",
        "adapter_sha256": "a" * 64,
        "note": "first try",
    }
    version = register(reg, hundred, **given)
    assert {name: getattr(version, name) for name in given} == given
    assert (version.status, version.eval_metrics) == ("candidate", {})
    assert versions.get(reg, version.model_version) == version
    assert register(reg, hundred, **given) == version  # the same job's outcome, told twice
    assert len(versions.list(reg)) == 1


def test_identity_cannot_be_changed_even_by_sql(reg: Registry, hundred: Snapshot) -> None:
    register(reg, hundred)
    for change in ("base_model = 'x'", "created_at = 'x'", "training_config = '{}'", "minor = 4"):
        with pytest.raises(RegistryError, match="refused"):
            reg.execute(f"UPDATE versions SET {change}")
    for sql in ("DELETE FROM versions", "UPDATE versions SET status = 'great'"):
        with pytest.raises(RegistryError, match="refused"):
            reg.execute(sql)


def test_register_refuses(reg: Registry, hundred: Snapshot) -> None:
    with pytest.raises(NotFound):
        versions.register(reg, base_model="b", dataset_version="dataset-x", training_config={})
    with pytest.raises(UsageError, match="plain JSON"):
        register(reg, hundred, training_config={"lr": float("nan")})
    assert versions.list(reg) == ()
    with pytest.raises(NotFound, match=r"access-qa-v9\.0\.0"):
        versions.get(reg, "access-qa-v9.0.0")


def test_list_is_by_number_not_by_text(reg: Registry, stored: Snapshot) -> None:
    for _ in range(12):
        register(reg, stored)
    found = [v.number for v in versions.list(reg)]
    assert found == sorted(found, reverse=True) and found[0] == (1, 0, 11)
    assert [v.number for v in versions.list(reg, limit=2)] == [(1, 0, 11), (1, 0, 10)]


def test_evaluation_makes_a_candidate_evaluated(reg: Registry, hundred: Snapshot) -> None:
    name = register(reg, hundred).model_version
    assert evaluations.latest(reg, name) is None
    scores = make_scores("NO-GO")
    saved = evaluations.save(reg, name, scores, "eval-1")
    assert evaluations.latest(reg, name) == saved == evaluations.newest(reg)
    assert (saved.scores, saved.verdict, saved.golden_sha256) == (scores, "NO-GO", "f" * 64)
    version = versions.get(reg, name)
    assert (version.status, version.eval_job) == ("evaluated", "eval-1")
    expected = {"accuracy": 0.9, "latency_p95": 1.25, "verdict": "NO-GO"}
    assert version.eval_metrics == expected
    assert evaluations.save(reg, name, scores, "eval-1") == saved
    better = evaluations.save(reg, name, make_scores("GO"), "eval-2")
    assert evaluations.list(reg, name) == (better, saved)
    assert versions.get(reg, name).eval_metrics["verdict"] == "GO"


def test_evaluation_of_the_base_alone(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    base = evaluations.save(reg, None, make_scores("NO-GO"))
    assert evaluations.latest(reg, None) == base
    assert evaluations.latest(reg, name) != base
    assert len(evaluations.list(reg)) == 2


def test_evaluation_refuses(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    with pytest.raises(NotFound):
        evaluations.save(reg, "access-qa-v7.0.0", make_scores())
    with pytest.raises(UsageError, match="verdict"):
        evaluations.save(reg, name, make_scores("FINE"))
    with pytest.raises(UsageError, match="JSON"):
        evaluations.save(reg, name, make_scores(x=float("inf")))
    with pytest.raises(RegistryError):
        reg.execute("UPDATE evaluations SET verdict = 'GO'")
    assert len(evaluations.list(reg)) == 1


def test_taking_a_version_out(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    with pytest.raises(Refused, match="reason"):
        versions.fail(reg, name, "ada", " ")
    assert versions.archive(reg, name, "ada", "old").status == "archived"
    assert versions.quarantine(reg, name, "ada", "leak").status == "quarantined"
    with pytest.raises(Refused, match="quarantined"):
        versions.archive(reg, name, "ada", "tidy")
    entry = audit.entries(reg, subject=name)[0]
    shown = (entry.who, entry.before, entry.after, entry.why)
    assert shown == ("ada", "archived", "quarantined", "leak")
