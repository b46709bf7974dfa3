"""The sixteen items, their evidence, and the decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.checklist import load_items
from core.errors import NotFound, RegistryError, SettingsError, UsageError
from core.registry import Registry, audit, checklist, open_registry

IDS = (
    "create-repo setup-env gpu-visible load-base extract-compute extract-software sync data-loader"
    " golden-set first-training full-training metrics qa-eval compare-base document go-no-go"
).split()


@pytest.fixture
def reg() -> Registry:
    return open_registry(operator="tester")


def test_items_of_the_design() -> None:
    items = load_items()
    assert [i.id for i in items] == IDS
    assert [sum(i.week == w for i in items) for w in (1, 2, 3, 4)] == [4, 5, 3, 4]
    assert items[2].title == "Verify PyTorch sees GPU (`torch.cuda.is_available()`)"
    assert items[-1].week_title == "Evaluation"


def test_repeated_id(tmp_path: Path) -> None:
    item = "{id: a, title: A, checks: b}"
    path = tmp_path / "checklist.yaml"
    path.write_text(f"weeks:\n- week: 1\n  title: T\n  items: [{item}, {item}]\n")
    with pytest.raises(SettingsError, match="twice"):
        load_items(path)


def test_newest_evidence_decides_and_notes_do_not(reg: Registry) -> None:
    assert {i.state for i in checklist.items(reg)} == {"open"}
    for outcome, state in (("fail", "failed"), ("warn", "warned"), ("pass", "done"),
                           ("note", "done")):  # fmt: skip
        checklist.add_evidence(reg, "sync", outcome, f"it is {outcome}", "detail", "ada", "job-1")
        assert checklist.item(reg, "sync").state == state
    newest = checklist.evidence(reg, "sync")[0]
    assert (newest.summary, newest.who, newest.job_id) == ("it is note", "ada", "job-1")
    assert checklist.item(reg, "sync").evidence == checklist.evidence(reg, "sync")
    assert len(audit.entries(reg, subject="sync")) == 4


def test_evidence_is_never_changed(reg: Registry) -> None:
    checklist.add_evidence(reg, "sync", "fail", "no")
    for sql in ("UPDATE evidence SET outcome = 'pass'", "DELETE FROM evidence"):
        with pytest.raises(RegistryError):
            reg.execute(sql)


def test_hostile_text_is_stored(reg: Registry) -> None:
    text = "\x1b[31m\x00\ud800 '; DROP TABLE evidence; -- \U0001f4a9"
    checklist.add_evidence(reg, "sync", "note", text, text, text)
    assert "DROP TABLE" in checklist.evidence(reg, "sync")[0].detail
    assert audit.verify(reg).ok


@pytest.mark.parametrize(
    ("item_id", "outcome", "summary", "error"),
    [
        ("synk", "pass", "x", NotFound),
        ("sync", "good", "x", UsageError),
        ("sync", "pass", " ", UsageError),
    ],
)
def test_refused_evidence(
    reg: Registry, item_id: str, outcome: str, summary: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        checklist.add_evidence(reg, item_id, outcome, summary)  # type: ignore[arg-type]
    assert reg.value("SELECT count(*) FROM evidence") == 0


def test_decision(reg: Registry) -> None:
    assert checklist.last_decision(reg) is None
    checklist.decide(reg, "NO-GO", "facts are poor", "ada")
    checklist.decide(reg, "GO", "retrieval first", "ada")
    last = checklist.last_decision(reg)
    assert last is not None and (last.decision, last.reason) == ("GO", "retrieval first")
    assert checklist.item(reg, "go-no-go").state == "done"
    assert audit.entries(reg, subject="go-no-go")[1].before == "NO-GO"
    for decision, reason in (("MAYBE", "x"), ("GO", "  ")):
        with pytest.raises(UsageError):
            checklist.decide(reg, decision, reason)
