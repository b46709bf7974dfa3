"""The pilot's training rows: its selected pairs, each fact in several wordings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from core.augment.build import Plan, build
from core.augment.held_out import golden_wordings
from core.corpus import Selection

PILOT_FORMS = 9
"""Wordings a fact gets at most in the pilot: what its minutes of training can hold."""
PILOT_PREMISES = 0.03


def with_forms(
    selection: Selection, *, after: Selection | None = None, golden: Iterable[Path] = ()
) -> Selection:
    """The selection's pairs and other wordings of them; the probe stays as it is.

    No form comes close to a wording of the probe, of the mounted golden set or of `golden`.
    after: a selection that this one adds pairs to; its rows are built as before, and only the added
    pairs get further ones, so that what was trained stays the same data.
    """
    held_out = [*(q["question"] for q in selection.probe), *golden_wordings(golden)]
    first = after or selection
    plan = Plan(forms=PILOT_FORMS, premises=PILOT_PREMISES)
    rows = build(first.train, plan, held_out=held_out).rows
    known = {p.id for p in first.train}
    added = [p for p in selection.train if p.id not in known]
    if added:
        plan = Plan(forms=PILOT_FORMS, deferrals=0, premises=0)
        rows += build(added, plan, held_out=held_out).rows
    built = len(rows) - len(selection.train)
    return Selection(rows, selection.probe, f"{selection.note}; {built} rows are other wordings")
