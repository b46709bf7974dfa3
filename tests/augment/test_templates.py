"""Wordings from files: each says what it is about, and a fault is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.augment import templates
from core.augment.about import about
from core.augment.templates import Templates
from core.corpus import pair_files
from core.errors import SettingsError
from core.near_duplicates import words
from core.pairs import Pair, read_pairs
from tests.augment.conftest import make_pair


def test_name_and_node_are_filled_in(few: Templates) -> None:
    pair = make_pair()
    said = [(w.family, w.number, w.text) for w in few.wordings(pair.domain, about(pair))]
    assert said == [
        ("ask:memory_per_node_gb", 1, "How much RAM has Tern?"),
        ("ask:memory_per_node_gb", 2, "What RAM is in a CPU node of Tern?"),
        ("tell:memory_per_node_gb", 1, "State the RAM of Tern."),
    ]


def test_without_a_node_label_its_wordings_are_left_out(few: Templates) -> None:
    it = about(make_pair(memory_per_node_gb=256))
    assert [w.text for w in few.wordings("compute-resources", it)] == [
        "How much RAM has Tern?",
        "State the RAM of Tern.",
    ]


def test_held_out_wordings_come_only_when_asked_for(few: Templates) -> None:
    it = about(make_pair())
    held = [w.text for w in few.wordings("compute-resources", it, held_out=True)]
    assert held == ["RAM on Tern?"]


def test_a_single_fact_has_wordings_of_its_own(few: Templates) -> None:
    it = about(make_pair(answer="Tern opened in 2020.", topic="start"))
    assert [w.text for w in few.wordings("compute-resources", it)] == ["When did Tern open?"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("domain: a\nfields: {x: {ask: [Who runs it]}}\n", "does not say {name}"),
        ("domain: a\nfields: {x: {ask: ['{name} {value}']}}\n", "only {name} and {node}"),
        ("domain: a\nfeilds: {}\n", "unknown key 'feilds'"),
        ("domain: [\n", "not valid YAML"),
    ],
)
def test_a_faulty_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        templates.load(tmp_path)
    assert says in str(refused.value) and "a.yaml" in str(refused.value)


def test_one_field_stands_in_one_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("domain: d\nfields: {x: {ask: ['{name}?']}}\n")
    with pytest.raises(SettingsError, match="another file"):
        templates.load(tmp_path)


def test_the_held_out_families_of_the_product_are_in_no_trained_one(
    known: Templates, corpus: list[Pair]
) -> None:
    for pair in corpus:
        it = about(pair)
        trained = {tuple(words(w.text)) for w in known.wordings(pair.domain, it)}
        held = {tuple(words(w.text)) for w in known.wordings(pair.domain, it, held_out=True)}
        assert not trained & held


def test_every_fact_entry_of_the_product_belongs_to_a_pair(known: Templates) -> None:
    there = {
        (p.domain, about(p).entity, f.removeprefix("topic:"))
        for p in read_pairs(pair_files()).pairs
        for f in about(p).fields
    }
    assert set(known.facts) <= there
