"""Releases as the desk makes them: the gates of this moment, the rules, and the `qa` commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core import locations, paging
from core.errors import Refused, SettingsError
from core.registry import Registry, audit, evaluations, open_registry, snapshots, versions
from core.snapshots import freeze
from tests.core.conftest import make_pair
from tests.ui.fakes import measure, scores
from tui.cli.root import run
from tui.desk import release, trails

A, B = "access-qa-v1.0.0", "access-qa-v1.0.1"


@pytest.fixture
def reg() -> Iterator[Registry]:
    """Two evaluated versions that fail their gates, like a first pilot."""
    with open_registry(seed=False) as registry:
        pairs = [make_pair(n) for n in range(20)]
        snapshot = freeze(pairs)
        snapshots.save(registry, snapshot, pairs)
        for r in (16, 64):
            version = versions.register(
                registry, base_model="base", dataset_version=snapshot.id,
                training_config={"lora": {"r": r}},
            )  # fmt: skip
            evaluations.save(registry, version.model_version, scores(version.model_version))
        yield registry


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the two files a release reads, to be changed."""
    folder = tmp_path / "configs"
    folder.mkdir()
    for name in ("gates.yaml", "release.yaml"):
        text = (locations.project_root() / "configs" / name).read_text()
        (folder / name).write_text(text)
    monkeypatch.setenv("QA_CONFIGS", str(folder))
    return folder


