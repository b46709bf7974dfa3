"""Forms made by rule: any text gives forms or none, never an exception, and never a value."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from core import citations
from core.augment import generic
from core.augment.about import about
from core.augment.rows import row
from core.augment.verify import verified
from core.pairs import Pair
from tests.augment.conftest import make_pair


def test_reopened_keeps_the_question() -> None:
    assert generic.reopened("How many nodes does Tern have?") == [
        "Give me the number: how many nodes does Tern have?",
        "I need a count: how many nodes does Tern have?",
    ]
    assert generic.reopened("Hello there") == []


def test_a_typo_swaps_two_letters_and_leaves_the_name() -> None:
    question = "Which interconnect does Stampede have?"
    for seed in range(30):
        said = generic.typo(question, "Stampede", random.Random(seed))
        assert sorted(said) == sorted(question) and "Stampede" in said


def test_a_gap_hides_every_value() -> None:
    pair = make_pair()
    said = generic.gapped(pair.answer, about(pair), random.Random(0))
    assert said == "A CPU node of Tern has ___ of memory."


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120), st.integers(0, 9))
def test_any_pair_gives_forms_without_values(question: str, answer: str, seed: int) -> None:
    pair = make_pair(question=question, answer=answer)
    it = about(pair)
    for wording in generic.wordings(pair, it, random.Random(seed)):
        if verified(pair, row(pair, wording)).ok:
            assert not citations.find(wording.text)


def test_most_forms_of_the_corpus_pass(corpus: list[Pair]) -> None:
    made = passed = 0
    for pair in corpus[::7]:
        for wording in generic.wordings(pair, about(pair), random.Random(1)):
            made += bool(wording.text)
            passed += verified(pair, row(pair, wording)).ok
    assert passed > 0.8 * made
