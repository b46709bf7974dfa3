"""Rows and details of the Trace screen: answers, what taught them perhaps, corrections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from tui import clean
from tui.desk.api_traces import AnswerRow, AnswersView, CorrectionRow, SuspectRow, TraceView
from tui.present import empty, words
from tui.present.answers import cause_word
from tui.present.marked import answer, legend
from tui.present.words import text

BADNESS = {3: ("▲", "bad"), 2: ("✘", "bad"), 1: ("○", "dim"), 0: ("✔", "ok")}
GRADES = {"correct": ("✔", "ok"), "incorrect": ("✘", "bad"), "not_attempted": ("○", "dim")}
WHY = {"text": "T", "entity": "E", "wording": "Q", "value": "V"}
READING = "The stored answers are being read…"


def heading(name: str, right: str, width: int) -> Text:
    return words.join(text((name, "title")), text((right, "dim")), width)


def hint(said: Text, width: int) -> Text:
    return words.fit(said, width)


def no_answers(give: str, ask: str) -> Text:
    return empty.state(
        "No version was evaluated yet",
        "Its answers stand here then, the worst first.",
        [(give, "trace any answer: paste it"), (ask, "ask a question: the nearest pair answers")],
    )


def answers_word(view: AnswersView) -> str:
    wrong = sum(a.badness == 3 for a in view.answers)
    return f"{len(view.answers)} · {wrong} wrong but cited"


# -- answers


def answer_row(row: AnswerRow, width: int) -> Text:
    shape, role = BADNESS.get(row.badness, ("·", "dim"))
    name = clean.line(row.response, 200).split("/")[1:2] or [clean.line(row.response, 40)]
    left = text((f"{shape} ", role), (f"{name[0]:<10} ", "strong"))
    left.append(clean.line(row.question, 300))
    right = text((cause_word(row.cause), "dim")) if width >= 60 else text()
    return words.join(left, right, width)


def answer_detail(row: AnswerRow, width: int, key: str) -> Text:
    shape, role = BADNESS.get(row.badness, ("·", "dim"))
    out = text((f"{shape} {clean.line(row.word, 40)}", role))
    if row.cause:
        out.append(f"  {cause_word(row.cause)}", "dim")
    out.append("\n")
    out.append(words.hang(clean.line(row.response, 200), width, 0), "dim")
    _part(out, "question", clean.block(row.question, 2000, 20), width)
    _part(out, "answer", clean.block(row.answer, 4000, 60), width)
    out.append(f"\n{key}", "key")
    out.append(" traces it to the pairs", "dim")
    return out


# -- one answer, traced


def traced_row(view: TraceView, width: int) -> Text:
    shape, role = GRADES.get(view.grade, ("●", "accent"))
    left = text((f"{shape} ", role), ("the answer  ", "strong"))
    return words.fit(left.append(clean.line(view.answer, 300), "dim"), width)


def traced_detail(view: TraceView, width: int) -> Text:
    out = text()
    shape, role = GRADES.get(view.grade, ("", ""))
    if shape:
        out.append(f"{shape} {view.grade.replace('_', ' ')}\n", role)
    for label, value in (
        ("response", view.response),
        ("version", f"{view.version or '–'}  ({view.by})"),
        ("base", view.base_model),
        ("snapshot", f"{view.snapshot}  {words.count(view.pairs)} pairs" if view.snapshot else ""),
    ):
        if value:
            field(out, label, value, width)
    for note in view.notes:
        out.append("\n")
        out.append(words.hang("▲ " + clean.line(note, 400), width, 0).rstrip("\n"), "warn")
    if view.notes:
        out.append("\n")
    if view.question:
        _part(out, "question", clean.block(view.question, 2000, 20), width)
    out.append("\nanswer\n", "title")
    out.append_text(answer(view.answer, view.marks))
    out.append("\n")
    out.append_text(legend(view.marks, width))
    if view.expected:
        _part(out, "expected", clean.block(view.expected, 2000, 20), width)
        for shape, role, found in (
            ("✔", "ok", view.matched),
            ("○", "warn", view.missing),
            ("✘", "bad", view.against),
        ):
            for fact in found:
                out.append(f"{shape} ", role)
                out.append(words.hang(clean.line(fact, 300), width, 2).lstrip())
    return out


# -- suspects


def suspect_row(row: SuspectRow, width: int) -> Text:
    shape, role = ("✎", "warn") if row.queued is not None else said(row)[:2]
    why = "".join(letter if kind in _kinds(row) else "·" for kind, letter in WHY.items())
    left = text((f"{shape} ", role), (f"{why} ", "accent"), clean.line(row.question, 300))
    if width >= 60:
        left = words.fit(left, width - 7)
    return words.join(left, text((f"{row.score:.2f}", "dim")), width)


def said(row: SuspectRow) -> tuple[str, str, str]:
    """(shape, role, words): whether the pair itself says what was expected."""
    if row.right:
        return "✔", "ok", "its own answer says the expected facts"
    if "value" in _kinds(row):
        return "▲", "bad", "it states a value of the answer"
    return "○", "dim", ""


def _kinds(row: SuspectRow) -> set[str]:
    return {kind for kind, _ in row.reasons}


def suspect_detail(row: SuspectRow, width: int, keys: tuple[str, str], writable: bool) -> Text:
    out = text((clean.line(row.pair_id, 400), "strong"), "\n")
    if row.queued is not None:
        out.append(f"✎ in the queue: correction {row.queued}\n", "warn")
    out.append("\nwhy it is suspect", "title")
    out.append(f"  {row.score:.2f}\n", "dim")
    for kind, what in row.reasons:
        out.append(f"{WHY.get(kind, '·')} ", "accent")
        out.append(words.hang(clean.line(what, 400), width, 2).lstrip())
    shape, role, verdict = said(row)
    if row.right:
        out.append(words.hang(f"{shape} {verdict}: look at the training first", width, 0), role)
    _part(out, "it asks", clean.block(row.question, 4000, 40), width)
    _part(out, "it says", clean.block(row.answer, 8000, 120), width)
    out.append("\n")
    for label, value in (("domain", row.domain), ("source", row.source), ("from", row.source_ref)):
        field(out, label, value, width)
    if writable:
        out.append(f"\n{keys[0]}", "key")
        out.append(" corrects it   ", "dim")
        out.append(keys[1], "key")
        out.append(" drops it", "dim")
    return out


def correction_page(rows: Sequence[CorrectionRow], width: int, freeze: str, dismiss: str) -> Text:
    """The queue, oldest last."""
    if not rows:
        return empty.state("Nothing is waiting", "Trace an answer, then correct a suspect pair.")
    out = text()
    for c in rows:
        out.append_text(_correction(c, width))
    out.append(f"\n{freeze}", "key")
    out.append(" freezes the next snapshot with them in it\n", "dim")
    out.append(words.hang(dismiss, width, 0), "dim")
    return out


def _correction(c: CorrectionRow, width: int) -> Text:
    out = text((f"{c.id:>3}  ", "dim"), (clean.line(c.pair_id, 200), "strong"), "\n")
    who = f"{clean.line(c.who, 40)}, {words.moment(c.at)}: {clean.line(c.why, 300)}"
    out.append(words.hang(who, width, 5), "dim")
    becomes = "it is left out" if c.answer is None else clean.block(c.answer, 1000, 8)
    out.append(words.hang(becomes, width, 5))
    return out


def correction_row(c: CorrectionRow, width: int) -> Text:
    becomes = "left out" if c.answer is None else "corrected"
    left = text((f"{c.id:>3}  ", "dim"), clean.line(c.pair_id, 200))
    return words.join(left, text((becomes, "dim")), width)


def field(out: Text, label: str, value: str, width: int) -> None:
    out.append(f"{label:<10}", "dim")
    out.append(words.hang(clean.line(value, 400), width, 10).lstrip())


def _part(out: Text, name: str, value: str, width: int) -> None:
    out.append(f"\n{name}\n", "title")
    out.append(words.hang(value, width, 0))


def rows_of(view: TraceView) -> Iterator[tuple[str, SuspectRow]]:
    """(id of the row, suspect). Two contents of one pair are two rows."""
    for n, s in enumerate(view.suspects):
        yield f"suspect {n}", s