@pytest.fixture
def be(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody else sits at the desk."""
    return lambda name: monkeypatch.setenv("QA_OPERATOR", name)


def qa(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    code = run(list(words))
    found = capsys.readouterr()
    try:
        return code, json.loads(found.out), found.err
    except ValueError:
        return code, found.out, found.err


def test_gates_are_evaluated_when_promoting(reg: Registry, configs: Path) -> None:
    """The scores stay; the gates file decides, and its hash is kept."""
    judged = release.judge_now(reg, A)
    assert judged is not None and judged.verdict == "NO-GO"
    before = judged.hashes["gates_sha256"]
    with pytest.raises(Refused, match="the gates say NO-GO"):
        release.promote(reg, A, "staging")
    (configs / "gates.yaml").write_text(
        "gates:\n  - {id: accuracy, title: Accuracy, metric: accuracy, at_least: 0.5, action: x}\n"
        "retrieval: {required: false, action: x}\n"
    )
    assert release.why_not_promote(reg, A, "staging") is None
    done = release.promote(reg, A, "staging").deployment
    assert (done.verdict, done.override_reason) == ("GO", None)
    assert [(g.gate, g.verdict) for g in done.gates] == [("accuracy", "PASS")]
    assert done.evidence["gates_sha256"] != before and len(done.evidence["gates_sha256"]) == 64
    assert done.evidence["golden_sha256"] == "9f2c" * 16
    stored = evaluations.latest(reg, A)
    assert stored is not None and stored.verdict == "NO-GO", "what was measured is not rewritten"


def test_rejudging_gives_what_the_evaluation_gave(reg: Registry) -> None:
    """On the same gates the verdicts follow from k and n alone."""
    judged = release.judge_now(reg, A)
    assert judged is not None
    found = {g["gate"]: g["verdict"] for g in judged.gates}
    assert found["accuracy"] == "FAIL" and found["citation_presence"] == "PASS"
    assert found["unseen_wording"] == "FAIL" and found["latency"] == "UNDECIDED", "no seconds kept"
    assert found["retrieval"] == "UNDECIDED", "the comparison lacks its counts"
    assert judged.reasons[0].startswith("FAIL: Answer accuracy")


def test_scores_without_a_candidate_are_undecided(reg: Registry) -> None:
    evaluations.save(reg, A, {"verdict": "GO", "systems": {}})
    judged = release.judge_now(reg, A)
    assert judged is not None and (judged.verdict, judged.gates) == ("UNDECIDED", ())
    with pytest.raises(Refused, match="UNDECIDED"):
        release.promote(reg, A, "staging")


def test_second_pair_of_eyes(
    reg: Registry, configs: Path, be: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (configs / "release.yaml").write_text("approvers: {production: 1}\n")
    be("ada")
    release.promote(reg, A, "staging", override_reason="pilot")
    assert "1 approval" in (release.why_not_promote(reg, A, "production") or "")
    code, _, err = qa(capsys, "versions", "promote", A, "--to", "production", "--confirm", A,
                      "--override", "pilot")  # fmt: skip
    assert code == 5 and "nobody else has approved it" in err
    be("bob")
    code, found, _ = qa(capsys, "versions", "approve", A, "--reason", "read 20 answers", "--json")
    assert (code, found["who"], found["environment"]) == (0, "bob", "production")
    assert "already" in (release.why_not_approve(reg, A, "production") or "")
    be("ada")
    code, found, _ = qa(capsys, "versions", "promote", A, "--to", "production", "--confirm", A,
                        "--override", "pilot", "--json")  # fmt: skip
    assert (code, found["model_version"], found["override_reason"]) == (0, A, "pilot")
    assert versions.get(reg, A).status == "deployed"


def test_production_needs_staging_and_says_how(
    reg: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = qa(capsys, "versions", "promote", A, "--to", "production", "--confirm", A,
                      "--override", "now")  # fmt: skip
    assert code == 5 and "never been live in staging" in err and "--to staging" in err


def test_a_broken_rules_file_stops_promotions_and_no_way_back(reg: Registry, configs: Path) -> None:
    release.promote(reg, A, "staging", override_reason="pilot")
    release.promote(reg, B, "staging", override_reason="pilot")
    (configs / "release.yaml").write_text("aprovers: {}\n")
    assert "aprovers" in (release.why_not_promote(reg, A, "staging") or "")
    with pytest.raises(SettingsError):
        release.promote(reg, A, "staging", override_reason="pilot")
    assert release.why_not_return(reg, "staging") is None
    assert release.roll_back(reg, "staging", "3 am") == A
    said: list[str] = []
    assert release.return_(reg, "staging", say=said.append) == B
    assert "the defaults count" in said[0]


def test_commands_there_and_back(reg: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    def promote(name: str, expect: str) -> tuple[int, Any, str]:
        return qa(capsys, "versions", "promote", name, "--confirm", name, "--override", "pilot",
                  "--expect", expect, "--json")  # fmt: skip

    code, _, err = qa(capsys, "versions", "return")
    assert code == 5 and "nothing is live" in err
    assert promote(A, "nothing")[0] == 0
    code, _, err = promote(B, "nothing")
    assert code == 5 and "changed under you" in err
    code, found, err = promote(B, A)
    assert (code, found["kind"], found["replaced"]) == (0, "promotion", A)
    assert "not checked: files, hash, loadable" in err, "honest about what nobody looked at"
    code, found, _ = qa(capsys, "versions", "return", "--json")
    assert (code, found["model_version"], found["kind"]) == (0, A, "return")
    assert qa(capsys, "versions", "rollback")[0] == 5
    code, out, _ = qa(capsys, "versions", "recover")
    assert (code, out) == (0, "nothing was left behind\n")
    rows = qa(capsys, "versions", "list", "--json")[1]
    assert [(v["model_version"], v["live_in"], v["override"]) for v in rows] == [
        (B, [], "pilot"), (A, ["staging"], "pilot"),
    ]  # fmt: skip
    shown = qa(capsys, "versions", "show", B)[1]
    assert [o["reason"] for o in shown["overrides"]] == ["pilot"]
    assert [h["action"] for h in qa(capsys, "versions", "history", "--json")[1]] == [
        "return", "promotion", "promotion",
    ]  # fmt: skip


def test_commands_of_states(reg: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    for words, status in (
        (("quarantine", A), "quarantined"),
        (("quarantine", A, "--release"), "evaluated"),
        (("archive", A), "archived"),
        (("fail", A), "failed"),
    ):
        assert qa(capsys, "versions", *words)[0] == 5, "a reason is needed"
        code, found, _ = qa(capsys, "versions", *words, "--reason", "hm", "--json")
        assert (code, found) == (0, {"model_version": A, "status": status})
    sid = snapshots.list(reg)[0].dataset_version
    code, found, _ = qa(capsys, "versions", "propose", sid, "--base-model", "base", "--bump",
                        "minor", "--json")  # fmt: skip
    assert (code, found["version"], found["part"]) == (0, "access-qa-v1.1.0", "minor")


def test_compare_without_common_answers(reg: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    found = qa(capsys, "versions", "compare", A, B, "--json")[1]
    assert found["config"] == {"lora.r": [16, 64]} and found["data"]["added"] == 0
    assert found["n"] == 12 and not any(found["flips"].values())
    other = scores(B) | {"golden": {"sha256": "0" * 64, "n": 5}}
    evaluations.save(reg, B, other)
    code, out, err = qa(capsys, "versions", "compare", A, B)
    assert code == 0 and "lora.r: 16 → 64" in out and "different golden sets" in err


def test_out_and_in(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert qa(capsys, "versions", "export", "--folder", str(tmp_path / "git"))[0] == 0
    head = audit.head(reg)  # the command filled in the sample sources
    document = qa(capsys, "versions", "export")[1]
    (tmp_path / "model_versions.json").write_text(json.dumps(document))
    code, out, _ = qa(capsys, "versions", "import", str(tmp_path / "git"))
    assert code == 0 and "here already" in out
    for number, source in enumerate(("git", "model_versions.json")):
        monkeypatch.setenv("QA_REGISTRY", str(tmp_path / f"{number}.db"))
        code, found, _ = qa(capsys, "versions", "import", str(tmp_path / source), "--json")
        assert (code, found["head"], found["changed"]) == (0, head, True)
        assert qa(capsys, "versions", "export")[1]["model_versions"] == document["model_versions"]


def test_card_and_time_machine(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    release.promote(reg, A, "staging", override_reason="pilot")
    assert qa(capsys, "versions", "card", A, "--out", str(tmp_path / "README.md"))[0] == 0
    assert "NO-GO. Do not use this version" in (tmp_path / "README.md").read_text()
    code, found, _ = qa(capsys, "at", "2999-01-01Z", "--json")
    live = found["live"]["staging"]
    assert (code, live["model_version"], found["future"]) == (0, A, True)
    assert live["scores"]["metrics"]["accuracy"] == measure(126, 170)["estimate"]
    code, out, _ = qa(capsys, "at", "2001-01-01")
    assert code == 0 and out.count("nothing was live") == 2 and "begins later" in out
    assert qa(capsys, "at", "yesterday")[0] == 2


def test_the_trail_of_a_version(reg: Registry) -> None:
    release.promote(reg, A, "staging", override_reason="pilot")
    release.promote(reg, B, "staging", override_reason="pilot")
    found = paging.page(reg.rows, trails.listing(A), paging.Part(descending=True), 0, 50)
    actions = [row.action for row in trails.of_page(reg, found)]
    assert actions[-1] == "version.register"
    assert actions.count("version.promote") == 2, "coming and going"
