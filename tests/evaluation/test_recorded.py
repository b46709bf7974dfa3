"""Latencies recorded elsewhere, two latencies held against each other, and what the gate makes of them."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError, UsageError
from core.evaluation import cli
from core.evaluation.gates import Gates, gates_from, load_gates
from core.evaluation.latency_difference import difference
from core.evaluation.pages.model import flat
from core.evaluation.pages.serving import serving
from core.evaluation.recorded import Timed, read_recorded
from core.evaluation.rejudge import rejudge
from core.evaluation.serving import served_at
from tests.evaluation.parts import SOURCES, perfect, static_set, write_golden, write_rows


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"id": "q1", "latency_s": 0.5}\n\n{"id": "q2", "latency_ms": 1500}\n{"error": "x"}'),
        ("a.csv", "id, latency_s, error\r\nq1,0.5,\r\nq2,1.5,\r\n,,timed out\r\n"),
        (
            "a.jsonl",
            '{"target": "mcp", "rate": 1.0}\n{"n": 0, "id": "q1", "due": 1.0, "last": 1.5, "error": ""}\n'
            '{"n": 1, "id": "q2", "due": 2.0, "last": 3.5}\n{"n": 2, "due": 3, "last": null, "error": "x"}',
        ),
    ],
)  # fmt: skip
def test_forms_of_a_recording(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text("\ufeff" + text, "utf-8", newline="")
    found = read_recorded(tmp_path / name)
    assert [(t.id, t.seconds) for t in found.requests] == [("q1", 0.5), ("q2", 1.5), ("", math.inf)]
    said = found.as_dict()
    assert (said["n"], said["failed"], said["latency"]["p50"]["s"]) == (3, 1, 1.5)
    assert said["latency"]["p95"]["s"] is None and len(said["sha256"]) == 64
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.jsonl", "", "no recorded latency"),
        ("a.jsonl", "{", "a.jsonl:1: not JSON"),
        ("a.jsonl", "[1]", "not a JSON object"),
        ("a.jsonl", '{"latency_s": 1}\n{"id": "q"}', "a.jsonl:2: no latency in it"),
        ("a.jsonl", '{"id": "q", "due": 2.0, "last": 1.5}', "a.jsonl:1: '-0.5' is no time"),
        ("a.jsonl", '{"latency_s": -1}', "is no time"),
        ("a.jsonl", '{"latency_s": true}', "is no time"),
        ("a.jsonl", '{"latency_s": NaN}', "is no time"),
        ("a.csv", "id,latency_s\nq,soon\n", "a.csv:2: 'soon' is no time"),
        ("a.csv", "id,took\nq,1\n", "no latency in it"),
        ("a.csv", "\x1b[31m,latency_s\nq,\x1b[2J\n", "is no time"),
    ],
)
def test_a_faulty_recording_is_told_with_its_line(
    tmp_path: Path, name: str, text: str, what: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(UsageError) as e:
        read_recorded(tmp_path / name)
    assert what in str(e.value) and "\x1b" not in str(e.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_recorded(tmp_path / "nowhere.csv")


def times(n: int, more: float = 0.0, *, ids: bool = True) -> list[Timed]:
    source = random.Random(7)
    spread = [source.uniform(0.2, 5.0) for _ in range(n)]
    noise = random.Random(more)
    return [
        Timed(f"q{k}" if ids else "", s + more + noise.uniform(0, 0.05))
        for k, s in enumerate(spread)
    ]


def test_the_same_questions_are_compared_question_by_question() -> None:
    paired = difference(times(100), times(100, 0.4))
    assert paired["paired"] and paired["n"] == 100
    assert -0.5 < paired["p50"]["low"] <= paired["p50"]["s"] <= paired["p50"]["high"] < -0.3
    unpaired = difference(times(100, ids=False), times(100, 0.4))
    assert not unpaired["paired"] and unpaired["n"] == [100, 100]
    # how hard the questions are blurs it: the interval is wider
    widths = [d["p50"]["high"] - d["p50"]["low"] for d in (paired, unpaired)]
    assert widths[0] < widths[1] / 3
    assert difference(times(100), times(100, 0.4)) == paired  # the seed is fixed


def test_without_answers_there_is_no_difference() -> None:
    lost = [replace(t, seconds=math.inf) for t in times(40)]
    found = difference(times(40), lost)
    assert found["p50"] == {"s": None, "low": None, "high": None}
    few = difference(times(40), lost[:2] + times(40)[2:])
    assert -0.5 < few["p50"]["s"] < 0 and few["p95"]["s"] < 0  # two that never came are the slowest
    json.dumps([found, few], allow_nan=False)


def measured(
    seconds: float, n: int = 400, target: str = "access-qa-v1.0.0", rate: float = 1.0
) -> Any:
    latency = {p: {"s": seconds, "low": seconds, "high": seconds} for p in ("p50", "p95", "p99")}
    return {
        "target": target, "rate": rate, "n": n, "failed": 0, "latency": latency,
        "latencies_s": [seconds] * n, "first_token": {"p95": latency["p95"]}, "tokens_per_s": 40.0,
    }  # fmt: skip


def test_what_was_measured_at_the_server_decides_the_latency_gate(tmp_path: Path) -> None:
    d = evaluated(tmp_path, latency_s=9.0)
    gate = next(g for g in d["gates"] if g["metric"] == "latency_p95")
    assert gate["verdict"] == "FAIL" and "one at a time on the host" in gate["detail"]
    document = {
        "targets": ["x"],
        "results": [measured(0.5, rate=4), measured(1.0), measured(9, target="b")],
    }
    (tmp_path / "latency.json").write_text(json.dumps(document))
    d = evaluated(
        tmp_path, "--latency", str(tmp_path / "latency.json"), "--version", "access-qa-v1.0.0",
        latency_s=9.0,
    )  # fmt: skip
    gate = next(g for g in d["gates"] if g["metric"] == "latency_p95")
    assert (gate["verdict"], gate["estimate"], gate["n"]) == ("PASS", 1.0, 400)
    assert "400 of 400 answers within 1.5 s at the server" in gate["detail"].replace(",", "")
    # the gates of a later day read it from the stored scores, and may ask for another rate
    _, results = rejudge(d, at_rate(4))
    assert next(r for r in results if r.metric == "latency_p95").estimate == 0.5
    _, results = rejudge(d, at_rate(16))  # not measured at that rate: as it was given on the host
    assert next(r for r in results if r.metric == "latency_p95").verdict == "FAIL"


def at_rate(rate: float) -> Gates:
    plain = load_gates().model_dump(mode="json")
    for gate in plain["gates"]:
        if gate["metric"] == "latency_p95":
            gate["at_rate"] = rate
    return gates_from(plain)


def test_a_rate_belongs_to_latency_alone() -> None:
    plain = load_gates().model_dump(mode="json")
    plain["gates"][0]["at_rate"] = 4
    with pytest.raises(SettingsError, match="at_rate belongs to latency_p95"):
        gates_from(plain)


def test_requests_without_an_answer_are_not_within_the_limit() -> None:
    lost = {**measured(0.5, n=100), "latencies_s": [0.5] * 90}
    served = served_at({"results": [lost]}, {"access-qa-v1.0.0"})
    assert served is not None and served.within(1.5).k == 90 and served.within(1.5).n == 100
    assert served_at(None, {"x"}) is None and served_at({"results": [lost]}, {"x"}) is None


def evaluated(tmp_path: Path, *more: str, latency_s: float) -> dict[str, Any]:
    questions = static_set(40)
    golden = write_golden(tmp_path / "golden.jsonl", questions)
    rows = ({"id": q.id, "answer": perfect(q), "latency_s": latency_s} for q in questions)
    answers = write_rows(tmp_path / "answers.jsonl", rows)
    sources = write_rows(tmp_path / "sources.jsonl", SOURCES)
    out = tmp_path / "out"
    code = cli.main(
        ["--golden", str(golden), "--answers", f"tuned={answers}", "--sources", str(sources),
         "--out", str(out), "--json", *more]
    )  # fmt: skip
    assert code == 0
    found: dict[str, Any] = json.loads((out / "scores.json").read_text("utf-8"))
    return found


def test_recorded_tools_stand_beside_the_systems(tmp_path: Path) -> None:
    tools = write_rows(
        tmp_path / "mcp.jsonl", ({"id": f"s{n}", "latency_ms": 800 + n} for n in range(40))
    )
    d = evaluated(tmp_path, "--mcp-latency", str(tools), latency_s=0.3)
    found = d["about"]["live_tools"]
    assert found["n"] == 40 and found["file"] == "mcp.jsonl"
    against = found["differences"]["tuned"]
    assert against["paired"] and against["n"] == 40 and -0.54 < against["p50"]["s"] < -0.5
    (section,) = serving(d)
    text = "\n".join(flat(x) for b in section.blocks for x in getattr(b, "lines", ()))
    assert (
        "this version against the live tools, one at a time, the same questions: P50 0.52 s faster"
        in text
    )
    assert "live tools" in (tmp_path / "out" / "report.md").read_text("utf-8")
    assert list(serving({**d, "about": {}})) == []  # nothing is shown that nobody measured
