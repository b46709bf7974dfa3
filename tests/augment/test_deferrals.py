"""Rows that do not answer: invented things are refused, wrong premises get the pair's own answer."""

from __future__ import annotations

import re

from core import citations
from core.augment.deferrals import handovers, invented, premises
from core.augment.guard import Guard
from core.augment.rows import built_from
from core.augment.templates import Templates
from core.corpus import corpus_dir
from core.evaluation import deferral
from core.evaluation.golden import load_golden
from core.evaluation.normalise import Prepared
from core.pairs import Pair
from tests.augment.conftest import make_pair

NOTHING = Guard(())


def test_invented_things_are_refused_and_exist_nowhere(
    corpus: list[Pair], known: Templates
) -> None:
    canaries = [q.question for q in load_golden(corpus_dir() / "canaries.jsonl")]
    guard = Guard(canaries)
    rows = invented(corpus, known, 60, 0, guard)
    assert len(rows) == 60
    text = " ".join([*canaries, *(f"{p.question} {p.answer}" for p in corpus)]).casefold()
    for row in rows:
        assert not citations.find(row.answer) and row.domain == "refusal"
        named = set(re.findall(r"[A-Z]\w+", row.answer)) & set(re.findall(r"\w+", row.question))
        (name,) = named - {"ACCESS"}
        assert row.answer and deferral.read(Prepared(row.answer), ()).statement, row.answer
        assert built_from(row) in {p.id for p in corpus}
        assert name.casefold() not in text


def test_hand_overs_keep_their_answer(corpus: list[Pair]) -> None:
    by_id = {p.id: p for p in corpus}
    rows = handovers(corpus, 200, 0, NOTHING)
    assert len(rows) == 200 and len({r.question for r in rows}) == 200
    for row in rows:
        source = by_id[str(built_from(row))]
        assert row.answer == source.answer and row.domain == source.domain
        assert not citations.find(row.answer)


def test_a_wrong_premise_is_answered_with_the_right_value() -> None:
    pairs = [
        make_pair(name, f"RAM of {name}?", f"{name} has {n} GB of RAM.", memory_per_node_gb=n)
        for name, n in (("Tern", 64), ("Heron", 512))
    ]
    rows = premises(pairs, 10, 0, NOTHING)
    assert {(r.source_ref.rpartition("/")[2], r.answer.split("\n")[0]) for r in rows} == {
        ("tern.example.org", "Tern has 64 GB of RAM."),
        ("heron.example.org", "Heron has 512 GB of RAM."),
    }
    for row in rows:
        right, wrong = ("64", "512") if "Tern" in row.question else ("512", "64")
        assert f"has {wrong} GB" in row.question and f"{right} GB" not in row.question


def test_yes_and_no_answers_make_no_premise() -> None:
    pairs = [
        make_pair(name, f"Disk on {name}?", f"Yes, {name} has {n} TB of disk.", local_storage=f"{n} TB")
        for name, n in (("Tern", 1), ("Heron", 3))
    ]  # fmt: skip
    assert premises(pairs, 10, 0, NOTHING) == []


def test_no_template_no_invention() -> None:
    assert invented([make_pair()], Templates(), 5, 0, NOTHING) == []
