"""Citations: each marker one class; fabricated ones stay in the denominators."""

from __future__ import annotations

import pytest

from core.citations import SourceIndex
from core.errors import RegistryNotLoaded
from core.evaluation import cites
from core.evaluation.answers import Answer
from core.evaluation.grading import Grader
from core.evaluation.metrics import score
from tests.evaluation.parts import ANVIL, DELTA, INDEX, RIGHT, live, number, question

ANSWER = (
    f"x {RIGHT} <<SRC:{ANVIL}>> <<SRC:compute-resources:zephyr.example>> <<SRC:planets:mars>> "
    "<<SRC:compute-resources:old.example>> <<SRC:broken>>"
)


def test_every_class_is_counted() -> None:
    cited = cites.read(ANSWER, question(), INDEX)
    assert [c for _, c in cited.kept] == [
        "correct",
        "wrong_entity",
        "unknown_entity",
        "unknown_domain",
        "stale",
        "malformed",
    ]
    assert (cited.markers, cited.well_formed, cited.malformed) == (6, 5, 1)
    assert (cited.correct, cited.fabricated, cited.wrong_entity, cited.stale) == (1, 2, 1, 1)
    assert (cited.recalled, cited.wanted) == (1, 1)
    assert not cited.right and cites.read(f"x {RIGHT}", question(), INDEX).right


def test_a_registry_that_is_not_loaded_refuses_even_without_markers() -> None:
    for index in (None, SourceIndex({}, frozenset())):
        for answer in ("no markers", RIGHT):
            with pytest.raises(RegistryNotLoaded):
                cites.read(answer, question(), index)


def test_fabricated_markers_stay_in_the_denominator() -> None:
    q = question([number(256, "GB")])
    invented = "256 GB <<SRC:compute-resources:zephyr.example>>"
    metrics = score([Grader(q)], {"q1": Answer("q1", f"{invented} {RIGHT}")}, INDEX).metrics
    assert (metrics["citation_precision"].k, metrics["citation_precision"].n) == (1, 2)
    assert (metrics["fabricated"].k, metrics["fabricated"].n) == (1, 2)
    assert metrics["citation_presence"].estimate == 1.0
    assert metrics["citation_right"].estimate == 0.0


def test_malformed_markers_are_no_presence() -> None:
    q = question([number(256, "GB")])
    metrics = score([Grader(q)], {"q1": Answer("q1", f"256 GB <<SRC:{DELTA}")}, INDEX).metrics
    assert metrics["citation_presence"].k == 0
    assert metrics["fabricated"].n == 0 and metrics["malformed"].k == 1


def test_a_citation_where_none_is_accepted_is_wrong() -> None:
    cited = cites.read(f"needs live data {RIGHT}", live(), INDEX)
    assert cited.wrong_entity == 1 and cited.wanted == 0


def test_recall_counts_sources_not_markers() -> None:
    q = question(sources=(DELTA, ANVIL))
    cited = cites.read(f"{RIGHT} {RIGHT}", q, INDEX)
    assert (cited.recalled, cited.wanted, cited.correct) == (1, 2, 2)


def test_ten_thousand_markers_are_counted_and_few_are_kept() -> None:
    cited = cites.read(RIGHT * 10_000, question(), INDEX)
    assert cited.correct == 10_000 and len(cited.kept) == cites.MAX_KEPT
