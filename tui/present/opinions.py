"""Second opinions: one answer's label and judge's grade, and how far people, judge and key facts agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from core.evaluation.pages.opinions import sentence
from tui import clean
from tui.desk.api_opinions import OpinionsView
from tui.present import words
from tui.present.answers import SHORT, Question
from tui.present.words import field, text


def label_of(view: OpinionsView, question: Question) -> str:
    found = view.labels.get((str(question.get("system")), str(question.get("id"))))
    return found.label if found and not found.stale else ""


def told(view: OpinionsView, question: Question) -> Text:
    """Who labelled this answer how, and what a judge said; empty where nobody did."""
    key = (str(question.get("system")), str(question.get("id")))
    out = text()
    if found := view.labels.get(key):
        agrees = found.label == question.get("grade")
        out.append("☑ " if agrees else "☒ ", "ok" if agrees else "warn")
        out.append(f"{_word(found.label)}, says {clean.line(found.who, 40)}")
        out.append(f"  {clean.line(found.at, 40)[:16].replace('T', ' ')}", "dim")
        if found.stale:
            out.append("\nstale: the question or its expected answer has changed since", "warn")
    if verdict := view.verdicts.get(key):
        out.append("\n" if out.plain else "")
        out.append(f"a judge model says {_word(verdict)}", "dim")
    return out


def agreement(found: Mapping[str, Any], width: int) -> Text | None:
    """Kappas with n and interval, and the sentence that no gate reads them."""
    if not found:
        return None
    judge = field(found, "judge") or {}
    kappa = field(judge, "kappa") or {}
    out = text()
    for name, value in (
        ("people and key facts", field(found, "facts_people")),
        ("judge and key facts", field(kappa, "key_facts")),
        ("judge and people", field(kappa, "people")),
    ):
        if not isinstance(value, Mapping):
            continue
        out.append(f"{name:<22}kappa ")
        out.append(_kappa(value), "strong")
        out.append(f"  n = {words.count(value.get('n'))}\n", "dim")
    out.append(words.hang(sentence(found), width, 0).rstrip(), "warn" if judge else "dim")
    return out


def _kappa(value: Mapping[str, Any]) -> str:
    k, low, high = (words.number(value.get(x)) for x in ("kappa", "low", "high"))
    if k is None:
        return "–"
    return f"{k:.2f}" if low is None or high is None else f"{k:.2f} [{low:.2f}–{high:.2f}]"


def _word(label: str) -> str:
    return SHORT.get(label, clean.line(label, 24))
