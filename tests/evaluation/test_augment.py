"""Retrieved pairs in the prompt: the nearest, never a question's own, and the citation stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import UsageError
from core.evaluation.augment import KEPT_END, MAX_PAIR, TOP, Augmenter, prompt_sha256
from core.evaluation.retrieval import Store
from core.pairs import Message, Pair
from tests.evaluation.parts import question

MARK = "<<SRC:compute-resources:delta.ncsa.access-ci.org>>"


def pair(id: str, asked: str, answer: str) -> Pair:
    messages = (Message("user", asked), Message("assistant", answer))
    return Pair(id, "mcp_extraction", "mcp://x", "compute-resources", messages, {})


PAIRS = [
    pair("p-cpu", "How much memory does a CPU node of Delta have?", f"256 GB. {MARK}"),
    pair("p-gpu", "How much memory does a GPU node of Delta have?", f"512 GB. {MARK}"),
    pair("p-big", "How much memory does a large node of Delta have?", f"2 TB. {MARK}"),
    pair("p-count", "How many CPU nodes does Delta have?", f"132 nodes. {MARK}"),
    pair("p-other", "Which scheduler runs on Derecho?", "PBS Pro."),
    # words are rare or frequent only among others
    *(pair(f"p-{n}", f"Who leads affinity group {n}?", f"Person {n} does.") for n in range(30)),
]


def test_the_nearest_pairs_stand_before_the_question_the_nearest_last() -> None:
    with Augmenter(PAIRS) as a:
        found = a.word(question(id="g1", asked="How much memory has a CPU node on Delta?"))
    assert len(found.nearest) == TOP and found.nearest[0] == "p-cpu"
    text = found.asked.question
    places = [text.index(p.question) for i in found.nearest for p in PAIRS if p.id == i]
    assert places == sorted(places, reverse=True)
    assert text.endswith("Question: How much memory has a CPU node on Delta?")
    assert MARK in text and "PBS Pro" not in text and found.asked.id == "g1"


@pytest.mark.parametrize(
    "asked",
    [
        "How much memory does a CPU node of Delta have?",
        "how much memory does a **CPU** node of Delta have ?",
        "How much memory does a CPU node of Delta have?!",
    ],
)
def test_the_pair_that_asks_the_same_is_held_back(asked: str) -> None:
    with Augmenter(PAIRS) as a:
        found = a.word(question(id="g1", asked=asked))
        assert "p-cpu" not in found.nearest and found.nearest
        assert "256 GB" not in found.asked.question
        assert a.held_back == {"p-cpu"}


def test_so_is_the_one_with_its_id_its_cluster_or_a_paraphrase() -> None:
    base = question(asked="How much memory has a CPU node on Delta?")
    held = [
        replace(base, id="p-cpu", cluster="p-cpu"),
        replace(base, id="p-cpu~1", cluster="p-cpu"),
        replace(base, id="x", paraphrases=(PAIRS[0].question,)),
    ]
    for q in held:
        with Augmenter(PAIRS) as a:
            assert "p-cpu" not in a.word(q).nearest and a.held_back == {"p-cpu"}
    with Augmenter(PAIRS) as a:
        assert a.word(replace(base, id="x", cluster="x")).nearest[0] == "p-cpu" and not a.held_back


def test_where_nothing_is_near_it_says_so() -> None:
    with Augmenter(PAIRS) as a:
        found = a.word(question(id="g", asked="Who won the football match?"))
    assert found.nearest == () and "No stored question" in found.asked.question


def test_a_long_answer_keeps_its_citation() -> None:
    long = pair("p-long", "What is the story of Delta?", "word " * 5000 + MARK)
    with Augmenter([long]) as a:
        text = a.word(question(id="g", asked="Tell the story of Delta")).asked.question
    assert MARK in text and len(text) < MAX_PAIR + 500 and KEPT_END < MAX_PAIR


def test_braces_in_questions_and_answers_are_text() -> None:
    odd = pair("p", "What does {question} mean on Delta?", "{pairs} and {0}")
    with Augmenter([odd]) as a:
        text = a.word(question(id="g", asked="Delta {pairs} {nothing}?")).asked.question
    assert "{pairs} and {0}" in text and text.endswith("Delta {pairs} {nothing}?")


def test_without_pairs_there_is_no_such_system() -> None:
    with pytest.raises(UsageError, match="no stored pairs"):
        Augmenter([])


def test_its_wording_has_a_hash() -> None:
    assert len(prompt_sha256()) == 64


def test_the_store_gives_the_nearest_in_order_without_what_is_left_out() -> None:
    with Store((p.question, p.answer) for p in PAIRS) as store:
        asked = "How much memory has a CPU node on Delta?"
        found = store.nearest(asked, 3)
        assert [f.row for f in found][:1] == [0] and len(found) == 3
        assert store.answer(asked) == found[0]
        without = store.nearest(asked, 3, leave_out={0})
        assert 0 not in [f.row for f in without] and len(without) == 3
        assert store.nearest("football", 3) == []
