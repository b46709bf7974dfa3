"""The queue of corrections: a pair that is wrong, what it should say, and what became of that.

    open ─▶ applied     a later snapshot holds the corrected pair, or holds the removed one no more
      └───▶ dismissed   it was right after all, with a reason

A correction changes nothing by itself. `corrected` gives the pairs as they should be, for the next
snapshot; `next_snapshot` freezes one with all open corrections in it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core import citations
from core.errors import NotFound, PairsError, Refused, UsageError
from core.pair_checks import KNOWN_DOMAINS
from core.pairs import Pair
from core.registry import audit, snapshots, sources
from core.registry.records import need_reason
from core.registry.store import Registry, clean, utc_now

Status = Literal["open", "applied", "dismissed"]
STATUSES: tuple[Status, ...] = ("open", "applied", "dismissed")


@dataclass(frozen=True, slots=True)
class Correction:
    """dataset_version, content_hash: the wrong pair and where it stands.  answer: what it should
    say; None: it is to be removed.  response: id of the answer that led there, "" if it has none.
    settled_…: None while open.  applied_in: the first snapshot that follows it.
    """

    id: int
    dataset_version: str
    pair_id: str
    content_hash: str
    answer: str | None
    why: str
    response: str
    model_version: str | None
    at: str
    who: str
    status: Status
    settled_at: str | None
    settled_by: str | None
    settled_why: str | None
    applied_in: str | None


def check_answer(reg: Registry, pair: Pair, answer: str) -> Pair:
    """The pair with another last answer, if that can be trained on.

    Raises UsageError: nothing changed, the markers are gone, an unknown source is cited. Raises
    PairsError: the text breaks a check of pairs files (empty, malformed marker, unknown domain …).
    """
    answer = answer.strip()
    if answer == pair.answer.strip():
        raise UsageError("the answer is the same as before", try_next="change what is wrong in it")
    row = pair.to_row()
    row["messages"] = [*row["messages"][:-1], {"role": "assistant", "content": answer}]
    cites = citations.find(answer)
    if "has_citation" in pair.metadata:
        row["metadata"] = {**pair.metadata, "has_citation": bool(cites)}
    new = Pair.from_row(row, domains=KNOWN_DOMAINS | {pair.domain})
    before = {m.source_id for m in citations.find(pair.answer)}
    if before and not cites:
        raise UsageError(
            "the corrected answer cites nothing",
            why="the pair cites its source, and a model learns to cite from pairs that do",
            try_next=f"keep the marker: {', '.join(f'<<SRC:{s}>>' for s in sorted(before))}",
        )
    known = sources.index(reg).by_id if cites else {}
    unknown = sorted({m.source_id for m in cites} - before - known.keys())
    if unknown:
        raise UsageError(
            f"no source {unknown[0]!r} in the registry",
            why="a pair must not teach a citation that leads nowhere",
            try_next="keep the marker as it was, or add the source first",
        )
    return new


def queue(
    reg: Registry,
    dataset_version: str,
    pair_id: str,
    answer: str | None,
    why: str,
    *,
    response: str = "",
    model_version: str | None = None,
    who: str | None = None,
) -> Correction:
    """Queue a corrected answer for a pair of a snapshot; None: the pair is to be removed.

    Raises NotFound (no such snapshot, pair or version), Refused (one is open for this pair), and
    what `check_answer` raises.
    """
    need_reason(why, "a correction")
    pair = _pair(reg, dataset_version, pair_id)
    if answer is not None:
        answer = check_answer(reg, pair, answer).answer
    who = clean(who or reg.operator)
    with reg.writing():
        other = reg.one(
            "SELECT id, who FROM corrections WHERE pair_id = ? AND status = 'open'", (pair_id,)
        )
        if other is not None:
            raise Refused(
                f"{pair_id} has an open correction already: number {other['id']}, by {other['who']}",
                try_next=f"qa trace corrections dismiss {other['id']} --reason …, then queue again",
            )
        if model_version is not None and not reg.one(
            "SELECT 1 FROM versions WHERE model_version = ?", (model_version,)
        ):
            raise NotFound(f"no version {model_version!r}", try_next="see `qa versions list`")
        values = (dataset_version, pair_id, pair.content_hash, answer, clean(why),
                  clean(response), model_version, utc_now(), who)  # fmt: skip
        new_id = int(
            reg.value(
                "INSERT INTO corrections (dataset_version, pair_id, content_hash, answer, why,"
                " response, model_version, at, who) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " RETURNING id",
                values,
            )
        )
        act = "remove" if answer is None else "correct"
        after = {"correction": new_id, "act": act, "answer": answer, "response": clean(response)}
        before = {"dataset_version": dataset_version, "content_hash": pair.content_hash}
        audit.append(reg, "correction.queue", pair_id, who=who, before=before, after=after, why=why)
    return get(reg, new_id)


def dismiss(reg: Registry, correction: int, why: str, *, who: str | None = None) -> Correction:
    """The pair stays as it is. Raises NotFound, Refused (settled before), UsageError (no reason)."""
    need_reason(why, "dismissing a correction")
    with reg.writing():
        found = get(reg, correction)
        if found.status != "open":
            raise Refused(f"correction {correction} is {found.status} already")
        _settle(reg, found, "dismissed", None, who=who, why=why)
    return get(reg, correction)


def get(reg: Registry, correction: int) -> Correction:
    """Raises NotFound."""
    row = reg.one("SELECT * FROM corrections WHERE id = ?", (correction,))
    if row is None:
        raise NotFound(
            f"no correction {correction}", try_next="see `qa trace corrections list --all`"
        )
    return _correction(row)


def list(reg: Registry, status: Status | None = "open") -> tuple[Correction, ...]:
    """Newest first; None: whatever became of them."""
    where, values = ("", ()) if status is None else ("WHERE status = ?", (status,))
    rows = reg.rows(f"SELECT * FROM corrections {where} ORDER BY id DESC", values)
    return tuple(_correction(r) for r in rows)


def corrected(reg: Registry, correction: Correction) -> Pair | None:
    """The pair as it should be, its metadata saying who changed what and why; None: removed."""
    if correction.answer is None:
        return None
    pair = Pair._trusted(json.loads(_body(reg, correction.content_hash, correction.pair_id)))
    row = pair.to_row()
    row["messages"] = [*row["messages"][:-1], {"role": "assistant", "content": correction.answer}]
    row["metadata"] = {**pair.metadata, "corrected": _note(correction)}
    if "has_citation" in pair.metadata:
        row["metadata"]["has_citation"] = bool(citations.find(correction.answer))
    return Pair.from_row(row, domains=KNOWN_DOMAINS | {pair.domain})


def next_snapshot(reg: Registry, dataset_version: str, *, who: str | None = None) -> str:
    """Freeze a snapshot with the open corrections in it, and mark them applied. Returns its id.

    Where a pair stands there with other content than the corrected one, it is not touched: its
    correction stays open. Raises NotFound, Refused (nothing is open for this snapshot).
    """
    hashes = dict(snapshots.lines(reg, dataset_version))
    due = {c.pair_id: c for c in list(reg) if hashes.get(c.pair_id) == c.content_hash}
    if not due:
        raise Refused(
            f"no open correction is for a pair of {dataset_version}",
            try_next="see `qa trace corrections list`",
        )
    frozen = snapshots.freeze(
        reg, _replaced(reg, dataset_version, due), parent=dataset_version, who=who
    )
    with reg.writing():
        for c in due.values():
            if get(reg, c.id).status == "open":  # else another operator was first
                _settle(reg, c, "applied", frozen.id, who=who, why=f"in {frozen.id}")
    return frozen.id


def mark_applied(
    reg: Registry, dataset_version: str, *, who: str | None = None
) -> tuple[Correction, ...]:
    """Settle every open correction that a snapshot follows; may be repeated. Returns those settled.

    A snapshot follows a correction if the pair says the corrected answer there; or, where the pair
    was to be removed, if it is not there, and the snapshot is newer and of the same line. Raises NotFound.
    """
    made = snapshots.row(reg, dataset_version).created_at
    with reg.writing():
        waiting = list(reg)
        hashes = dict(snapshots.lines(reg, dataset_version)) if waiting else {}
        done = [
            c for c in waiting if _followed(reg, c, dataset_version, hashes.get(c.pair_id), made)
        ]
        for c in done:
            _settle(reg, c, "applied", dataset_version, who=who, why=f"in {dataset_version}")
    return tuple(get(reg, c.id) for c in done)


def _descends(reg: Registry, dataset_version: str, ancestor: str) -> bool:
    """Of another line, a snapshot may lack a pair that goes on being trained in this one."""
    seen: set[str] = set()
    at: str | None = dataset_version
    while at is not None and at not in seen:
        if at == ancestor:
            return True
        seen.add(at)
        at = snapshots.row(reg, at).parent
    return False


def _followed(
    reg: Registry, c: Correction, dataset_version: str, content_hash: str | None, made: str
) -> bool:
    if c.answer is None:
        # the snapshot the pair was found wrong in is older than the correction itself
        gone = content_hash is None and made[:19] >= c.at[:19]
        return gone and _descends(reg, dataset_version, c.dataset_version)
    if content_hash is None or content_hash == c.content_hash:
        return False
    pair = Pair._trusted(json.loads(_body(reg, content_hash, c.pair_id)))
    return pair.answer.strip() == c.answer.strip()


def _replaced(reg: Registry, dataset_version: str, due: dict[str, Correction]) -> Iterator[Pair]:
    """Other wordings that were built from a corrected pair go: they say what it said before."""
    for pair in snapshots.iter_pairs(reg, dataset_version):
        if pair.metadata.get("built_from") in due:
            continue
        if pair.id not in due:
            yield pair
        elif (new := corrected(reg, due[pair.id])) is not None:
            yield new


def _settle(
    reg: Registry,
    c: Correction,
    status: Status,
    applied_in: str | None,
    *,
    who: str | None,
    why: str,
) -> None:
    reg.execute(
        "UPDATE corrections SET status = ?, settled_at = ?, settled_by = ?, settled_why = ?,"
        " applied_in = ? WHERE id = ?",
        (status, utc_now(), clean(who or reg.operator), clean(why), applied_in, c.id),
    )
    audit.append(reg, f"correction.{status}", c.pair_id, who=who, before={"correction": c.id},
                 after={"status": status, "applied_in": applied_in}, why=why)  # fmt: skip


def _note(c: Correction) -> dict[str, Any]:
    return {"correction": c.id, "who": c.who, "at": c.at, "why": c.why, "response": c.response,
            "before": c.content_hash}  # fmt: skip


def _pair(reg: Registry, dataset_version: str, pair_id: str) -> Pair:
    for found, content_hash in snapshots.lines(reg, dataset_version):
        if found == pair_id:
            return Pair._trusted(json.loads(_body(reg, content_hash, pair_id)))
    raise NotFound(
        f"no pair {pair_id!r} in {dataset_version}", try_next="find it with `qa search WORDS`"
    )


def _body(reg: Registry, content_hash: str, pair_id: str) -> str:
    body = reg.value("SELECT body FROM blobs WHERE hash = ?", (content_hash,))
    if body is None:
        raise PairsError(
            f"the text of {pair_id} is not in this registry",
            why="the snapshot came without its pairs",
            try_next="import the folder export, which has them",
        )
    return str(body)


def _correction(row: sqlite3.Row | Sequence[Any]) -> Correction:
    return Correction(*tuple(row))
