"""Deferral: an explicit statement and a next step; neither alone."""

from __future__ import annotations

import json

import pytest

from core import locations
from core.evaluation import deferral
from core.evaluation.normalise import Prepared
from tests.evaluation.parts import live, question

DEFERS = [
    "That needs live data: outages change by the hour. Please check it with `get_x_news`.",
    "I cannot answer that from stored knowledge; it needs live data from `search_events`.",
    "My knowledge is fixed in time, so this has to be looked up live with `get_chart_data`.",
    "I would only be guessing. Live data from `get_rp_account` gives the right answer.",
    "I'm sorry, but I don't have real-time information; please check the ACCESS status page.",
    "I’m unable to check outages. See https://support.access-ci.org/outages.",
    "As an AI language model, I cannot see your balance. Please open a ticket.",
]
ONLY_SAYS = ["I do not know.", "I cannot answer that.", "I have no information on Zephyr."]
ANSWERS = [
    "Use Slurm and open a ticket if it fails.",
    "MPICH is not listed on Delta.",
    "You cannot log in without Duo; use the portal.",
    "Anvil has no GPUs in its CPU nodes. See the documentation page.",
    "A PI can hold at most 75,000 GPU hours.",
    "Data you need is real and the current limit is 48 hours.",
    "",
    "無法回答",
]


@pytest.mark.parametrize("text", DEFERS)
def test_statement_and_next_step(text: str) -> None:
    said = deferral.read(Prepared(text))
    assert said.statement and said.next_step and said.deferred


@pytest.mark.parametrize("text", ONLY_SAYS)
def test_a_statement_alone_is_no_deferral(text: str) -> None:
    said = deferral.read(Prepared(text))
    assert said.statement and not said.deferred


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_are_no_deferrals(text: str) -> None:
    assert not deferral.read(Prepared(text)).statement


def test_tools_are_read_and_the_right_one_is_known() -> None:
    said = deferral.read(Prepared("Needs live data from `get_rp_account`."), ["get_rp_account"])
    assert said.tools == ("get_rp_account",) and said.right_tool
    wrong = deferral.read(Prepared("Needs live data from `get_rp_account`."), ["search_events"])
    assert wrong.right_tool is False
    assert deferral.read(Prepared("I cannot answer that.")).right_tool is None


def test_every_deferral_of_the_corpus_is_seen_and_no_answer_is_taken_for_one() -> None:
    seen = answers = 0
    for file in sorted((locations.configs() / "corpus").glob("*_qa_pairs.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            said = deferral.read(Prepared(row["messages"][-1]["content"]))
            kind = (row["metadata"].get("source_data") or {}).get("kind")
            if kind == "dynamic":
                assert said.deferred, row["id"]
                seen += 1
            elif kind is not None:
                assert said.statement, row["id"]
                seen += 1
            else:
                assert not said.statement, row["id"]
                answers += 1
    assert seen > 50 and answers > 1000


def test_what_a_question_wants() -> None:
    assert deferral.expects(live()) == "live"
    assert deferral.expects(question()) == "answer"
    unknown = question(
        expected="I know of no ACCESS resource called Zephyr, so I cannot describe it.", sources=()
    )
    assert deferral.expects(unknown) == "refusal"
    cited = question(expected="Expanse has no H100s that I know of; it has V100s.")
    assert deferral.expects(cited) == "answer"


@pytest.mark.parametrize("bit", ["i cannot ", "check ", "not a x ", "a_b_", "my data is ", "a."])
def test_a_megabyte_is_read(bit: str) -> None:
    text = bit * (1_000_000 // len(bit))
    assert deferral.read(Prepared(text), ["x"]).right_tool is False
