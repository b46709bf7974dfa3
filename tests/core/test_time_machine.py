"""What was live then; and the model card, which must not hide a NO-GO nor obey what it quotes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from core.errors import UsageError
from core.registry import Registry, checklist, evaluations, store, time_machine, versions
from core.registry.model_card import model_card
from core.registry.time_machine import parse_moment
from tests.core.conftest import Evaluated, make_scores

T0 = datetime(2026, 1, 14, 9, 0, tzinfo=UTC)


class Clock:
    """The registry's clock, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = T0
        for module in ("audit", "deployments", "evaluations", "records", "approvals", "versions",
                       "checklist", "store"):  # fmt: skip
            monkeypatch.setattr(f"core.registry.{module}.utc_now", self.text, raising=False)

    def text(self) -> str:
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def hour(self, n: float) -> None:
        self.now = T0 + timedelta(hours=n)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    assert store.utc_now
    return Clock(monkeypatch)


def at(reg: Registry, hours: float) -> dict[str, object]:
    moment = time_machine.at(reg, T0 + timedelta(hours=hours))
    return {name: lived and lived.version.model_version for name, lived in moment.live.items()}


def test_what_was_live_and_known_then(reg: Registry, clock: Clock, evaluated: Evaluated) -> None:
    a, b = evaluated(), evaluated("NO-GO")
    checklist.decide(reg, "NO-GO", "not yet", "ada")
    clock.hour(1)
    versions.approve(reg, a, "production", "bob", "fine")
    versions.promote(reg, a, "production", "ada", "first", "GO")
    clock.hour(2)
    versions.promote(reg, b, "production", "ada", "x", "NO-GO", "to show it")
    clock.hour(3)
    evaluations.save(reg, a, make_scores("UNDECIDED"), "again")
    versions.rollback(reg, "production", "cy", "wrong answers")
    clock.hour(4)
    versions.fail(reg, b, "ada", "broken")
    nothing = {"staging": None, "production": None}
    assert at(reg, 0.5) == nothing
    assert at(reg, 1) == at(reg, 1.99) == nothing | {"production": a}
    assert at(reg, 2) == nothing | {"production": b}
    assert at(reg, 3) == at(reg, 100) == nothing | {"production": a}

    first = time_machine.at(reg, T0 + timedelta(hours=1.5)).live["production"]
    assert first is not None and first.evaluation is not None
    assert (first.evaluation.verdict, first.status) == ("GO", "deployed")
    assert (first.deployment.who, [x.who for x in first.approvals]) == ("ada", ["bob"])
    second = time_machine.at(reg, T0 + timedelta(hours=2.5)).live["production"]
    assert second is not None
    assert (second.status, second.deployment.override_reason) == ("deployed", "to show it")
    last = time_machine.at(reg, T0 + timedelta(hours=3.5), now=clock.now).live["production"]
    assert last is not None and last.evaluation is not None
    assert (last.evaluation.verdict, last.approvals) == ("UNDECIDED", ()), "void by then"

    moment = time_machine.at(reg, T0 + timedelta(hours=2.5))
    assert moment.decision is not None and moment.decision["reason"] == "not yet"
    plain = time_machine.as_dict(moment)
    live = plain["live"]["production"]
    assert (live["who"], live["dataset"]["pairs"], live["until"]) == (
        "ada",
        20,
        "2026-01-14T12:00:00.000Z",
    )
    early = time_machine.at(reg, T0 - timedelta(days=1))
    assert early.before_all and early.decision is None and set(early.live.values()) == {None}
    assert time_machine.at(reg, clock.now + timedelta(days=1), now=clock.now).future


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-01-14T09:00Z", 9), ("2026-01-14T09:00+02:00", 7), ("2026-01-14 09:00:30.5z", 9),
     ("2026-01-14T09:00-0330", 12), ("2026-01-14Z", 0)],
)  # fmt: skip
def test_moments(text: str, hour: int) -> None:
    found = parse_moment(text)
    assert (found.date().isoformat(), found.hour, found.utcoffset()) == (
        "2026-01-14", hour, timedelta(0),
    )  # fmt: skip


def test_local_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for text in ("2026-01-14T09:00", "2026-01-14T09:00local", "2026-01-14 09:00 local"):
            assert parse_moment(text) == datetime(2026, 1, 14, 8, tzinfo=UTC)
        assert parse_moment("2026-07-14").astimezone(UTC).hour == 22
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "2026-01-14T25:00", "14.1.2026",
                                  "2026-01-14T09:00+99:00", "2026-01-14T09", "０" * 10])  # fmt: skip
def test_no_moment(text: str) -> None:
    with pytest.raises(UsageError, match="not a moment"):
        parse_moment(text)


def front(card: str) -> dict[str, object]:
    _, head, _ = card.split("---\n", 2)
    found = yaml.safe_load(head)
    assert isinstance(found, dict)
    return found


def test_card_of_a_no_go_says_so_first(reg: Registry, evaluated: Evaluated) -> None:
    name = evaluated("NO-GO")
    versions.promote(reg, name, "staging", "ada", "x", "NO-GO", "pilot rehearsal")
    card = model_card(reg, name)
    head = front(card)
    assert head["library_name"] == "peft" and head["base_model"] == "base"
    metrics = head["model-index"][0]["results"][0]["metrics"]  # type: ignore[index]
    assert {"type": "accuracy", "name": "Answer accuracy", "value": 0.9} in metrics
    first = card.split("---\n", 2)[2].strip().splitlines()[2]
    assert first.startswith("**NO-GO. Do not use this version")
    for part in ("## Data", "20 question/answer pairs", "## Training", "Not recorded: code commit",
                 "## Evaluation", "90 [10–90] (9/10)", "### Gates", "**Override:**",
                 "pilot rehearsal", "## Limits", "retrieval baseline was not measured"):  # fmt: skip
        assert part in card, part


def test_card_without_scores(reg: Registry, stored: object) -> None:
    version = versions.register(
        reg,
        base_model="base",
        dataset_version=stored.id,
        training_config={"lr": 1e-3},  # type: ignore[attr-defined]
    )
    card = model_card(reg, version.model_version)
    assert "**NOT EVALUATED." in card and "model-index" not in front(card)


def test_card_obeys_nothing_it_quotes(reg: Registry, evaluated: Evaluated) -> None:
    evil = "x\n# Owned\n<script>alert(1)</script> | [a](javascript:b) `c` \x1b[31m ---\n"
    name = evaluated(base_model=evil, note=evil, training_config={evil: evil})
    versions.promote(reg, name, "staging", evil, evil, "GO")
    card = model_card(reg, name)
    assert front(card)["base_model"] == evil, "YAML quotes it"
    body = card.split("\n---\n", 1)[1]
    assert "<script" not in body and "\x1b" not in body and "\n# Owned" not in body
    assert "[a](" not in body.replace("\\[a\\]", "")
    for line in body.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")
