"""What goes live, what is refused, and the way back."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import QAError, Refused, RegistryError, UsageError
from core.registry import Registry, audit, evaluations, health, open_registry, versions
from core.snapshots import Snapshot
from tests.core.conftest import Evaluated, make_scores

PROD = "production"


def go_live(reg: Registry, version: str, environment: str = PROD) -> versions.Deployment:
    return versions.promote(reg, version, environment, "ada", "better", "GO")


def live_name(reg: Registry, environment: str = PROD) -> str | None:
    version = versions.live(reg, environment)
    return version and version.model_version


def test_promotion_stores_gates_and_scores(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    assert versions.why_not_promote(reg, name, PROD, "GO") is None
    done = go_live(reg, name)
    evaluation = evaluations.latest(reg, name)
    assert evaluation is not None
    assert (done.verdict, done.evaluation_id) == ("GO", evaluation.id)
    assert done.scores_sha256 == evaluation.scores_sha256
    (gate,) = done.gates
    assert (gate.gate, gate.verdict, gate.estimate, gate.n) == ("answer accuracy", "PASS", 0.9, 10)
    assert live_name(reg) == name
    assert versions.get(reg, name).status == "deployed"
    assert versions.live_in(reg, name) == (PROD,)
    assert versions.history(reg) == (done,)
    entry = next(e for e in audit.entries(reg) if e.action == "version.promote")
    assert (entry.who, entry.why, entry.after["model_version"]) == ("ada", "better", name)


@pytest.mark.parametrize("verdict", ["NO-GO", "UNDECIDED"])
@pytest.mark.parametrize("override", [None, "", "  "])
def test_no_go_without_a_typed_reason(
    reg: Registry, evaluated: Evaluated, verdict: str, override: str | None
) -> None:
    name = evaluated(verdict)
    with pytest.raises(Refused, match=verdict) as e:
        versions.promote(reg, name, PROD, "ada", "because", verdict, override)
    assert "accuracy is 9/10" in e.value.why and "override" in e.value.try_next
    problem = versions.why_not_promote(reg, name, PROD)
    assert problem is not None and problem.lines() == e.value.lines()
    assert live_name(reg) is None and versions.history(reg) == ()


def test_an_override_stays_on_record(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated("NO-GO")
    done = versions.promote(reg, name, PROD, "ada", "pilot", "NO-GO", "to show the rollback")
    assert (done.verdict, done.override_reason) == ("NO-GO", "to show the rollback")
    for sql in (
        "UPDATE deployments SET override_reason = NULL",
        "DELETE FROM deployments",
        "DELETE FROM deployment_gates",
    ):
        with pytest.raises(RegistryError):
            reg.execute(sql)


def test_an_override_is_not_noted_where_none_was_needed(
    reg: Registry, evaluated: Evaluated
) -> None:
    done = versions.promote(reg, evaluated(), PROD, "ada", "x", "GO", "not needed")
    assert done.override_reason is None


def test_preconditions(reg: Registry, stored: Snapshot, evaluated: Evaluated) -> None:
    fields = {"base_model": "base", "dataset_version": stored.id, "training_config": {}}
    candidate = versions.register(reg, **fields).model_version  # type: ignore[arg-type]
    good, failed = evaluated(), evaluated()
    versions.fail(reg, failed, "ada", "broken adapter")
    go_live(reg, good)
    cases: list[tuple[str, str, str, type[QAError], str]] = [
        (candidate, PROD, "GO", Refused, "is candidate"),
        (failed, PROD, "GO", Refused, "is failed"),
        (good, PROD, "GO", Refused, "already live"),
        (good, "moon", "GO", UsageError, "no environment"),
        (good, "staging", "NO-GO", Refused, "verdict"),
        ("access-qa-v5.0.0", PROD, "GO", QAError, "no version"),
    ]
    for version, environment, verdict, error, what in cases:
        with pytest.raises(error, match=what):
            versions.promote(reg, version, environment, "ada", "x", verdict, "forced")
    with pytest.raises(Refused, match="reason"):
        versions.promote(reg, good, "staging", "ada", "", "GO")
    assert len(versions.history(reg)) == 1


def test_a_verdict_that_changed_since_it_was_seen(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated("GO")
    evaluations.save(reg, name, make_scores("NO-GO"))
    with pytest.raises(Refused, match="NO-GO, not GO") as e:
        go_live(reg, name)
    assert "look again" in e.value.try_next


def test_environments_are_independent(reg: Registry, evaluated: Evaluated) -> None:
    a, b = evaluated(), evaluated()
    go_live(reg, a)
    go_live(reg, a, "staging")
    go_live(reg, b, "staging")
    assert (live_name(reg), live_name(reg, "staging")) == (a, b)
    assert versions.get(reg, a).status == "deployed"
    go_live(reg, b)
    assert versions.get(reg, a).status == "archived"
    assert versions.live_in(reg, b) == (PROD, "staging")
    assert [d.model_version for d in versions.history(reg, "staging")] == [b, a]


def test_rollback_goes_back_step_by_step(reg: Registry, evaluated: Evaluated) -> None:
    a, b, c = evaluated(), evaluated(), evaluated()
    for name in (a, b, c):
        go_live(reg, name)
    target = versions.rollback_target(reg, PROD)
    assert target is not None and target.model_version == b
    done = versions.rollback(reg, PROD, "ada", "wrong answers")
    assert (done.kind, done.model_version, done.replaced) == ("rollback", b, c)
    assert [versions.get(reg, n).status for n in (a, b, c)] == ["archived", "deployed", "archived"]
    assert versions.rollback(reg, PROD, "ada", "still wrong").model_version == a
    with pytest.raises(Refused, match="before"):
        versions.rollback(reg, PROD, "ada", "more")
    assert versions.rollback_target(reg, PROD) is None
    go_live(reg, c)  # and forward again
    assert versions.rollback(reg, PROD, "ada", "no").model_version == a
    assert health.check(reg) == ()


def test_rollback_refuses(reg: Registry, evaluated: Evaluated) -> None:
    a, b = evaluated(), evaluated()
    with pytest.raises(Refused, match="nothing is live"):
        versions.rollback(reg, PROD, "ada", "x")
    go_live(reg, a)
    problem = versions.why_not_roll_back(reg, PROD)
    assert problem is not None and "before" in problem.what
    go_live(reg, b)
    with pytest.raises(Refused, match="reason"):
        versions.rollback(reg, PROD, "ada", "")
    versions.quarantine(reg, a, "ada", "leaks names")
    with pytest.raises(Refused, match="quarantined"):
        versions.rollback(reg, PROD, "ada", "x")
    with pytest.raises(UsageError):
        versions.rollback(reg, "moon", "ada", "x")
    assert live_name(reg) == b


def test_a_live_version_cannot_be_taken_out(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated()
    go_live(reg, name)
    for take_out in (versions.fail, versions.quarantine, versions.archive):
        with pytest.raises(Refused, match="is live in production"):
            take_out(reg, name, "ada", "x")


def test_the_database_itself_allows_one_live_version(reg: Registry, evaluated: Evaluated) -> None:
    a, b = evaluated(), evaluated()
    done = go_live(reg, a)
    copy = (
        "INSERT INTO deployments (environment, model_version, kind, started_at, who, reason,"
        " verdict, override_reason, evaluation_id) VALUES ('{}', ?, 'promotion', 'x', 'x', 'x',"
        " '{}', NULL, ?)"
    )
    values = (b, done.evaluation_id)
    for environment, verdict in ((PROD, "GO"), ("staging", "NO-GO"), ("moon", "GO")):
        with pytest.raises(RegistryError, match="refused"):
            reg.execute(copy.format(environment, verdict), values)
    reg.execute(copy.format("staging", "GO"), values)


def test_two_operators_at_once(reg: Registry, evaluated: Evaluated) -> None:
    """Both saw nothing live; one wins, the other is told to look again."""
    names = [evaluated(), evaluated()]
    gate = threading.Barrier(2)
    said: dict[str, str] = {}

    def run(name: str) -> None:
        with open_registry(seed=False) as mine:
            gate.wait()
            try:
                versions.promote(mine, name, PROD, "x", "mine", "GO", expected_live=None)
                said[name] = "won"
            except Refused as e:
                said[name] = e.what

    threads = [threading.Thread(target=run, args=(n,)) for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(said) == sorted(names)
    (winner,) = [n for n in names if said[n] == "won"]
    (loser,) = [n for n in names if n != winner]
    assert "changed under you" in said[loser] and winner in said[loser]
    assert live_name(reg) == winner and len(versions.history(reg)) == 1


def test_a_registry_belongs_to_its_thread(reg: Registry) -> None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            versions.list(reg)
        except Exception as e:
            caught.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert isinstance(caught[0], RegistryError)
    assert isinstance(caught[0].__cause__, sqlite3.ProgrammingError)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["promote", "rollback", "fail", "evaluate"]), st.integers(0, 3),
              st.sampled_from(["staging", "production"])),
    max_size=25,
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ACTIONS)
def test_any_order_of_actions_keeps_the_invariants(
    reg: Registry, evaluated: Evaluated, actions: list[tuple[str, int, str]]
) -> None:
    names = [evaluated() for _ in range(4)]
    stack: dict[str, list[str]] = {
        e: [] if (v := live_name(reg, e)) is None else [v] for e in ("staging", "production")
    }
    for action, n, environment in actions:
        name, before = names[n], live_name(reg, environment)
        try:
            if action == "promote":
                go_live(reg, name, environment)
                stack[environment].append(name)
            elif action == "rollback" and len(stack[environment]) > 1:
                done = versions.rollback(reg, environment, "ada", "x")
                stack[environment].pop()
                assert done.model_version == stack[environment][-1]
            elif action == "fail":
                versions.fail(reg, name, "ada", "x")
            else:
                evaluations.save(reg, name, make_scores(x=n))
        except Refused:
            assert live_name(reg, environment) == before
        if stack[environment]:
            assert live_name(reg, environment) == stack[environment][-1]
    assert health.check(reg) == ()
