"""Verification never lets a changed value or marker through, whatever made the row."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from core import citations
from core.augment.about import about
from core.augment.rows import row
from core.augment.templates import Wording
from core.augment.verify import verified, wording_faults
from core.pairs import Message, Pair
from tests.augment.conftest import make_pair

PAIR = make_pair()


def reworded(question: str, answer: str = PAIR.answer) -> Pair:
    return replace(PAIR, messages=(Message("user", question), Message("assistant", answer)))


def test_a_plain_rewording_passes() -> None:
    assert verified(PAIR, reworded("What RAM is in tern?")).ok


@given(st.text(max_size=200))
def test_any_other_answer_is_refused(answer: str) -> None:
    assume(answer != PAIR.answer)
    assert not verified(PAIR, reworded("What RAM is in Tern?", answer)).ok


@given(st.integers(0, len(PAIR.answer) - 1), st.characters(codec="utf-8"))
def test_one_changed_character_of_value_or_marker_is_refused(at: int, other: str) -> None:
    assume(other != PAIR.answer[at])
    answer = PAIR.answer[:at] + other + PAIR.answer[at + 1 :]
    assert not verified(PAIR, reworded("What RAM is in Tern?", answer)).ok


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_question_with_the_value_in_it_is_refused(before: str, after: str) -> None:
    faults = wording_faults(f"{before} Tern 256 GB {after}", PAIR, about(PAIR))
    assert any("gives the answer away" in f or "number" in f for f in faults)


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=80))
def test_what_passes_names_the_thing_and_brings_no_number_or_marker(text: str) -> None:
    if not wording_faults(text, PAIR, about(PAIR)):
        assert "tern" in text.casefold()
        assert not any(c.isdigit() for c in text)
        assert not citations.find(text)


@given(st.integers(2, 10**6))
def test_another_number_is_refused(n: int) -> None:
    assert wording_faults(f"Does a node of Tern have {n} GB?", PAIR, about(PAIR))


def test_another_source_is_refused() -> None:
    assert not verified(PAIR, replace(PAIR, source_ref="mcp://elsewhere")).ok
    assert not verified(PAIR, replace(PAIR, domain="doc")).ok


def test_reasons_are_in_words() -> None:
    assert wording_faults("How much RAM?", PAIR, about(PAIR)) == ("it does not name Tern",)
    assert wording_faults("", PAIR, about(PAIR))[0] == "empty, or too long"
    assert "it holds a marker" in wording_faults("Tern <<SRC:a:b>>", PAIR, about(PAIR))


FLAVOR = make_pair(answer="The tern2 flavor of Tern has 64 vCPUs and 500 GB of RAM.")


def written(question: str, family: str) -> Pair:
    return row(FLAVOR, Wording(family, 1, question))


@given(st.sampled_from(["Which flavor of Tern has 64 vCPUs?", "Which Tern flavor has 500 GB?"]))
def test_a_person_may_give_one_value_to_ask_for_another(question: str) -> None:
    assert verified(FLAVOR, written(question, "fact:flavor")).ok
    assert not verified(FLAVOR, written(question, "ask:flavor")).ok
    assert not verified(FLAVOR, written(question, "model")).ok


def test_a_person_may_give_neither_all_values_nor_another_number() -> None:
    for question in ("Has Tern a tern2 with 64 vCPUs and 500 GB?", "Which Tern flavor has 32?"):
        assert not verified(FLAVOR, written(question, "fact:flavor")).ok
