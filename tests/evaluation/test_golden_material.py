"""The shipped material beyond the design's 170: paraphrases, deferrals, canaries, all from the facts."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from core.corpus import corpus_dir, pair_files
from core.evaluation.deferral import expects
from core.evaluation.golden import DESIGN_COUNTS, GoldenQuestion, golden_sha256, load_golden
from core.evaluation.golden.checks import check
from core.evaluation.golden.known import tools_of
from core.evaluation.golden.sets import beside, load_set, mounts
from core.evaluation.grading import Grader
from core.near_duplicates import content_words, jaccard, near_duplicates, words
from core.pairs import Pair, read_pairs

PARTS = ("golden.jsonl", "golden_more.jsonl", "canaries.jsonl")


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return list(read_pairs(pair_files()).pairs)


@pytest.fixture(scope="module")
def asked() -> list[GoldenQuestion]:
    return load_set(mounts(), paraphrases=True).questions


def test_three_files_are_mounted_as_one_set(asked: list[GoldenQuestion]) -> None:
    found = load_set(mounts())
    assert [Path(p.path).name for p in found.parts] == list(PARTS)
    assert [(p.name, p.items) for p in found.parts] == [
        ("design", sum(DESIGN_COUNTS.values())),
        ("deferrals", 51),
        ("canaries", 20),
    ]
    assert [Path(m.path).name for m in beside(corpus_dir() / PARTS[0])] == list(PARTS[1:])
    assert load_set(corpus_dir() / PARTS[0]).sha256 == golden_sha256(corpus_dir() / PARTS[0])
    assert len({q.id for q in asked}) == len(asked) == 3 * 241


def test_enough_questions_to_decide_the_deferral_gate(asked: list[GoldenQuestion]) -> None:
    wants = Counter(expects(q) for q in asked if q.cluster == q.id)
    assert wants["live"] >= 60 and wants["refusal"] >= 30


def test_the_whole_check_finds_nothing(pairs: list[Pair]) -> None:
    report = check(mounts(), pairs=pairs, tools=tools_of(pairs))
    assert not report.faults and not report.findings and not report.near_duplicates
    assert report.contamination is not None
    strata = report.contamination.strata
    assert strata["trained fact, trained wording"] == 0
    # every fact asked for is trained: what is left are refusals, which have none
    untrained = [f for f in report.contamination.findings if f.stratum == "untrained fact"]
    assert all(f.facts == 0 for f in untrained)
    assert report.counts["paraphrased"] == report.counts["items"]


def test_every_wording_accepts_the_expected_answer_and_gives_none_away(
    asked: list[GoldenQuestion],
) -> None:
    for q in asked:
        grader = Grader(q)
        graded = grader.grade(q.expected_answer)
        assert graded.grade == "correct" and not graded.unsupported, (q.id, graded)
        if grader.expects == "answer":
            assert grader.grade(q.question).grade != "correct", f"{q.id} answers itself"


def test_paraphrases_are_other_words_than_their_item_and_each_other(
    asked: list[GoldenQuestion],
) -> None:
    clusters: dict[str, list[str]] = {}
    for q in asked:
        clusters.setdefault(q.cluster, []).append(q.question)
    for name, (item, one, two) in clusters.items():
        for a, b in ((item, one), (item, two), (one, two)):
            assert words(a) != words(b)
            assert jaccard(content_words(a), content_words(b)) < 0.65, (name, a, b)


def test_no_wording_is_close_to_a_training_question(
    asked: list[GoldenQuestion], pairs: list[Pair]
) -> None:
    trained = [m.content for p in pairs for m in p.messages if m.role == "user"]
    close = near_duplicates([q.question for q in asked], trained, 0.75)
    assert not [(asked[d.golden].id, trained[d.training]) for d in close]


def test_deferrals_name_tools_that_exist_and_answers_name_them(
    asked: list[GoldenQuestion], pairs: list[Pair]
) -> None:
    known = tools_of(pairs)
    live = [q for q in asked if q.should_defer]
    assert {t for q in live for t in q.expected_tools} == known
    for q in live:
        assert q.expected_tools and all(t in q.expected_answer for t in q.expected_tools), q.id
        assert not q.key_facts and not q.expected_sources, q.id


def canary_names() -> list[str]:
    """The name each canary invents: its capitalised word that all of its wordings share."""
    names = []
    for q in load_golden(corpus_dir() / "canaries.jsonl"):
        texts = (q.question, *q.paraphrases, q.expected_answer)
        shared = set.intersection(*(set(re.findall(r"\w+(?:-\d)?", text)) for text in texts))
        upper = [w for w in shared if w[0].isupper() and len(w) > 5]
        assert len(upper) == 1, (q.id, upper)
        names += upper
    return names


def test_canaries_ask_for_names_that_occur_nowhere(pairs: list[Pair]) -> None:
    names = canary_names()
    assert len(set(names)) == len(names) == 20
    everything = "\n".join(
        [
            *(json.dumps([m.content for m in p.messages]) for p in pairs),
            *(p.read_text("utf-8") for p in corpus_dir().glob("*.yaml")),
            *(q.as_row().__repr__() for f in PARTS[:2] for q in load_golden(corpus_dir() / f)),
        ]
    ).casefold()
    assert "stampede3" in everything  # the search itself works
    assert not [n for n in names if n.casefold() in everything]


def test_canaries_want_a_refusal_and_condemn_an_invention() -> None:
    canaries = load_golden(corpus_dir() / "canaries.jsonl")
    for q in canaries:
        assert q.canary and q.category == "edge_cases" and not q.citation_expected and q.forbidden
        grader = Grader(q)
        assert grader.expects == "refusal", q.id
        assert grader.grade("I know of no such thing.").grade == "correct"
        assert grader.grade(f"It is well known: {q.forbidden[0]}.").grade == "incorrect", q.id
