"""Details that nothing supports: counted, unless question, labels or cited sources have them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation import facts
from core.evaluation.answers import Answer
from core.evaluation.confabulation import SourceFacts, Support, unsupported_details
from core.evaluation.golden import GoldenQuestion
from core.evaluation.grading import Grader
from core.evaluation.labels import expect
from core.evaluation.metrics import score
from core.evaluation.normalise import Prepared
from core.pairs import Message, Pair
from tests.evaluation.parts import ANVIL, DELTA, INDEX, RIGHT, number, question

MEMORY = question([number(256, "GB")])


def details(answer: str, q: GoldenQuestion = MEMORY, supports: Any = ()) -> tuple[str, ...]:
    expected, text = expect(q), Prepared(answer)
    return unsupported_details(expected, text, facts.unsupported_details(expected, text), supports)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("A CPU node of Delta has 256 GB of memory.", ()),
        ("It has 0.256 TB, one of two kinds.", ("2 kind",)),
        ("It has 256 GB and 64 cores.", ("64 core",)),
        ("It has 256 GB and A100 cards.", ("a100",)),
        ("It has 256 GB and HPE Slingshot.", ("hpe", "slingshot")),
        ("Slingshot connects it.", ()),  # the first word of a sentence tells nothing
        ("Memory:\n- Total of 256 GB\n- Each node", ()),
        ("Use SSH to log in to the GPU nodes of ACCESS.", ()),
        (f"It has 256 GB. <<SRC:{ANVIL}>>", ()),
        ("", ()),
    ],
)
def test_what_counts(answer: str, found: tuple[str, ...]) -> None:
    assert details(answer) == found


def test_what_a_source_says_is_supported() -> None:
    support = Support(frozenset({"slingshot", "a100"}), frozenset({64.0}))
    said = "It has 64 cores, A100 cards, Slingshot and Lustre."
    assert details(said, supports=[support]) == ("lustre",)


def pair(question_: str, answer: str) -> Pair:
    turns = (Message("user", question_), Message("assistant", answer))
    return Pair("p", "mcp_extraction", "x", "compute-resources", turns, {})


def test_only_cited_or_accepted_sources_support() -> None:
    known = SourceFacts(
        [
            pair("How many cores?", f"It has 64 cores. <<SRC:{DELTA}>>"),
            pair("Network?", f"Anvil has InfiniBand. <<SRC:{ANVIL}>>"),
        ]
    )
    assert set(known) == {DELTA, ANVIL} and len(known) == 2
    assert 64.0 in known[DELTA].values and "infiniband" in known[ANVIL].words
    with pytest.raises(KeyError):
        known["planets:mars"]

    def confabulated(answer: str) -> bool:
        found = score([Grader(MEMORY)], {"q1": Answer("q1", answer)}, INDEX, known)
        return found.metrics["confabulated"].k == 1

    assert not confabulated(f"It has 256 GB and 64 cores. {RIGHT}")
    assert not confabulated("It has 256 GB and 64 cores.")  # the accepted source says so
    assert confabulated(f"It has 256 GB and InfiniBand. {RIGHT}")
    assert not confabulated(f"It has 256 GB and InfiniBand. <<SRC:{ANVIL}>>")
    assert confabulated("It has 256 GB and InfiniBand. <<SRC:compute-resources:zephyr>>")


@given(st.text(max_size=300))
def test_any_answer_can_be_read(answer: str) -> None:
    assert len(details(answer)) <= 50


def test_a_megabyte_of_names_is_read_and_few_are_kept() -> None:
    assert (
        len(details("of " + " ".join(f"Name{chr(65 + i % 26)}x{i}" for i in range(60_000)))) == 50
    )
