"""The report of a training set says what is thin, what is contaminated, and how much defers."""

from __future__ import annotations

import json

from core.augment.build import Plan, build
from core.augment.coverage import coverage
from core.augment.templates import Templates
from core.corpus import pilot_selection
from core.pairs import Pair
from tests.augment.conftest import make_pair


def test_a_thin_fact_is_named_and_an_augmented_one_is_not(few: Templates) -> None:
    pair = make_pair()
    plain = coverage([pair], few)
    assert [f.wordings for f in plain.thin] == [1]
    assert plain.findings() == [
        "1 facts have fewer than 5 wordings",
        "0% of the rows defer; 10% to 20% teach it without teaching only that",
    ]
    rows = build([pair], Plan(deferrals=0, premises=0), known=few).rows
    found = coverage(rows, few)
    (fact,) = found.facts
    assert not found.thin and fact.wordings == fact.rows == len(rows)
    assert fact.own == 1 and fact.families["ask"] == 2 and fact.fact == "memory_per_node_gb"
    assert fact.held_out == 1 and fact.marked


def test_the_pilot_augmented_is_in_order(corpus: list[Pair], known: Templates) -> None:
    selection = pilot_selection(corpus)
    held = [q["question"] for q in selection.probe]
    rows = build(selection.train, Plan(forms=10), held_out=held).rows
    found = coverage(rows, known)
    assert found.findings() == []
    close = coverage(rows, known, held).contaminated
    assert set(close) <= {p.id for p in selection.train}  # none that was built
    assert found.premises and found.built > len(rows) / 2
    assert json.loads(json.dumps(found.as_json()))["rows"] == len(rows)


def test_a_held_out_wording_among_the_rows_is_found(few: Templates) -> None:
    pair = make_pair()
    assert coverage([pair], few, [pair.question.lower()]).contaminated == (pair.id,)


def test_a_malformed_marker_is_found(few: Templates) -> None:
    pair = make_pair(answer="Tern has 256 GB. <<SRC:compute-resources>>")
    assert any("malformed" in text for text in coverage([pair], few).findings())
