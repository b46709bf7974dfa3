"""A version's way: training, approval, quarantine; and every step that does not exist."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from core.errors import Refused, RegistryError, UsageError
from core.jobdir import JobSpec
from core.registry import Registry, audit, evaluations, health, records, versions
from core.registry.promotion import Judged
from core.registry.reproducibility import (
    NOT_RECORDED,
    Reproducibility,
    laptop_facts,
    reproducibility_from,
)
from core.registry.rules import Rules, load_rules
from core.snapshots import Snapshot
from tests.core.conftest import Evaluated, make_scores

PROD, STAGING = "production", "staging"


def begun(reg: Registry, stored: Snapshot, **other: Any) -> versions.Version:
    fields = {"base_model": "base", "dataset_version": stored.id, "training_config": {}}
    return versions.begin(reg, **(fields | other))


def test_a_version_is_there_while_it_trains(reg: Registry, stored: Snapshot) -> None:
    version = begun(reg, stored, train_job="train-1")
    assert version.status == "training" and version.adapter_sha256 is None
    assert begun(reg, stored, train_job="train-1") == version, "a job has one version"
    with pytest.raises(Refused, match="training"):
        evaluations.save(reg, version.model_version, make_scores())
    done = versions.trained(
        reg, version.model_version, adapter_path="/x", adapter_sha256="a" * 64,
        created_at="2026-01-05T14:30:00Z", reproducibility={"seed": 7},
    )  # fmt: skip
    assert (done.status, done.created_at, done.reproducibility) == (
        "candidate", "2026-01-05T14:30:00Z", {"seed": 7},
    )  # fmt: skip
    told = {"adapter_path": "/x", "adapter_sha256": "a" * 64}
    assert versions.trained(reg, version.model_version, **told) == done, "told twice"
    with pytest.raises(Refused, match="not in training"):
        versions.trained(reg, version.model_version, adapter_path="/y", adapter_sha256="b" * 64)
    for change in ("adapter_sha256 = 'x'", "created_at = 'x'", "reproducibility = '{}'"):
        with pytest.raises(RegistryError, match="refused"):
            reg.execute(f"UPDATE versions SET {change}")
    assert health.check(reg) == ()


def test_register_completes_what_was_begun(reg: Registry, stored: Snapshot) -> None:
    version = begun(reg, stored, train_job="train-1")
    other = begun(reg, stored, train_job="train-2")
    assert other.model_version == "access-qa-v1.0.1", "numbers are taken when training starts"
    done = versions.register(
        reg, base_model="base", dataset_version=stored.id, training_config={},
        train_job="train-1", adapter_sha256="a" * 64,
    )  # fmt: skip
    assert (done.model_version, done.status) == (version.model_version, "candidate")
    failed = versions.fail(reg, other.model_version, "ada", "the loss is nan")
    assert failed.status == "failed"
    assert len(versions.list(reg)) == 2


def test_a_raised_bump_is_kept_with_its_reason(reg: Registry, stored: Snapshot) -> None:
    begun(reg, stored)
    version = begun(reg, stored, at_least="minor")
    assert (version.model_version, version.bump_part) == ("access-qa-v1.1.0", "minor")
    assert "raised by the operator" in version.bump_reason
    with pytest.raises(UsageError, match="no part"):
        begun(reg, stored, at_least="huge")


def test_the_database_refuses_every_step_that_is_not_in_the_list(
    reg: Registry, evaluated: Evaluated
) -> None:
    """STEPS in Python and the trigger of the migration are one list."""
    name = evaluated()
    for before, possible in records.STEPS.items():
        for after in get_args(records.Status):
            reg.conn.execute("BEGIN")
            reg.conn.execute("DROP TRIGGER versions_steps")
            reg.conn.execute("UPDATE versions SET status = ?", (before,))
            from core.registry.migrations import m003_release

            reg.conn.execute(m003_release._STEPS)
            try:
                reg.execute("UPDATE versions SET status = ?", (after,))
                allowed = True
            except RegistryError:
                allowed = False
            reg.conn.execute("ROLLBACK")
            assert allowed == (after in possible or after == before), (before, after)
    assert versions.get(reg, name).status == "evaluated"


def test_illegal_steps_say_what_is_possible(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    versions.fail(reg, name, "ada", "broken")
    with pytest.raises(Refused, match="cannot become archived") as e:
        versions.archive(reg, name, "ada", "tidy")
    assert "final" in e.value.why
    with pytest.raises(Refused, match="failed already"):
        versions.fail(reg, name, "ada", "again")
    with pytest.raises(Refused, match="not in quarantine"):
        versions.release_from_quarantine(reg, name, "ada", "x")


def test_quarantine_and_back(reg: Registry, evaluated: Evaluated, stored: Snapshot) -> None:
    name = evaluated()
    versions.approve(reg, name, PROD, "bob", "fine")
    assert versions.quarantine(reg, name, "ada", "leaks names").status == "quarantined"
    (approval,) = versions.approvals(reg, name)
    assert approval.void_why == "quarantined: leaks names"
    with pytest.raises(Refused, match="reason"):
        versions.release_from_quarantine(reg, name, "ada", " ")
    assert versions.release_from_quarantine(reg, name, "ada", "checked").status == "evaluated"
    candidate = versions.register(
        reg, base_model="b", dataset_version=stored.id, training_config={}
    ).model_version
    versions.quarantine(reg, candidate, "ada", "x")
    assert versions.release_from_quarantine(reg, candidate, "ada", "x").status == "candidate"
    entry = audit.entries(reg, subject=name)[0]
    assert (entry.before, entry.after, entry.why) == ("quarantined", "evaluated", "checked")


TWO = Rules.model_validate({"approvers": {"production": 2}, "production_needs_staging": False})


def promote(reg: Registry, name: str, rules: Rules | None = TWO) -> versions.Deployment:
    return versions.promote(reg, name, PROD, "ada", "better", "GO", rules=rules)


def test_approvals_by_others_bound_to_the_scores(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    with pytest.raises(Refused, match="2 approvals by somebody else") as e:
        promote(reg, name)
    assert "nobody else" in e.value.why
    assert versions.approve(reg, name, PROD, "ada", "mine").who == "ada"
    assert versions.get(reg, name).status == "approved"
    versions.approve(reg, name, PROD, "bob", "read 20 answers")
    versions.approve(reg, name, STAGING, "cy", "for staging only")
    with pytest.raises(Refused) as e:
        promote(reg, name)
    assert "approved so far by bob" in e.value.why, "the promoter's own does not count"
    with pytest.raises(Refused, match=r"approved .* already"):
        versions.approve(reg, name, PROD, "bob", "twice")
    versions.approve(reg, name, PROD, "cy", "agreed")
    evaluations.save(reg, name, make_scores(x=1), "another")
    assert versions.get(reg, name).status == "evaluated"
    assert all(a.void_why == "the scores have changed" for a in versions.approvals(reg, name))
    assert health.check(reg) == ()
    with pytest.raises(Refused, match="2 approvals"):
        promote(reg, name)
    for who in ("bob", "cy"):
        versions.approve(reg, name, PROD, who, "read them again")
    assert promote(reg, name).model_version == name


def test_the_same_scores_again_void_nothing(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    versions.approve(reg, name, PROD, "bob", "fine")
    evaluations.save(reg, name, make_scores(), "the same run, another job")
    assert versions.get(reg, name).status == "approved"
    assert [a.void_at for a in versions.approvals(reg, name)] == [None]


def test_approval_refuses(reg: Registry, evaluated: Evaluated, stored: Snapshot) -> None:
    name = evaluated()
    with pytest.raises(Refused, match="reason"):
        versions.approve(reg, name, PROD, "bob", "")
    with pytest.raises(UsageError):
        versions.approve(reg, name, "moon", "bob", "x")
    with pytest.raises(Refused, match="changed under you"):
        versions.approve(reg, name, PROD, "bob", "x", scores_sha256="0" * 64)
    candidate = begun(reg, stored).model_version
    with pytest.raises(Refused, match="is training"):
        versions.approve(reg, candidate, PROD, "bob", "x")
    for sql in ("DELETE FROM approvals", "UPDATE approvals SET who = 'x'"):
        versions.approvals(reg, name) or versions.approve(reg, name, PROD, "bob", "x")
        with pytest.raises(RegistryError):
            reg.execute(sql)


def test_production_comes_after_staging(reg: Registry, evaluated: Evaluated) -> None:
    name, rules = evaluated(), load_rules()
    assert rules.production_needs_staging and rules.window_s == 24 * 3600
    with pytest.raises(Refused, match="never been live in staging"):
        promote(reg, name, rules)
    versions.promote(reg, name, STAGING, "ada", "x", "GO", rules=rules)
    assert promote(reg, name, rules).environment == PROD


def test_the_gates_of_now_decide_and_leave_evidence(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated("GO")
    scores = evaluations.latest_head(reg, name)
    assert scores is not None
    gate = {"gate": "accuracy", "verdict": "FAIL", "n": 10, "estimate": 0.9}
    judged = Judged(
        "NO-GO", scores.scores_sha256, (gate,), ("too low",), {"gates_sha256": "9" * 64}
    )
    with pytest.raises(Refused, match="the gates say NO-GO") as e:
        versions.promote(reg, name, PROD, "ada", "x", None, judged=judged)
    assert e.value.why == "too low"
    with pytest.raises(Refused, match="NO-GO, not GO"):
        versions.promote(reg, name, PROD, "ada", "x", "GO", "forced", judged=judged)
    done = versions.promote(reg, name, PROD, "ada", "x", "NO-GO", "pilot", judged=judged)
    assert (done.verdict, done.override_reason) == ("NO-GO", "pilot")
    assert [g.verdict for g in done.gates] == ["FAIL"]
    assert done.evidence["gates_sha256"] == "9" * 64
    assert done.evidence["scores_sha256"] == scores.scores_sha256
    assert {"golden_sha256", "dataset_version", "manifest_sha256", "base_model"} <= set(
        done.evidence
    )
    evaluations.save(reg, name, make_scores(x=2))
    with pytest.raises(Refused, match="changed under you"):
        versions.promote(reg, name, STAGING, "ada", "x", None, "y", judged=judged)
    with pytest.raises(RegistryError):
        reg.execute("UPDATE deployment_evidence SET value = 'x'")


def test_reproducibility_says_what_is_missing() -> None:
    spec = JobSpec(
        "train-1", "train", ["python"], {"data": "/w/pairs.jsonl"}, host="gh200",
        inputs=[{"name": "pairs", "path": "/w/pairs.jsonl", "sha256": "d" * 64}],
        env={"PYTHONPATH": "/home/x/code-abc123"},
    )  # fmt: skip
    summary = {"steps": 59, "tokens": 12_345, "wall_s": 61.5, "peak_memory_bytes": 7, "seed": 3,
               "base_model": "b", "base_model_sha256": "", "chat_template_sha256": "c" * 64,
               "resumed": False, "init_adapter": None, "modules_changed": 8,
               "versions": {"python": "3.11.2", "torch": "2.14.0", "peft": "?"}}  # fmt: skip
    record = reproducibility_from(summary, spec, {"code_commit": "f" * 40})
    again = Reproducibility.of(record)
    assert (again.steps, again.torch, again.seed, again.code_bundle) == (
        59,
        "2.14.0",
        3,
        "code-abc123",
    )
    assert (again.data_sha256, again.resumed, again.init_adapter) == ("d" * 64, "no", "none")
    assert {"driver", "cuda", "gpu", "peft", "base_model_sha256"} <= set(again.missing)
    assert record["driver"] == NOT_RECORDED and record["run"] == {"modules_changed": 8}


def test_laptop_facts_tell_a_dirty_checkout(tmp_path: Any) -> None:
    import subprocess

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y", *words],
            check=True, capture_output=True,
        )  # fmt: skip

    assert "code_commit" not in laptop_facts(tmp_path / "nowhere")
    git("init")
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "constraints.txt").write_text("x==1")
    git("add", ".")
    git("commit", "-m", "one")
    clean = laptop_facts(tmp_path)
    assert len(clean["code_commit"]) == 40 and clean["code_dirty_sha256"] == "clean"
    assert len(clean["pins_sha256"]) == 64
    (tmp_path / "b.py").write_text("2")
    untracked = laptop_facts(tmp_path)["code_dirty_sha256"]
    (tmp_path / "a.py").write_text("3")
    assert len({"clean", untracked, laptop_facts(tmp_path)["code_dirty_sha256"]}) == 3
