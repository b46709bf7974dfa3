"""The sample corpus is sound, and the pilot's selection keeps its probe out of training."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import corpus
from core.citations import SourceIndex, classify
from core.errors import PairsError, SettingsError
from core.evaluation.golden import load_golden
from core.evaluation.grading import Grader
from core.pairs import Message, Pair, read_pairs
from core.snapshots import diff, freeze
from core.training import lessons
from core.training.probe_set import as_trained
from tests.core.conftest import make_pair


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    report = read_pairs(corpus.pair_files())
    assert not report.problems
    return report.pairs


def test_counts(pairs: list[Pair]) -> None:
    assert len(pairs) == 1458
    assert len(corpus.load_sources().rows) == 182


def test_every_marker_is_a_known_source(pairs: list[Pair]) -> None:
    index = SourceIndex.load(corpus.load_sources().rows)
    classes = Counter(c.cls for p in pairs for c in classify(p.answer, index))
    assert set(classes) == {"known"} and classes["known"] > 1300


def test_the_example_rows_of_the_design_are_there() -> None:
    rows = {row["source_id"]: row for row in corpus.load_sources().rows}
    delta = rows["compute-resources:delta.ncsa.access-ci.org"]
    assert (delta["display_name"], delta["url"]) == (
        "Delta Hardware Specifications",
        "https://access-ci.org/resource/delta/",
    )
    guide = rows["doc:allocations-guide.pdf:page-15"]
    assert guide["url"] == "https://access-ci.org/docs/allocations-guide.pdf#page=15"


def test_pilot_selection(pairs: list[Pair]) -> None:
    chosen = corpus.pilot_selection(pairs)
    domains = Counter(p.domain for p in chosen.train)
    deferrals = [p for p in chosen.train if not p.metadata["has_citation"]]
    assert 230 <= domains["compute-resources"] <= 250
    assert 30 <= len(deferrals) <= 40
    assert {p.metadata["source_data"]["kind"] for p in deferrals} == set(corpus.DEFERRALS)
    assert len({p.source_ref for p in chosen.train if p.domain == "compute-resources"}) == 28
    assert len({p.id for p in chosen.train}) == len(chosen.train)


def test_the_probe_asks_trained_facts_in_untrained_words(pairs: list[Pair]) -> None:
    for everything in (False, True):
        chosen = corpus.pilot_selection(pairs, all=everything)
        by_id = {f"probe_{p.id}": p for p in pairs}
        answers = {p.answer for p in chosen.train}
        questions = {p.question for p in chosen.train}
        assert 40 <= len(chosen.probe) <= 50
        for question in chosen.probe:
            pair = by_id[question["id"]]
            assert pair.answer in answers
            assert question["question"] == pair.question not in questions
    assert len(chosen.train) == len(pairs) - len(chosen.probe)


def test_the_probe_is_a_golden_set(pairs: list[Pair], tmp_path: Path) -> None:
    probe = corpus.pilot_selection(pairs).probe
    path = tmp_path / "probe.jsonl"
    path.write_text("".join(json.dumps(q) + "\n" for q in probe))
    assert [q.as_row()["id"] for q in load_golden(path)] == [q["id"] for q in probe]
    assert all(q["expected_sources"] and "<<" not in q["expected_answer"] for q in probe)
    assert sum(bool(q["key_facts"]) for q in probe) > len(probe) / 2


def test_selection_is_deterministic_whatever_came_before(pairs: list[Pair]) -> None:
    assert corpus.pilot_selection(iter(pairs)) == corpus.pilot_selection(pairs)


def test_retraining_adds_too_little_for_a_minor_version(pairs: list[Pair]) -> None:
    first, second = corpus.pilot_selection(pairs), corpus.retrain_selection(pairs)
    d = diff(freeze(first.train), freeze(second.train))
    assert not d.removed and not d.changed
    assert 0.06 < d.share_new < 0.10
    assert second.probe == first.probe
    held = {q["question"] for q in second.probe}
    assert not held & {p.question for p in second.train}
    everything = corpus.pilot_selection(pairs, all=True)
    assert corpus.retrain_selection(pairs, all=True) == everything


@pytest.mark.parametrize(
    ("pair_id", "facts"),
    [
        (
            "compute-resources_bridges2.psc.access-ci.org_5",
            [{"type": "number", "value": 256, "unit": "GB"}],
        ),
        (
            "compute-resources_delta.ncsa.access-ci.org_4",
            [{"type": "number", "value": n, "unit": ""} for n in (128, 7763)],
        ),
        ("compute-resources_delta.ncsa.access-ci.org_14", [["login.delta.ncsa.illinois.edu"]]),
        ("compute-resources_delta.ncsa.access-ci.org_9", [["HPE Slingshot"]]),
        ("compute-resources_delta.ncsa.access-ci.org_1", []),
        (
            "compute-resources_bridges2.psc.access-ci.org_21",
            [
                {"type": "number", "value": 100, "unit": "TB"},
                {"type": "number", "value": 9_000_000, "unit": "IOPS"},
            ],
        ),
        (
            "compute-resources_expanse.sdsc.access-ci.org_25",
            [
                {"type": "number", "value": 15_000_000, "unit": "core-hours"},
                {"type": "number", "value": 75_000, "unit": "GPU hours"},
            ],
        ),
        ("doc_program-organization_5", [["1 September 2022"]]),
    ],
)
def test_key_facts(pairs: list[Pair], pair_id: str, facts: list[object]) -> None:
    (pair,) = [p for p in pairs if p.id == pair_id]
    assert corpus.key_facts(pair) == facts


def test_every_trained_answer_is_right_by_its_own_key_facts(pairs: list[Pair]) -> None:
    wrong = [p.id for p in pairs if not lessons.defers(p) and graded(p, p.answer) != "correct"]
    assert wrong == []


def graded(pair: Pair, answer: str) -> str:
    return Grader(as_trained(pair)).grade(answer).grade


def asked(answer: str) -> Pair:
    turns = (Message("user", "How many does it have?"), Message("assistant", answer))
    return make_pair(1, messages=turns)


@given(
    st.decimals(0, 999, allow_nan=False, allow_infinity=False, places=2),
    st.sampled_from(["", "thousand", "million", "billion"]),
    st.sampled_from(["", "GB", "TiB", "GB/s", "Gb/s", "GHz", "IOPS", "GPU hours", "core-hours"]),
)
def test_a_number_is_read_as_the_scorer_reads_it(number: Decimal, scale: str, unit: str) -> None:
    """The value with its thousands, in figures of any kind: never the numeral alone."""
    value = number * {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9}[scale]
    pair = asked(" ".join(filter(None, ["It delivers", f"{number:f}", scale, unit])) + ".")
    (fact,) = corpus.key_facts(pair)
    assert (Decimal(str(fact["value"])), fact["unit"]) == (value, unit)
    assert graded(pair, pair.answer) == "correct"
    assert graded(pair, f"It is {value:,f} {unit}.") == "correct"
    if scale and number:
        assert graded(pair, f"It is {number:f} {unit}.") != "correct"


def test_key_facts_do_not_ask_for_what_the_name_says(pairs: list[Pair]) -> None:
    for pair in pairs:
        if pair.domain == "compute-resources" and "Jetstream2" in pair.question:
            assert ["Jetstream2"] not in corpus.key_facts(pair)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("source_id: nodomain", "not a source id"),
        ("source_id: 'doc:a>>b'", "not a source id"),
        ("source_id: doc:a\n  status: lost", "status"),
        ("source_id: doc:a\n  ulr: x", "did you mean 'url'"),
    ],
)
def test_broken_sources(tmp_path: Path, entry: str, what: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(f"sources:\n- {entry}\n  display_name: A\n  url: https://x.org\n")
    with pytest.raises(SettingsError) as e:
        corpus.load_sources(path)
    assert what in str(e.value)


def test_no_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_CONFIGS", str(tmp_path))
    with pytest.raises(PairsError, match="qa_pairs"):
        corpus.pair_files()
