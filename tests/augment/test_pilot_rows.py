"""The pilot trains on built rows: the probe stays out, and a retrain keeps what was there."""

from __future__ import annotations

from core.augment.held_out import golden_wordings
from core.augment.pilot import with_forms
from core.augment.rows import built_from
from core.corpus import pilot_selection, retrain_selection
from core.near_duplicates import words
from core.pairs import Pair
from core.snapshots import diff, freeze
from core.training import lessons


def test_the_probe_and_the_golden_set_are_in_no_row(corpus: list[Pair]) -> None:
    plain = pilot_selection(corpus)
    rich = with_forms(plain)
    assert rich.probe == plain.probe
    asked = {tuple(words(p.question)) for p in rich.train}
    held = [q["question"] for q in plain.probe] + golden_wordings()
    assert not asked & {tuple(words(text)) for text in held}
    own = [p for p in rich.train if built_from(p) is None]
    assert {p.id for p in own} == {p.id for p in plain.train}
    assert lessons.of_pairs(rich.train).per_fact > 5


def test_a_retrain_changes_no_row_that_was_there(corpus: list[Pair]) -> None:
    first, second = pilot_selection(corpus), retrain_selection(corpus)
    before, after = with_forms(first), with_forms(second, after=first)
    d = diff(freeze(before.train), freeze(after.train))
    assert not d.removed and not d.changed and d.added
    assert d.share_new < 0.10  # a patch, by the version rule
