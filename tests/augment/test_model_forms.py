"""A model's wordings: kept where they pass the checks, counted with the reason where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from core.augment.about import about
from core.augment.model_forms import prompt, read, write
from core.augment.verify import wording_faults
from core.evaluation.answers import Answer
from core.evaluation.engines import Question
from tests.augment.conftest import make_pair

PAIR = make_pair()


def test_good_lines_are_kept_whatever_the_list_marks() -> None:
    said = """\
1. What memory size has a node of Tern?
- Tell me, how big is Tern's node memory?
"How large is the memory in each Tern node?"
How much memory does a node of TERN have?
Does Tern have 256 GB of memory?
How much memory does a node of Heron have?
Here are the questions: Tern memory
What is the weather at Tern like?
"""
    good, bad = read(said, PAIR)
    assert good == (
        "What memory size has a node of Tern?",
        "Tell me, how big is Tern's node memory?",
        "How large is the memory in each Tern node?",
    )
    assert bad == {
        "the same words again": 1,
        "it gives the answer away": 1,
        "it does not name Tern": 1,
        "no question": 1,
        "no word of question or answer in it": 1,
    }


@given(st.text(max_size=2000))
def test_any_text_of_a_model_gives_only_what_passes(said: str) -> None:
    good, _ = read(said, PAIR)
    for text in good:
        assert not wording_faults(text, PAIR, about(PAIR)) and text.endswith("?")


@given(
    st.lists(st.sampled_from(["Tern", "node", "memory", "256", "GB", "512", "<<SRC:a:b>>", "?"]))
)
def test_no_value_and_no_marker_comes_through(parts: list[str]) -> None:
    good, _ = read(" ".join(parts) + "?", PAIR)
    assert not any(c.isdigit() or c == "<" for text in good for c in text)


def test_the_prompt_has_question_and_answer_without_the_marker() -> None:
    assert PAIR.question in prompt(PAIR) and "<<" not in prompt(PAIR)


class Parrot:
    """Answers some questions with a fixed text, and one not at all."""

    notes: tuple[str, ...] = ()

    def answer_batches(
        self, questions: Sequence[Question], batch_size: int
    ) -> Iterator[list[Answer]]:
        for q in questions[:-1]:
            text = "What memory has Tern?\nDoes Tern have 256 GB?"
            yield [Answer(q.id, text, None, 5, "stop", None)]


def test_what_is_missing_is_told() -> None:
    second = make_pair("Heron", "How much memory does a node of Heron have?", number=2)
    result = write([PAIR, second], Parrot())  # type: ignore[arg-type]
    assert result.kept == {PAIR.id: ("What memory has Tern?",)}
    assert result.refused == {"it gives the answer away": 1}
    assert result.unanswered == (second.id,)
