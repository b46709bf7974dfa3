"""Which questions a training is probed with: no wording that is trained, strata kept apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.evaluation.golden.sets import load_set
from core.pairs import Pair
from core.training import data, probe_set
from core.training.probe_set import ProbeSet
from core.training.recipe import ProbePart
from core.training.rewording import rewordings, with_rewordings
from tests.training.conftest import pair, some_pairs, write_pairs
from tests.training.probe_parts import golden, live, no_answer, some_golden, write_rows


def trained(tmp_path: Path, rows: list[dict[str, Any]], count: int = 0) -> list[Pair]:
    file = write_pairs(tmp_path / "trained.jsonl", rows)
    return probe_set.pairs_of(with_rewordings(data.read_conversations(file), count), file)


def chosen(
    tmp_path: Path,
    candidates: list[dict[str, Any]],
    rows: list[dict[str, Any]] | None = None,
    count: int = 0,
    **part: Any,
) -> ProbeSet:
    questions = load_set(write_rows(tmp_path / "golden.jsonl", candidates)).questions
    pairs = trained(tmp_path, rows or some_pairs(10), count)
    return probe_set.choose(pairs, questions, ProbePart(**part))


def of(found: ProbeSet, stratum: str) -> dict[str, str]:
    return {i.fact: i.question.question for i in found.items if i.stratum == stratum}


def test_strata_are_kept_apart_and_counted(tmp_path: Path) -> None:
    found = chosen(tmp_path, some_golden(4))
    assert set(of(found, "unseen wording")) == {"pair_0", "pair_1", "pair_2", "pair_3"}
    # the rest of the ten facts: as they were trained, in a stratum of their own
    as_trained = of(found, "trained wording")
    assert set(as_trained) == {f"pair_{n}" for n in range(4, 10)}
    assert as_trained["pair_4"] == "How many cores has node 4 of Expanse?"
    assert (found.facts, found.unseen, found.dropped) == (10, 4, 0)
    assert found.count("deferral") == found.count("canary") == 2
    text = found.sentence()
    assert "6 of 10 facts have no unseen wording, 6 of them are asked as they were" in text


@pytest.mark.parametrize(
    "wording",
    [
        "How many cores has node 0 of Delta?",  # exact
        "how many CORES has node 0 of delta",  # normalised
        "How many cores has node 0 of Deltas?",  # near
        "Tell me: how many cores has node 0 of Delta, the one with the A40?",  # words in a row
    ],
)
def test_a_wording_that_is_trained_is_no_probe(tmp_path: Path, wording: str) -> None:
    found = chosen(tmp_path, [golden(0, wording), golden(1, "Core count, machine one?")])
    assert set(of(found, "unseen wording")) == {"pair_1"} and found.dropped == 1
    assert "pair_0" in of(found, "trained wording")


def test_a_mechanical_rewording_of_a_row_is_trained_too(tmp_path: Path) -> None:
    rows = some_pairs(2)
    (form, *_) = [f for f in rewordings(rows[0]["messages"][0]["content"], 3) if len(f) < 25]
    candidate = [golden(0, form)]
    assert chosen(tmp_path, candidate, rows).unseen == 1
    reworded = chosen(tmp_path, candidate, rows, count=3)
    assert (reworded.unseen, reworded.dropped) == (0, 1)
    assert reworded.facts == 2  # a rewording is no fact of its own


def test_a_golden_question_with_paraphrases_is_asked_only_in_those(tmp_path: Path) -> None:
    row = golden(0, "Core count, machine zero?", paraphrases=["Zero: how wide?"])
    found = chosen(tmp_path, [row])
    assert of(found, "unseen wording") == {"pair_0": "Zero: how wide?"}


def test_facts_that_are_not_trained_are_not_probed(tmp_path: Path) -> None:
    found = chosen(tmp_path, [golden(30, "Core count, machine thirty?")])
    assert found.unseen == 0 and found.dropped == 0


def test_deferrals_and_canaries_in_trained_wording_are_left_out(tmp_path: Path) -> None:
    rows = [*some_pairs(3), pair(90, "Is the queue long today?", "I cannot answer that.")]
    canary = no_answer("can_1", "How fat are the nodes at Wrenfield?", canary=True)
    found = chosen(tmp_path, [live("dyn_1", "Is the queue long today?"), canary], rows)
    assert (found.count("deferral"), found.count("canary"), found.dropped) == (0, 1, 1)
    assert found.facts == 3  # a pair that defers states no fact


def test_forms_built_from_a_pair_are_one_fact(tmp_path: Path) -> None:
    rows = some_pairs(2)
    built = pair(0, "Cores of node 0 of Delta: ___", "8, on Delta.")
    built["id"], built["metadata"] = "pair_0#cloze", {"built_from": "pair_0", "form": "cloze"}
    facts = probe_set.facts_of(trained(tmp_path, [*rows, built]))
    assert facts == {"pair_0": "pair_0", "pair_1": "pair_1", "pair_0#cloze": "pair_0"}


def test_the_budget_holds_and_a_larger_one_only_adds(tmp_path: Path) -> None:
    some = chosen(tmp_path, some_golden(8), facts=3, deferrals=1, canaries=0)
    more = chosen(tmp_path, some_golden(8), facts=6, deferrals=1, canaries=0)
    assert [some.count(s) for s in ("unseen wording", "deferral", "canary")] == [3, 1, 0]
    assert set(of(some, "unseen wording")) < set(of(more, "unseen wording"))
    assert some.count("trained wording") == 0  # unseen wordings come first
    again = chosen(tmp_path, some_golden(8), facts=3, deferrals=1, canaries=0)
    assert again.sha256 == some.sha256 != more.sha256


def test_a_wording_that_an_adapter_below_was_trained_on_is_no_probe(tmp_path: Path) -> None:
    """The row is gone from the data, what it taught is not; nor does its fact become one of these."""
    now = trained(tmp_path, some_pairs(2))
    below = trained(tmp_path, some_pairs(6)[2:])
    wordings = [below[0].question, now[0].question.replace("How many cores", "What core count")]
    one = probe_set.as_trained(now[0])
    questions = [replace(one, id=w, question=w, cluster="") for w in wordings]
    part = ProbePart()
    alone = probe_set.choose(now, questions, part)
    both = probe_set.choose(now, questions, part, below)
    assert both.facts == alone.facts == 2
    assert both.dropped == alone.dropped + 1
