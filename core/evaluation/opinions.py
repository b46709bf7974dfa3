"""People's labels and a judge's verdicts beside the key-fact grades: how far they agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.evaluation.judge import ENOUGH_LABELS, TRUSTED, VERDICTS, Verdict, agreement, summary

Key = tuple[str, str]


def opinions(
    scores: Mapping[str, Any],
    labels: Mapping[Key, Verdict],
    judgement: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """{labels, needed, threshold, facts_people, judge}; empty where there is neither label nor judge.

    labels: (system, id) → a person's grade.  judgement: a judge.json of the same scores; its kappas
    are taken again, since labels may have come after it.  facts_people: of the key facts with people.
    judge: {judge, prompt, temperature, judged_at, systems, kappa: {key_facts, people}, trusted, unread}.
    """
    rows = [
        r
        for r in scores.get("questions") or ()
        if isinstance(r, Mapping)
        and all(isinstance(r.get(k), str) for k in ("system", "id", "grade"))
    ]
    own = str(scores.get("candidate") or "tuned")
    texts: dict[
        tuple[str, str], tuple[str, Verdict]
    ] = {}  # an answer that two systems gave counts once
    for r in sorted(rows, key=lambda r: r["system"] != own):
        if (key := _key(r)) in labels:
            texts.setdefault((r["id"], str(r.get("answer"))), (str(r["grade"]), labels[key]))
    labelled = list(texts.values())
    if not labelled and not judgement:
        return {}
    facts = agreement([a for a, _ in labelled], [b for _, b in labelled])
    return {
        "labels": len(labelled),
        "needed": ENOUGH_LABELS,
        "threshold": TRUSTED,
        "facts_people": asdict(facts) if labelled else None,
        "judge": _judge(rows, labels, judgement) if judgement else None,
    }


def _judge(
    rows: list[Mapping[str, Any]], labels: Mapping[Key, Verdict], document: Mapping[str, Any]
) -> dict[str, Any]:
    verdicts: dict[Key, Verdict | None] = {}
    for system, said in _mapping(document.get("verdicts")).items():
        for name, verdict in _mapping(said).items():
            verdicts[str(system), str(name)] = verdict if verdict in VERDICTS else None
    again = summary(rows, verdicts, labels)
    told = {k: document.get(k) for k in ("judge", "prompt", "temperature", "judged_at")}
    return {
        **told,
        **{k: again[k] for k in ("systems", "kappa", "trusted")},
        "unanswered": len(_mapping(document.get("unanswered"))),
    }


def _key(row: Mapping[str, Any]) -> Key:
    return str(row["system"]), str(row["id"])


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
