"""The queue of corrections: checked when queued, kept, exported, and in the next snapshot."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import NotFound, PairsError, QAError, Refused, UsageError
from core.registry import (
    Registry,
    audit,
    corrections,
    exports,
    imports,
    open_registry,
    snapshots,
    sources,
)
from core.snapshots import Snapshot
from tests.core.conftest import make_pair

RIGHT = "another answer. <<SRC:compute-resources:r3>>"


@pytest.fixture(autouse=True)
def known(reg: Registry) -> None:
    rows = [{"source_id": f"compute-resources:r{n}", "display_name": f"R{n}"} for n in (3, 4)]
    sources.upsert_many(reg, rows)


def test_a_correction_is_queued_with_who_when_why_and_audited(
    reg: Registry, stored: Snapshot
) -> None:
    c = corrections.queue(
        reg, stored.id, "pair_00003", RIGHT, "r3 moved", response="v/x", who="ann"
    )
    assert corrections.list(reg) == (c,) == (corrections.get(reg, c.id),)
    assert (c.status, c.who, c.why, c.response, c.answer) == (
        "open",
        "ann",
        "r3 moved",
        "v/x",
        RIGHT,
    )
    entry = audit.entries(reg)[0]
    assert (entry.action, entry.subject, entry.who, entry.why) == (
        "correction.queue", "pair_00003", "ann", "r3 moved",
    )  # fmt: skip
    assert entry.after["answer"] == RIGHT and audit.verify(reg).ok
    # the frozen pair stays what it was
    (pair,) = snapshots.iter_pairs(reg, stored.id, ["pair_00003"])
    assert pair.answer.startswith("answer 3.")


@pytest.mark.parametrize(
    ("answer", "error", "word"),
    [
        ("no marker any more", UsageError, "cites nothing"),
        ("x <<SRC:compute-resources:nowhere>>", UsageError, "nowhere"),
        ("x <<SRC:compute-resources:r3>", PairsError, "malformed_marker"),
        ("x <<SRC:moon:r3>>", PairsError, "unknown_domain"),
        ("   ", PairsError, "empty_answer"),
        ("nul \x00 <<SRC:compute-resources:r3>>", PairsError, "nul_byte"),
        ("half \ud800 <<SRC:compute-resources:r3>>", PairsError, "invalid_utf8"),
        ("answer 3. <<SRC:compute-resources:r3>>", UsageError, "same as before"),
    ],
)
def test_what_could_not_be_trained_on_is_refused(
    reg: Registry, stored: Snapshot, answer: str, error: type[QAError], word: str
) -> None:
    head = audit.head(reg)
    with pytest.raises(error, match=word):
        corrections.queue(reg, stored.id, "pair_00003", answer, "why")
    assert corrections.list(reg, None) == () and audit.head(reg) == head


def test_refusals_name_the_reason(reg: Registry, stored: Snapshot) -> None:
    with pytest.raises(NotFound, match="no pair"):
        corrections.queue(reg, stored.id, "nobody", None, "why")
    with pytest.raises(Refused, match="needs a reason"):
        corrections.queue(reg, stored.id, "pair_00003", None, "  ")
    with pytest.raises(NotFound, match="no version"):
        corrections.queue(reg, stored.id, "pair_00003", None, "why", model_version="v9")
    corrections.queue(reg, stored.id, "pair_00003", None, "why", who="ann")
    with pytest.raises(Refused, match="by ann"):
        corrections.queue(reg, stored.id, "pair_00003", RIGHT, "why")


def test_the_next_snapshot_holds_what_was_corrected_and_not_what_was_removed(
    reg: Registry, stored: Snapshot
) -> None:
    fixed = corrections.queue(reg, stored.id, "pair_00003", RIGHT, "moved", who="ann")
    gone = corrections.queue(reg, stored.id, "pair_00004", None, "nonsense")
    new = corrections.next_snapshot(reg, stored.id)
    pairs = {p.id: p for p in snapshots.iter_pairs(reg, new)}
    assert len(pairs) == 19 and "pair_00004" not in pairs
    assert pairs["pair_00003"].answer == RIGHT
    noted = pairs["pair_00003"].metadata["corrected"]
    assert (noted["correction"], noted["who"], noted["why"]) == (fixed.id, "ann", "moved")
    assert noted["before"] == fixed.content_hash
    assert snapshots.row(reg, new).parent == stored.id
    for c in (fixed, gone):
        assert corrections.get(reg, c.id).applied_in == new
    assert corrections.list(reg) == () and audit.verify(reg).ok
    with pytest.raises(Refused, match="no open correction"):
        corrections.next_snapshot(reg, new)


def test_a_snapshot_frozen_otherwise_settles_what_it_follows(
    reg: Registry, stored: Snapshot
) -> None:
    fixed = corrections.queue(reg, stored.id, "pair_00003", RIGHT, "moved")
    other = corrections.queue(reg, stored.id, "pair_00004", None, "nonsense")
    assert corrections.mark_applied(reg, stored.id) == ()
    corrected = corrections.corrected(reg, fixed)
    assert corrected is not None
    rest = [make_pair(n) for n in (1, 2, 4)]
    new = snapshots.freeze(reg, [*rest, corrected])
    assert [c.id for c in corrections.mark_applied(reg, new.id)] == [fixed.id]
    assert corrections.mark_applied(reg, new.id) == ()
    assert corrections.get(reg, other.id).status == "open"
    # one of another line lacks the pair too: the line it is wrong in still trains it
    apart = snapshots.freeze(reg, rest[:2])
    assert corrections.mark_applied(reg, apart.id) == ()
    below = snapshots.freeze(reg, rest[:1], parent=stored.id)
    assert [c.id for c in corrections.mark_applied(reg, below.id)] == [other.id]


def test_dismissed_is_kept_and_final_and_the_database_keeps_it(
    reg: Registry, stored: Snapshot
) -> None:
    c = corrections.queue(reg, stored.id, "pair_00003", RIGHT, "moved")
    done = corrections.dismiss(reg, c.id, "it was right", who="ben")
    assert (done.status, done.settled_by, done.settled_why) == ("dismissed", "ben", "it was right")
    with pytest.raises(Refused, match="dismissed already"):
        corrections.dismiss(reg, c.id, "again")
    with pytest.raises(NotFound):
        corrections.get(reg, 99)
    for sql in (
        "DELETE FROM corrections",
        "UPDATE corrections SET answer = 'x'",
        "UPDATE corrections SET status = 'open', settled_at = NULL",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            reg.conn.execute(sql)
    # the pair may be asked about again
    corrections.queue(reg, stored.id, "pair_00003", RIGHT, "moved after all")


def test_the_queue_travels_with_the_export(reg: Registry, stored: Snapshot, tmp_path: Path) -> None:
    corrections.queue(reg, stored.id, "pair_00003", RIGHT, "moved")
    exports.write_folder(reg, tmp_path / "out")
    with open_registry(tmp_path / "other.db", seed=False) as other:
        imports.import_from(other, tmp_path / "out")
        assert corrections.list(other) == corrections.list(reg)


def test_wordings_built_from_a_corrected_pair_go_with_it(reg: Registry) -> None:
    pair = make_pair(3)
    form = replace(pair, id=f"{pair.id}#asked", metadata={"built_from": pair.id, "form": "asked"})
    old = snapshots.freeze(reg, [pair, form, make_pair(4)])
    corrections.queue(reg, old.id, pair.id, RIGHT, "r3 moved")
    new = corrections.next_snapshot(reg, old.id)
    assert {p.id: p.answer for p in snapshots.iter_pairs(reg, new)} == {
        pair.id: RIGHT,
        make_pair(4).id: make_pair(4).answer,
    }
