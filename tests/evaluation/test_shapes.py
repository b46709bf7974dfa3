"""The JSON that others script against: `qa-eval`, `qa gates`, `qa eval`, `qa golden` and `qa report`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.evaluation import cli
from core.registry import evaluations, open_registry, snapshots, versions
from core.snapshots import freeze
from tests.core.conftest import make_pair
from tests.evaluation.openai_server import OpenAIServer
from tests.evaluation.parts import (
    DEFERS,
    RIGHT,
    SOURCES,
    live,
    perfect,
    static_set,
    write_answers,
    write_golden,
    write_rows,
)
from tui.cli.root import run

QUESTIONS = [*static_set(12), *(live(f"d{n}") for n in range(4))]
MEASURE = {"k", "n", "estimate", "low", "high", "verdict"}
PROPORTIONS = (
    "accuracy citation_presence citation_precision citation_recall fabricated deferral false_refusal"
).split()
MADE_UP = "<<SRC:compute-resources:nowhere.access-ci.org>>"
A, B = "access-qa-v1.0.0", "access-qa-v1.0.1"


def said(capsys: pytest.CaptureFixture[str], code: int) -> tuple[int, Any]:
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Two systems' stored answers, beside retrieval: no model needed."""
    pairs = locations.configs() / "corpus" / "compute-resources_qa_pairs.jsonl"
    wrong = write_answers(tmp_path / "wrong.jsonl", QUESTIONS, lambda q: f"It has 3 TB. {MADE_UP}")
    timed = ({"id": q.id, "answer": perfect(q), "latency_s": 0.25} for q in QUESTIONS)
    right = write_rows(tmp_path / "right.jsonl", timed)
    args = ["--golden", str(write_golden(tmp_path / "golden.jsonl", QUESTIONS))]
    args += ["--answers", f"tuned={right}", "--answers", f"previous={wrong}"]
    args += ["--systems", "retrieval", "--pairs", str(pairs), "--out", str(tmp_path / "out")]
    args += ["--sources", str(write_rows(tmp_path / "sources.jsonl", SOURCES)), "--json"]
    code, found = said(capsys, cli.main(args))
    assert code == 0
    return dict(found)


def test_qa_eval(scored: dict[str, Any]) -> None:
    assert scored["verdict"] in ("GO", "NO-GO", "UNDECIDED")
    assert list(scored["systems"]) == ["retrieval", "previous", "tuned"]
    for metrics in scored["systems"].values():
        for name in PROPORTIONS:
            assert set(metrics[name]) >= MEASURE, name
            assert metrics[name]["verdict"] in ("PASS", "FAIL", "UNDECIDED", None)
        assert "latency_p95" in metrics
    right = scored["systems"]["tuned"]
    assert (right["accuracy"]["k"], right["accuracy"]["n"]) == (16, 16)
    assert right["latency_p95"] == 0.25 and scored["systems"]["previous"]["latency_p95"] is None
    rows = scored["questions"]
    assert len(rows) == 3 * len(QUESTIONS)
    for row in rows:
        assert row["grade"] in ("correct", "incorrect", "not_attempted")
        assert isinstance(row["deferred"], bool)
        assert all(set(m) == {"text", "class"} for m in row["markers"])
        for name in ("matched", "missing", "contradictions", "confabulated"):
            assert isinstance(row[name], list)
    assert {r["id"] for r in rows} == set(scored["nearest"]) == {q.id for q in QUESTIONS}
    assert all({"id", "question", "coverage"} == set(p) for p in scored["nearest"]["s0"])
    first = next(r for r in rows if (r["system"], r["id"]) == ("tuned", "s0"))
    assert first["matched"] == ["100 GB"] and first["missing"] == []
    assert first["markers"] == [{"text": RIGHT, "class": "correct"}]


def test_qa_eval_knows_a_system_by_the_name_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = write_golden(tmp_path / "golden.jsonl", QUESTIONS[:3])
    sources = write_rows(tmp_path / "sources.jsonl", SOURCES)
    with OpenAIServer(lambda asked: asked.answer(DEFERS)) as server:
        args = ["--golden", str(golden), "--sources", str(sources), "--out", str(tmp_path / "out")]
        args += [
            "--systems",
            f"{B},{A}",
            "--endpoint",
            server.url,
            "--latency-sample",
            "0",
            "--json",
        ]
        code, found = said(capsys, cli.main(args))
    assert code == 0
    assert found["systems"][A] == found["systems"]["tuned"]
    assert found["systems"][B] == found["systems"]["previous"]


