"""People's labels of stored answers, and what judge models said of them. Both are only shown.

A label is of an answer's text to a question, whoever gave it in whichever evaluation: the same answer
in a later evaluation is labelled already. Nothing is ever changed; the newest label counts, unless
the question or its expected answer now reads otherwise: then it is stale, shown and not counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from core.errors import ChangedUnderYou, NotFound, UsageError
from core.pairs import canonical_json
from core.registry import audit, evaluations
from core.registry.store import Registry, clean, utc_now

Verdict = Literal["correct", "incorrect", "not_attempted"]
LABELS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True)
class Label:
    """model_version, system: where the answer was read.  at: ISO 8601, UTC.

    stale: given to the question, or against the expected answer, in another wording.
    """

    question_id: str
    label: Verdict
    model_version: str | None
    system: str
    at: str
    who: str
    stale: bool = False


def give(
    reg: Registry,
    model_version: str | None,
    given: Mapping[tuple[str, str], str],
    *,
    who: str | None = None,
    read: Mapping[tuple[str, str], str] | None = None,
) -> tuple[Label, ...]:
    """Store a person's grades of answers in the newest evaluation of a version: all, or none.

    given: (system, question id) → grade; system "": the one that is judged.  read: the same keys →
    digest of the answer that was read, where it was.  Raises UsageError (unknown label), NotFound: no
    evaluation, or no such answer in it; ChangedUnderYou: the answer is not the one that was read.
    """
    found = evaluations.latest(reg, model_version)
    if found is None:
        raise NotFound(f"{model_version or 'the base model'} has not been evaluated")
    own = str(found.scores.get("candidate") or "tuned")
    rows = {(r.get("system"), r.get("id")): r for r in found.scores.get("questions", ())}
    at, by = utc_now(), clean(who or reg.operator)
    done = []
    for (system, question_id), said in given.items():
        row = rows.get((system or own, question_id))
        if row is None:
            raise NotFound(
                f"no answer of {system or own!r} to {question_id!r} in the newest evaluation",
                try_next=f"qa eval labels {model_version} --todo lists what can be labelled",
            )
        if read is not None and read.get((system, question_id), digest(row)) != digest(row):
            raise ChangedUnderYou(
                f"the answer to {question_id!r} is not the one you read; it was not labelled",
                why=f"{model_version or 'the base model'} was evaluated again meanwhile",
                try_next="open the answer again, read it, then label it",
            )
        done.append((_known(said), row))
    with reg.writing():
        for said, row in done:
            reg.execute(
                "INSERT INTO answer_labels (question_id, answer_sha256, label, model_version,"
                " system, at, who) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (clean(row["id"]), digest(row), said, model_version, clean(row["system"]), at, by),
            )
            after = {"question": row["id"], "system": row["system"], "label": said}
            audit.append(reg, "answer.label", model_version or "base", who=who, after=after)
    return tuple(Label(r["id"], said, model_version, r["system"], at, by) for said, r in done)


def _known(label: str) -> Verdict:
    for known in LABELS:
        if known == label:
            return known
    raise UsageError(f"unknown label {label!r}", try_next=f"one of: {', '.join(LABELS)}")


def labels(reg: Registry, rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Label]:
    """(system, question id) → the newest label of that answer. rows: questions of a scores.json."""
    newest: dict[tuple[str, str], Label] = {}
    for r in reg.rows("SELECT * FROM answer_labels ORDER BY id"):
        key = (r["question_id"], r["answer_sha256"])
        newest[key] = Label(r["question_id"], r["label"], r["model_version"], r["system"], r["at"],
                            r["who"])  # fmt: skip
    if not newest:
        return {}
    asked = {question for question, _ in newest}
    wordings: dict[int, dict[str, tuple[str, str]]] = {}
    out = {}
    for row in rows:
        name = str(row.get("id"))
        if name in asked and (found := newest.get((name, digest(row)))):
            stale = _wording_then(reg, found, wordings) != _wording(row)
            out[str(row.get("system")), name] = replace(found, stale=stale)
    return out


def counted(found: Mapping[tuple[str, str], Label]) -> dict[tuple[str, str], Verdict]:
    """The grades that agreement is counted over: those that are not stale."""
    return {key: label.label for key, label in found.items() if not label.stale}


def _wording(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("question") or ""), str(row.get("expected_answer") or "")


def _wording_then(
    reg: Registry, label: Label, known: dict[int, dict[str, tuple[str, str]]]
) -> tuple[str, str] | None:
    """What was asked and expected in the evaluation in which the label was given.

    known: evaluation → question → wording, of those that were read.
    """
    sql = "SELECT id FROM evaluations WHERE model_version IS ? AND at <= ? ORDER BY id DESC LIMIT 1"
    of = reg.one(sql, (label.model_version, label.at))
    if of is None:
        return None
    if of["id"] not in known:
        read = evaluations.latest(reg, label.model_version, until=label.at)
        asked = read.scores.get("questions", ()) if read else ()
        known[of["id"]] = {str(r.get("id")): _wording(r) for r in asked}
    return known[of["id"]].get(label.question_id)


def digest(row: Mapping[str, Any]) -> str:
    """64 hex digits of the answer's text."""
    return hashlib.sha256(str(row.get("answer") or "").encode("utf-8", "surrogatepass")).hexdigest()


def keep(
    reg: Registry,
    scores_sha256: str,
    document: Mapping[str, Any],
    *,
    model_version: str | None = None,
    who: str | None = None,
) -> None:
    """Store a judge.json of these scores; the newest one is shown. Raises UsageError: not JSON."""
    try:
        text = clean(canonical_json(document))
    except (TypeError, ValueError) as e:
        raise UsageError("the judgement is not plain JSON", why=str(e)) from e
    with reg.writing():
        reg.execute(
            "INSERT INTO judgements (scores_sha256, model_version, document, at, who)"
            " VALUES (?, ?, ?, ?, ?)",
            (scores_sha256, model_version, text, utc_now(), clean(who or reg.operator)),
        )
        after = {"judge": document.get("judge"), "prompt": document.get("prompt")}
        audit.append(reg, "answers.judge", model_version or "base", who=who, after=after)


def judgement(reg: Registry, scores_sha256: str) -> dict[str, Any] | None:
    """The newest judge.json of these scores, or None."""
    sql = "SELECT document FROM judgements WHERE scores_sha256 = ? ORDER BY id DESC LIMIT 1"
    row = reg.one(sql, (scores_sha256,))
    found = json.loads(row["document"]) if row is not None else None
    return found if isinstance(found, dict) else None
