"""Rows from pairs: deterministic, answers untouched, nothing held out among them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import citations
from core.augment.build import Plan, build
from core.augment.rows import built_from, form_of
from core.augment.templates import Templates
from core.contamination import GoldenItem, contamination
from core.corpus import pilot_selection
from core.errors import UsageError
from core.evaluation.golden import load_golden
from core.evaluation.golden.sets import mounts
from core.near_duplicates import words
from core.pairs import Message, Pair, read_pairs, write_pairs
from tests.augment.conftest import make_pair


def test_a_row_names_its_pair_and_its_form(few: Templates) -> None:
    pair = make_pair()
    built = build([pair], Plan(forms=20, deferrals=0, premises=0), known=few)
    assert built.rows[0] == pair
    for row in built.rows[1:]:
        assert built_from(row) == pair.id and row.id == f"{pair.id}#{form_of(row)}"
        assert row.answer == pair.answer and row.question != pair.question
        assert {**row.metadata, "built_from": 0, "form": 0} == {
            **pair.metadata, "built_from": 0, "form": 0
        }  # fmt: skip
    forms = Counter(form_of(r).partition(":")[0] for r in built.rows)
    assert forms["ask"] == 2 and forms["tell"] == 1 and forms["gap"] >= 1


def test_ids_are_unique_and_rows_are_good_pairs(corpus: list[Pair], tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = build(corpus[:100], Plan(forms=12)).rows
    assert len({r.id for r in rows}) == len(rows)
    write_pairs(tmp_path / "a.jsonl", rows)
    report = read_pairs(tmp_path / "a.jsonl")
    assert not report.problems and report.pairs == rows


def test_the_same_plan_gives_the_same_rows_and_another_seed_others(corpus: list[Pair]) -> None:
    some = corpus[:60]
    first, second = build(some, Plan(seed=3)), build(list(some), Plan(seed=3))
    assert first.rows == second.rows
    assert first.rows != build(some, Plan(seed=4)).rows


def test_forms_are_a_limit_a_fact(corpus: list[Pair]) -> None:
    rows = build(corpus[:100], Plan(forms=7, deferrals=0, premises=0)).rows
    per_answer = Counter((r.domain, r.answer) for r in rows)
    assert max(per_answer.values()) == 7


def test_no_row_repeats_a_held_out_wording(corpus: list[Pair]) -> None:
    selection = pilot_selection(corpus)
    held = [q["question"] for q in selection.probe]
    built = build(selection.train, Plan(forms=20), held_out=held)
    asked = {tuple(words(r.question)) for r in built.rows}
    assert not asked & {tuple(words(text)) for text in held}
    # the guard had something to do, and counts what it refuses, by the test that refused it
    assert sum(built.kept_out.values()) > 0 and "" not in built.kept_out
    items = [GoldenItem(str(n), text, "", (), ()) for n, text in enumerate(held)]
    own = {p.id for p in selection.train}  # the corpus words some questions alike by itself
    found = contamination(items, [r for r in built.rows if r.id not in own])
    assert found.share_trained_wording == 0


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_whatever_is_held_out_is_not_built(data: st.DataObject) -> None:
    pairs = [
        make_pair(name, f"How much memory does a node of {name} have?", f"{name} has {n} GB of RAM.",
                  memory_per_node_gb=n)
        for name, n in (("Tern", 64), ("Heron", 128), ("Plover", 512))
    ]  # fmt: skip
    free = build(pairs, Plan(forms=20))
    chosen = data.draw(st.lists(st.sampled_from(free.rows[3:]), max_size=4))
    mine = {tuple(words(p.question)) for p in pairs}
    held = [r.question for r in chosen if tuple(words(r.question)) not in mine]
    rows = build(pairs, Plan(forms=20), held_out=held).rows
    assert not {tuple(words(r.question)) for r in rows} & {tuple(words(t)) for t in held}


def test_no_row_for_the_mounted_golden_set(corpus: list[Pair]) -> None:
    golden = [q for m in mounts() for q in load_golden(m.path)]
    held = [text for q in golden for text in (q.question, *q.paraphrases)]
    some = [p for p in corpus if p.domain == "compute-resources"][:60]
    rows = build(some, Plan(forms=16), held_out=held).rows
    assert not {tuple(words(r.question)) for r in rows} & {tuple(words(t)) for t in held}


def test_a_pair_that_is_itself_held_out_is_refused() -> None:
    pair = make_pair()
    with pytest.raises(UsageError, match="held-out question"):
        build([pair], Plan(), held_out=[pair.question.upper()])


def test_forms_of_forms_are_refused(few: Templates) -> None:
    rows = build([make_pair()], Plan(deferrals=0, premises=0), known=few).rows
    with pytest.raises(UsageError, match="built rows already"):
        build(rows, Plan())


def test_shares_of_deferring_rows_and_premises(corpus: list[Pair]) -> None:
    rows = build(pilot_selection(corpus).train, Plan(forms=10, deferrals=0.15, premises=0.05)).rows
    deferring = sum(not citations.find(r.answer) for r in rows)
    premises = sum(form_of(r).startswith("premise") for r in rows)
    assert deferring == pytest.approx(0.15 * len(rows), rel=0.02)
    assert premises == pytest.approx(0.05 * len(rows), rel=0.1)


def test_wordings_of_a_model_are_forms_like_others(few: Templates) -> None:
    pair = make_pair()
    written = {pair.id: ["What size of memory has Tern?", "Does Tern have 256 GB?"]}
    built = build([pair], Plan(deferrals=0, premises=0), known=few, written=written)
    assert "What size of memory has Tern?" in {r.question for r in built.rows}
    assert not any("256" in r.question for r in built.rows)
    assert built.refused["it gives the answer away"] >= 1


def test_old_pairs_are_mixed_in(few: Templates) -> None:
    old = [
        replace(make_pair(f"Old{n}"), messages=(Message("user", f"Old {n}?"), Message("assistant", "x")))
        for n in range(40)
    ]  # fmt: skip
    built = build([make_pair()], Plan(deferrals=0, premises=0), known=few, old=old)
    assert built.replayed == round(0.3 * len(built.rows))


def test_held_out_wordings_are_not_replayed(few: Templates) -> None:
    old = [
        replace(make_pair(f"Old{n}"), messages=(Message("user", f"Old {n}?"), Message("assistant", "x")))
        for n in range(40)
    ]  # fmt: skip
    held = [p.question for p in old[:39]]
    plan = Plan(deferrals=0, premises=0)
    built = build([make_pair()], plan, known=few, old=old, held_out=held)
    assert built.replayed == 1 and not {r.question for r in built.rows} & set(held)


@pytest.mark.parametrize("plan", [{"forms": 0}, {"forms": 1000}, {"deferrals": 0.9}])
def test_a_plan_out_of_bounds_is_refused(plan: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Plan(**plan)  # type: ignore[arg-type]
