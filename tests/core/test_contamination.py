"""What a snapshot gives away of a golden set: the wording by six tests, the facts by the scorer."""

from __future__ import annotations

import pytest

from core.contamination import STRATA, TESTS, GoldenItem, contamination, states
from core.corpus import corpus_dir, pair_files, pilot_selection
from core.evaluation.golden import load_golden
from core.evaluation.strata import golden_item, strata
from core.pairs import Message, Pair, Reading, read_pairs
from tests.core.conftest import make_pair

ASKED = (
    "How much memory does each of the ordinary CPU nodes of the Delta system at NCSA have today?"
)
ITEM = GoldenItem(
    "g1", ASKED, "It has 256 GB.", ({"type": "number", "value": 256, "unit": "GB"},), ("doc:delta",)
)


def pair(question: str, answer: str, *more: str, name: str = "p") -> Pair:
    texts = (question, answer, *more)
    turns = tuple(Message(("user", "assistant")[n % 2], t) for n, t in enumerate(texts))
    return make_pair(1, id=name, messages=turns)


TRAINED = "Each node has 256 GB. <<SRC:doc:delta>>"
OTHER = "What RAM is there?"


@pytest.mark.parametrize(
    ("question", "answer", "test"),
    [
        (ASKED, "It has 256 GB! <<SRC:doc:delta>>", "question+answer"),
        (ASKED, TRAINED, "exact"),
        (ASKED.upper().replace("?", " ?"), TRAINED, "normalised"),
        ("Say: " + " ".join(ASKED.split()[:13]) + ", and so on, please, as briefly as you can",
         TRAINED, "13 words"),
        ("Tell me of the " + " ".join(ASKED.split()[6:14]) + " and where it stands", TRAINED, "8 words"),
        (ASKED.replace("ordinary", "ordinar").replace("system", "systems"), TRAINED, "near"),
        (OTHER, TRAINED, None),
    ],
)  # fmt: skip
def test_wordings_from_strict_to_loose(question: str, answer: str, test: str | None) -> None:
    found = contamination([ITEM], [pair(OTHER, "x", name="other"), pair(question, answer)])
    (finding,) = found.findings
    assert [w.test for w in finding.wordings] == ([test] if test else [])
    assert finding.stratum == (STRATA[0] if test else STRATA[1])
    assert found.tests == {t: int(t == test) for t in TESTS}
    assert found.share_trained_wording == (1.0 if test else 0.0)
    assert finding.fact_pairs == ("p",) and found.pairs == 2


def test_later_turns_ask_too() -> None:
    (finding,) = contamination([ITEM], [pair("Hello?", "Yes?", ASKED, TRAINED)]).findings
    assert finding.wordings[0].test == "exact"


@pytest.mark.parametrize(
    ("answer", "stratum"),
    [
        (TRAINED, STRATA[1]),
        ("256 gb it is <<SRC:doc:delta>>", STRATA[1]),
        ("It has 256 GB. <<SRC:doc:anvil>>", STRATA[2]),  # the fact of another machine
        ("It has 512 GB. <<SRC:doc:delta>>", STRATA[2]),
        ("It has 1256 GB, 2560 GB, 256 nodes. <<SRC:doc:delta>>", STRATA[2]),
    ],
)
def test_the_fact_is_trained_or_not(answer: str, stratum: str) -> None:
    (finding,) = contamination([ITEM], [pair(OTHER, answer)]).findings
    assert finding.stratum == stratum
    assert finding.facts == 1 and finding.facts_found == (stratum == STRATA[1])


def test_facts_may_come_from_several_pairs() -> None:
    item = GoldenItem("g", "compare", "", (["Slingshot"], ["InfiniBand", "IB"]), ("doc:a", "doc:b"))
    pairs = [
        pair("1", "HPE Slingshot <<SRC:doc:a>>", name="a"),
        pair("2", "HPE Slingshot again <<SRC:doc:a>>", name="a2"),
        pair("3", "It is IB. <<SRC:doc:b>>", name="b"),
    ]
    (finding,) = contamination([item], pairs).findings
    assert (finding.stratum, finding.fact_pairs) == (STRATA[1], ("a", "b"))
    (finding,) = contamination([item], pairs[:2]).findings
    assert (finding.stratum, finding.facts_found, finding.facts) == (STRATA[2], 1, 2)


def test_a_trained_question_with_another_answer_is_a_conflict() -> None:
    (finding,) = contamination([ITEM], [pair(ASKED, "512 GB <<SRC:doc:delta>>")]).findings
    assert finding.conflict and finding.stratum == STRATA[2]
    assert not contamination([ITEM], [pair(OTHER, "512 GB <<SRC:doc:delta>>")]).findings[0].conflict


def test_a_question_without_a_fact_counts_by_its_wording() -> None:
    item = GoldenItem("g", "Where is the Moonshot system?", "No such system.", (), ())
    assert contamination([item], [pair(OTHER, "x")]).findings[0].stratum == STRATA[2]
    asked = pair("where is the moonshot system", "I know no such system.")
    assert contamination([item], [asked]).findings[0].stratum == STRATA[0]


def test_evidence_is_bounded_and_the_strictest_stays() -> None:
    pairs = [pair(ASKED.replace("today", f"today{n}"), TRAINED, name=f"n{n}") for n in range(50)]
    (finding,) = contamination([ITEM], [*pairs, pair(ASKED, TRAINED, name="last")]).findings
    assert len(finding.wordings) == 5
    assert (finding.wordings[0].pair_id, finding.wordings[0].test) == ("last", "exact")


def test_nothing_against_nothing() -> None:
    found = contamination([], [])
    assert (found.findings, found.share_trained_wording, found.as_json()["golden"]) == ((), 0.0, 0)
    assert contamination([ITEM], []).strata[STRATA[2]] == 1


def test_states() -> None:
    item = GoldenItem(
        "g", "q", "a",
        ({"type": "number", "value": 1000, "unit": "nodes", "aliases": ["a thousand"]},
         ["two-factor", "Duo"]), (),
    )  # fmt: skip
    assert states(item, "1,000 CPU nodes with DUO.") == [True, True]
    assert states(item, "A thousand; two-factor") == [True, True]
    assert states(item, "1000 cores, duos") == [False, False]
    assert states(item, "9" * 10_000) == [False, False]


def test_the_corpus_trains_the_facts_and_not_the_wordings() -> None:
    golden = load_golden(corpus_dir() / "golden.jsonl")
    found = strata(golden, Reading(pair_files()))
    assert found.strata[STRATA[0]] == 0 and found.share_trained_wording == 0.0
    assert found.strata[STRATA[1]] > 150
    no_fact = {q.id for q in golden if not golden_item(q).key_facts}
    assert {f.golden_id for f in found.findings if f.stratum == STRATA[2]} <= no_fact


def test_the_probe_of_the_pilot_is_trained_fact_new_wording() -> None:
    selection = pilot_selection(read_pairs(pair_files()).pairs)
    probe = [
        GoldenItem(p["id"], p["question"], p["expected_answer"], tuple(p["key_facts"]),
                   tuple(p["expected_sources"]))
        for p in selection.probe
    ]  # fmt: skip
    with_facts = [p for p in probe if p.key_facts]
    found = contamination(with_facts, selection.train)
    assert len(with_facts) > 30
    assert {f.stratum for f in found.findings} <= {STRATA[0], STRATA[1]}
    strict = [f.golden_id for f in found.findings if f.wordings and f.wordings[0].test in TESTS[:3]]
    assert strict == []
