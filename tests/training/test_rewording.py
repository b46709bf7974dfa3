"""Rewordings keep what is asked: names and numbers survive, the answer is untouched."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from core.corpus import pair_files, pilot_selection
from core.pairs import read_pairs
from core.training.data import Conversation
from core.training.rewording import MOST, rewordings, with_rewordings


def test_forms_of_a_plain_question() -> None:
    lower, keywords, opened = rewordings("How many CPU nodes does Delta have?", 3)
    assert lower == "how many cpu nodes does delta have"
    assert keywords == "many CPU nodes Delta"
    assert "How many CPU nodes does Delta have?" in opened


def test_no_form_repeats_a_held_out_wording_and_numbers_survive() -> None:
    selection = pilot_selection(read_pairs(pair_files()).pairs)
    held = {json.dumps(q["question"]).lower() for q in selection.probe}
    for pair in selection.train:
        for form in rewordings(pair.question, MOST):
            assert json.dumps(form).lower() not in held
            assert set(re.findall(r"\d+", pair.question)) <= set(re.findall(r"\d+", form))


@given(st.text(max_size=300), st.integers(0, MOST))
def test_any_text_gives_at_most_the_asked_number_of_distinct_forms(text: str, count: int) -> None:
    forms = rewordings(text, count)
    assert len(forms) <= count and len(set(forms)) == len(forms)
    assert text not in forms and all(forms)


def test_the_answer_and_earlier_turns_stay() -> None:
    row = Conversation(
        "a",
        ({"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."},
         {"role": "user", "content": "Where is Anvil hosted?"}),
        {"role": "assistant", "content": "At Purdue."},
    )  # fmt: skip
    out = with_rewordings([row], 2)
    assert [r.id for r in out] == ["a", "a~1", "a~2"]
    assert all(r.completion == row.completion and r.prompt[:2] == row.prompt[:2] for r in out)
    assert with_rewordings([row], 0) == [row]