@pytest.fixture
def registered(scored: Mapping[str, Any]) -> None:
    with open_registry(seed=False) as reg:
        pairs = [make_pair(n) for n in range(20)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        for name, rank in ((A, 4), (B, 8)):
            config = {"lora": {"r": rank}}
            made = versions.register(
                reg, base_model="base", dataset_version=snapshot.id, training_config=config
            )
            assert made.model_version == name
            was_wrong = [
                {**r, "system": "tuned"} for r in scored["questions"] if r["system"] == "previous"
            ]
            rows = was_wrong if name == A else scored["questions"]
            evaluations.save(reg, name, {**scored, "questions": rows, "version": name})


@pytest.mark.usefixtures("registered")
def test_qa_gates_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = said(capsys, run(["gates", "check", B, "--json"]))
    assert code == (0 if found["verdict"] == "GO" else 5)
    assert {g["gate"] for g in found["gates"]} >= {
        "accuracy", "citation_presence", "deferral", "latency", "fabricated", "false_refusal",
        "retrieval", "regressions",
    }  # fmt: skip
    for gate in found["gates"]:
        assert {"verdict", "estimate", "low", "high", "n", "n_needed", "action", "target"} <= set(
            gate
        )
        assert gate["verdict"] in ("PASS", "FAIL", "UNDECIDED") and gate["action"]
    undecided = next(g for g in found["gates"] if g["gate"] == "accuracy")
    assert undecided["verdict"] == "UNDECIDED" and undecided["n_needed"] > 0


@pytest.mark.usefixtures("registered")
def test_qa_eval_compare(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = said(capsys, run(["eval", "compare", A, B, "--json"]))
    assert code == 0 and found["n"] == len(QUESTIONS)
    assert set(found["flips"]) == {"regressions", "invented", "improvements", "severe"}
    assert len(found["flips"]["improvements"]) == 16 and not found["flips"]["regressions"]
    flip = found["flips"]["improvements"][0]
    assert {"id", "category", "question", "before", "after", "severe", "cause"} == set(flip)
    assert 0 < found["p_value"] < 0.001 and {"a", "b"} == set(found["causes"])
    _, back = said(capsys, run(["eval", "compare", B, A, "--json"]))
    assert len(back["flips"]["regressions"]) == 16 and back["flips"]["severe"]
    assert back["flips"]["regressions"][0]["severe"]  # the worst come first
    assert all(f["cause"] for f in back["flips"]["regressions"])


@pytest.mark.usefixtures("registered")
def test_qa_eval_show(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, found = said(
        capsys, run(["eval", "show", str(tmp_path / "out/scores.json"), "s1", "--json"])
    )
    assert code == 0 and set(found["systems"]) == {"retrieval", "previous", "tuned"}
    assert {"id", "question", "expected_answer", "nearest", "trained", "systems"} <= set(found)
    assert found["trained"]["stratum"] == "untrained fact"
    assert run(["eval", "show", B, "s1"]) == 0
    told = capsys.readouterr().out
    assert "wanted: It has 101 GB of memory." in told and "tuned: correct" in told
    assert run(["eval", "show", B, "nothing"]) == 2


def test_qa_golden_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_golden(tmp_path / "golden.jsonl", QUESTIONS)
    code, found = said(capsys, run(["golden", "check", str(file), "--json"]))
    assert code == 0 and found["ok"] is True and found["n"] == 16
    assert {"sha256", "categories", "design", "counts", "faults", "findings"} <= set(found)
    file.write_text(file.read_text("utf-8") * 2, "utf-8")
    code, found = said(capsys, run(["golden", "check", str(file), "--json"]))
    assert (
        code == 2
        and not found["ok"]
        and {"file", "line", "field", "what"} <= set(found["faults"][0])
    )


@pytest.mark.usefixtures("registered")
def test_qa_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run(["report", B, "--out", str(page)]) == 0
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>") and B in text and "<script" not in text
    assert "://" not in text.partition("<body")[0]  # nothing is fetched: one file is all of it
    capsys.readouterr()
    code, found = said(capsys, run(["report", B, "--json"]))
    assert code == 0 and found["verdict"] in ("GO", "NO-GO", "UNDECIDED")
