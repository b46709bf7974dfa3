"""Single answers of an evaluation: as a row of a list, and in full with everything said of them.

Reads rows of scores.json as they come; texts in them are hostile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from core.evaluation.pages.words import CAUSES, MARKERS
from tui import clean
from tui.present import words
from tui.present.scores import Scores, subject
from tui.present.words import field, text

FACTS = (  # lists of a question row: name, sign, role
    ("matched", "✔", "ok"),
    ("missing", "✘", "bad"),
    ("contradictions", "✘", "bad"),
    ("forbidden", "✘", "bad"),
    ("unsupported", "▲", "warn"),
    ("confabulated", "▲", "warn"),
)
RIGHT = frozenset({"correct", "right", "pass", "ok"})
SHORT = {"not_attempted": "not tried", "incorrect": "wrong", "correct": "right"}

Question = Mapping[str, Any]


def cause_word(cause: str) -> str:
    """ "never_learned" → "never learned"; "" stays empty."""
    return CAUSES[cause][0].lower() if cause in CAUSES else clean.line(cause, 40).replace("_", " ")


def answered(scores: Scores) -> list[Question]:
    """Every question of the judged system, by category then id."""
    judged = subject(scores)
    found = [
        q
        for q in words.rows(scores, "questions")
        if isinstance(q, Mapping) and q.get("system") == judged
    ]
    return sorted(found, key=lambda q: (str(q.get("category")), str(q.get("id"))))


def is_right(question: Question) -> bool:
    return str(question.get("grade", "")).lower() in RIGHT


def failures(scores: Scores) -> list[Question]:
    """Questions the judged system did not answer rightly."""
    return [q for q in answered(scores) if not is_right(q)]


def row(question: Question, labelled: str, width: int) -> Text:
    """labelled: what a person said of it, "" if nobody did. With room, what was asked."""
    grade = clean.line(question.get("grade") or "–", 24)
    if is_right(question):
        left = text(("✔ ", "ok"))
    else:
        silent = grade == "not_attempted"
        left = text(("◌ " if silent else "✘ ", "warn" if silent else "bad"))
    name = clean.line(question.get("id") or "–", 40)
    left.append(name)
    if width >= 44:
        left.append(" " * max(1, 11 - len(name)))
        left.append(clean.line(question.get("question") or "", 200), "dim")
    right = text()
    if labelled:
        agrees = labelled == grade
        right.append(f"{'☑' if agrees else '☒'} ", "ok" if agrees else "warn")
    right.append(SHORT.get(grade, grade), "dim")
    return words.join(left, right, width)


def answer(question: Question, told: Text | None = None) -> Text:
    """One answer in full: question, answer with its markers coloured by class, what was wrong.

    told: what people and a judge said of it.
    """
    category = clean.line(question.get("category") or "", 40).replace("_", " ")
    grade = clean.line(question.get("grade") or "–", 24).replace("_", " ")
    out = text((f"{grade}", "ok" if is_right(question) else "bad"), (f"  {category}", "dim"))
    out.append("  deferred" if question.get("deferred") else "", "dim")
    if question.get("cause"):
        out.append(f"  {cause_word(str(question['cause']))}", "warn")
    if told is not None and told.plain:
        out.append("\n")
        out.append_text(told)
    if question.get("question"):
        out.append("\n\n")
        out.append(clean.block(question["question"]), "title")
    out.append("\n\n")
    body, classes = _marked(question)
    out.append_text(body)
    for name in classes:
        shape, role, meaning = MARKERS.get(name, ("·", "dim", ""))
        out.append(f"\n\n{shape} " if name == classes[0] else f"\n{shape} ", role)
        out.append(meaning or clean.line(name, 40), "dim")
    if question.get("expected_answer"):
        out.append("\n\nexpected\n", "dim")
        out.append(clean.block(question["expected_answer"]))
    for name, sign, role in FACTS:
        found = question.get(name)
        if isinstance(found, list | tuple) and found:
            out.append(f"\n\n{name}", "dim")
            for fact in found[:20]:
                out.append(f"\n{sign} ", role)
                out.append(clean.line(fact, 300))
    for near in _nearest(question.get("nearest")):
        out.append("\n\nnearest pair\n", "dim")
        out.append(near)
    return out


def _nearest(found: object) -> list[str]:
    """Nearest pairs as the evaluation stored them: a question, or rows with their answers."""
    some = found if isinstance(found, list) else [found]
    out = []
    for pair in some[:3]:
        if isinstance(pair, str) and pair:
            out.append(clean.block(pair))
        elif isinstance(pair, Mapping):
            said = clean.block(pair.get("question") or pair.get("id") or "–")
            out.append(f"{said}\n→ {clean.block(pair['answer'])}" if pair.get("answer") else said)
    return out


def _marked(question: Question) -> tuple[Text, list[str]]:
    """The answer with each marker in its class's colour and sign; the classes met, in order."""
    body = Text(clean.block(question.get("answer") or "") or "(empty answer)", end="")
    classes: list[str] = []
    position = 0
    for marker in words.rows(question, "markers"):
        name = str(field(marker, "class", ""))
        shape, role, _ = MARKERS.get(name, ("·", "dim", ""))
        shown = clean.line(field(marker, "text") or "")
        start = body.plain.find(shown, position) if shown else -1
        if start >= 0:
            position = start + len(shown)
            body.stylize(role, start, position)
            body = Text.assemble(body[:position], (f" {shape}", role), body[position:], end="")
            position += len(shape) + 1
        if name not in classes:
            classes.append(name)
    return body, classes
