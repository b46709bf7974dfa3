"""`qa report`, `qa gates check` and `qa eval compare` over a real registry."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.evaluation.pages.gather import gather, training_curves
from core.jobdir import EventWriter
from core.registry import (
    Registry,
    checklist,
    evaluations,
    open_registry,
    points,
    snapshots,
    versions,
)
from core.snapshots import freeze
from tests.core.conftest import make_pair
from tests.evaluation.report_parts import Reader, full_scores
from tui.cli.root import run

A, B = "access-qa-v1.0.0", "access-qa-v1.0.1"
JOB = "train-20261122-100000-beef"
LAX = (
    "gates:\n  - {id: accuracy, title: Accuracy, metric: accuracy, at_least: 0.5, action: x}\n"
    "retrieval: {required: false, action: x}\n"
)


@pytest.fixture
def reg() -> Iterator[Registry]:
    """Two evaluated versions: the second lost two questions and won one."""
    with open_registry(seed=False) as registry:
        pairs = [make_pair(n) for n in range(20)]
        snapshot = freeze(pairs)
        snapshots.save(registry, snapshot, pairs)
        for name in (A, B):
            version = versions.register(
                registry, base_model="base", dataset_version=snapshot.id,
                training_config={"lora": {"r": 16 if name == A else 64}},
                train_job=JOB if name == B else None,
            )  # fmt: skip
            assert version.model_version == name
            evaluations.save(registry, name, _scores(name))
        yield registry


def _scores(name: str) -> dict[str, Any]:
    s = full_scores(name)
    right = {"rs-000", "rs-001"} if name == A else {"rs-002"}
    for q in s["questions"]:
        q["grade"] = "correct" if q["id"] in right else "incorrect"
        q["answer"] = f"{name} says <b>{q['id']}</b>"
    return s


def qa(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    code = run(list(words))
    found = capsys.readouterr()
    try:
        return code, json.loads(found.out), found.err
    except ValueError:
        return code, found.out, found.err


# ── report ──────────────────────────────────────────────────────────────────────────────────────


def test_the_report_is_text_html_or_markdown(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, said, _ = qa(capsys, "report", B)
    assert code == 0 and said.startswith("✘ NO-GO · access-qa-v1.0.1")
    assert "AGAINST ACCESS-QA-V1.0.0" in said

    page, source = tmp_path / "r.html", tmp_path / "r.md"
    code, said, told = qa(capsys, "report", B, "--out", str(page))
    assert (code, said) == (0, "") and f"wrote {page}" in told
    found = Reader(page.read_text("utf-8"))
    assert "2 got worse, 1 got better" in found.text
    assert "Snapshot dataset-" in found.text and "lora.r" in found.text
    assert "trained and registered" in found.text and len(found.all("src")) == 3

    assert qa(capsys, "report", B, "--out", str(source))[0] == 0
    assert source.read_text("utf-8").startswith("# ✘ NO-GO")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".r")] == []


def test_the_report_as_json_says_what_the_file_holds(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "r.html"
    versions.approve(reg, B, "staging", "mkim", "seen all answers")
    checklist.decide(reg, "NO-GO", "facts first", "director")
    code, d, _ = qa(capsys, "report", B, "--json", "--out", str(page))
    assert code == 0 and d["verdict"] == "NO-GO" and d["sentence"].startswith("Do not release")
    assert d["sha256"] == hashlib.sha256(page.read_bytes()).hexdigest() and d["pictures"] is True
    assert d["against_previous"]["regressions"] == ["rs-000", "rs-001"]
    assert d["against_previous"]["version"] == A
    assert d["gates"][0]["action"].startswith("Add more training data for weak areas: software")
    assert {s["who"] for s in d["signatures"]} >= {"mkim", "director"}
    newest = evaluations.latest(reg, B)
    assert newest is not None and d["hashes"]["scores"] == newest.scores_sha256
    assert "looked" not in json.dumps(d["signatures"])
    text = Reader(page.read_text("utf-8")).text
    assert "seen all answers" in text and "facts first" in text
    assert qa(capsys, "report", B, "--json")[1]["sentence"] == d["sentence"]


def test_without_matplotlib_the_command_says_so(
    reg: Registry,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, d, told = qa(capsys, "report", B, "--json", "--out", str(tmp_path / "r.html"))
    assert code == 0 and d["pictures"] is False and "matplotlib is not installed" in told


def test_what_cannot_be_reported_or_written_is_said(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert qa(capsys, "report", "access-qa-v9.9.9")[0] == 2
    code, _, told = qa(capsys, "report", B, "--out", str(tmp_path / "no" / "such" / "r.html"))
    assert code == 2 and "cannot write" in told and "try:" in told
    fresh = versions.register(
        reg,
        base_model="base",
        dataset_version=versions.get(reg, A).dataset_version,
        training_config={},
    )
    code, _, told = qa(capsys, "report", fresh.model_version)
    assert code == 2 and "has not been evaluated" in told


def test_a_report_of_210_questions_and_five_systems_stays_a_page(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    s = _scores(B)
    one = s["questions"][0]
    s["questions"] = [
        {**one, "id": f"q-{n:03}", "system": name, "answer": "a b c " * 300}
        for name in s["systems"]
        for n in range(210)
    ]
    evaluations.save(reg, B, s)
    assert qa(capsys, "report", B, "--out", str(tmp_path / "r.html"))[0] == 0
    page = tmp_path / "r.html"
    assert page.stat().st_size < 2_000_000 and page.read_text("utf-8").count("<article>") == 8


def test_curves_come_from_the_events_of_the_training_or_from_its_points(
    reg: Registry, tmp_path: Path
) -> None:
    mirrors = locations.state_dir() / "mirror"
    assert training_curves(reg, JOB, mirrors) == ([], [])
    points.add(reg, JOB, [("loss", 1, 2.0), ("loss", 2, 1.0), ("recall", 2, 0.5)])
    curves, loss = training_curves(reg, JOB, mirrors)
    assert curves == [{"step": 2.0, "recall": 0.5}] and loss == [(1.0, 2.0), (2.0, 1.0)]

    folder = mirrors / "gh200" / JOB
    folder.mkdir(parents=True)
    events = EventWriter(folder / "events.jsonl")
    for step in (1, 2, 3):
        events.metric(step, loss=3.0 / step)
    events.emit(
        "probe", step=3, recall={"estimate": 0.6, "k": 6, "n": 10}, fabricated=0.1, refusal=1.0
    )
    events.emit("probe", step="x", recall=0.6)
    events.close()
    curves, loss = training_curves(reg, JOB, mirrors)
    assert curves == [{"step": 3.0, "recall": 0.6, "fabricated": 0.1, "refusal": 1.0}]
    assert loss[0] == (1.0, 3.0) and loss[-1] == (3.0, 1.0)
    for odd in (None, "", "..", "../x", "*", "[a"):
        assert training_curves(reg, odd, mirrors) == ([], [])
    assert gather(reg, B, mirrors).curves == curves


def test_a_version_that_was_asked_beside_the_one_before_is_compared_there(reg: Registry) -> None:
    s = _scores(B)
    now = [dict(q, grade="incorrect", answer="now") for q in s["questions"]]
    was = [dict(q, system="previous", grade="correct", answer="then") for q in s["questions"]]
    evaluations.save(reg, B, {**s, "questions": [*was, *now]})
    d = gather(reg, B)
    assert d.flips_from == A and len(d.flips["flips"]["regressions"]) == len(now)
    assert d.flips["flips"]["regressions"][0]["before"] == "then"


# ── gates ───────────────────────────────────────────────────────────────────────────────────────


def test_gates_say_what_would_decide_and_name_the_weak_areas(
    reg: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    code, d, _ = qa(capsys, "gates", "check", B, "--json")
    assert code == 5 and d["verdict"] == "NO-GO" and d["version"] == B
    row = {g["gate"]: g for g in d["gates"]}
    assert set(row["accuracy"]) >= {"verdict", "estimate", "low", "high", "n", "n_needed", "action"}
    assert "software (9/30)" in row["accuracy"]["action"]
    assert row["deferral"]["n_needed"] == 214
    assert row["citation_presence"]["action"] == "Increase citation examples"  # as it was
    code, said, _ = qa(capsys, "gates", "check", B)
    assert code == 5 and said.splitlines()[-1] == "NO-GO"


def test_another_gates_file_judges_the_same_scores(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lax = tmp_path / "gates.yaml"
    lax.write_text(LAX)
    code, d, _ = qa(capsys, "gates", "check", B, "--gates", str(lax), "--json")
    assert code == 0 and d["verdict"] == "GO" and len(d["gates"]) >= 1
    assert d["sentence"].startswith(f"{B} may be released")
    lax.write_text("gates: []\n")
    assert qa(capsys, "gates", "check", B, "--gates", str(lax))[0] == 2
    assert qa(capsys, "gates", "check", B, "--gates", str(tmp_path / "none.yaml"))[0] == 2


def test_gates_that_have_moved_on_are_spoken_of(
    reg: Registry,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "gates.yaml").write_text(LAX)
    monkeypatch.setenv("QA_CONFIGS", str(tmp_path))
    code, d, told = qa(capsys, "gates", "check", B, "--json")
    assert (code, d["verdict"]) == (5, "NO-GO") and "as it is now: GO" in told
    (tmp_path / "gates.yaml").write_text("gates: [\n")
    code, d, told = qa(capsys, "gates", "check", B, "--json")
    assert (code, d["verdict"]) == (5, "NO-GO") and "cannot be used" in told


# ── compare ─────────────────────────────────────────────────────────────────────────────────────


def test_two_versions_are_compared_with_regressions_first(
    reg: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    code, d, _ = qa(capsys, "eval", "compare", A, B, "--json")
    assert code == 0 and (d["a"], d["b"], d["n"]) == (A, B, 12)
    assert [f["id"] for f in d["flips"]["regressions"]] == ["rs-000", "rs-001"]
    assert [f["id"] for f in d["flips"]["improvements"]] == ["rs-002"]
    assert d["p_value"] == 1.0
    for test in d["categories"].values():
        assert test["holm_p"] >= test["p_value"]
    code, said, _ = qa(capsys, "eval", "compare", A, B)
    assert "2 worse, 1 better" in said and said.index("rs-000") < said.index("rs-002")


def test_a_right_answer_that_now_invents_its_source_is_told_apart(
    reg: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    before, s = _scores(A), _scores(A)  # the same answers, one of them now with a source of its own
    for q in (*before["questions"], *s["questions"]):
        q["markers"] = []
    evaluations.save(reg, A, before)
    for q in s["questions"]:
        if q["id"] == "rs-001":
            q["markers"] = [{"text": "<<SRC:software:none>>", "class": "unknown_entity"}]
    evaluations.save(reg, B, s)
    code, d, _ = qa(capsys, "eval", "compare", A, B, "--json")
    assert code == 0 and [f["id"] for f in d["flips"]["invented"]] == ["rs-001"]
    assert d["flips"]["severe"] == ["rs-001"] and d["flips"]["regressions"] == []
    code, said, _ = qa(capsys, "eval", "compare", A, B)
    assert code == 0 and "0 worse, 1 right but invents a source, 0 better" in said
    assert "right, but invents" in said and "rs-001" in said
    code, d, _ = qa(capsys, "report", B, "--json")
    assert code == 0 and d["against_previous"]["invented"] == ["rs-001"]
    code, said, _ = qa(capsys, "report", B)
    assert "1 right but invents a source" in " ".join(said.split())


def test_files_can_be_compared_too(
    reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one = tmp_path / "scores.json"
    one.write_text(json.dumps(_scores(A)))
    code, d, _ = qa(capsys, "eval", "compare", str(one), B, "--json")
    assert code == 0 and len(d["flips"]["regressions"]) == 2
    other = _scores(A) | {"golden": {"sha256": "0" * 64, "n": 170}}
    one.write_text(json.dumps(other))
    code, _, told = qa(capsys, "eval", "compare", str(one), B)
    assert code == 5 and "different golden sets" in told


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"golden": 1, "questions": 2}', "null"])
def test_what_is_no_scores_file_is_said(
    text: str, reg: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "scores.json"
    bad.write_text(text)
    code, _, told = qa(capsys, "eval", "compare", str(bad), B)
    assert code in (2, 5) and told.strip()
    assert qa(capsys, "eval", "compare", str(tmp_path / "none.json"), B)[0] == 2
    assert qa(capsys, "eval", "compare", A, B, "--system", "nobody")[0] == 2
