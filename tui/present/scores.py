"""The evaluation page: verdict, systems side by side, gates, categories, single answers.

Reads scores.json as it comes; what is missing or of another shape becomes a dash, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tui import clean
from tui.present import words
from tui.present.words import field, text

ORDER = ("base", "retrieval", "previous", "tuned")
METRICS = (
    ("accuracy", "accuracy"),
    ("citation_presence", "citation presence"),
    ("citation_precision", "citation precision"),
    ("citation_recall", "citation recall"),
    ("fabricated", "fabricated"),
    ("deferral", "deferral"),
    ("false_refusal", "false refusal"),
    ("latency_p95", "latency P95"),
)
RIGHT = frozenset({"correct", "right", "pass", "ok"})
POOR = 0.5  # unseen wording below this is said loudly

MARKERS: Mapping[str, tuple[str, str, str]] = {
    "correct": ("✔", "ok", "right source"),
    "known": ("✔", "ok", "known source"),
    "wrong_entity": ("≠", "warn", "known source, but not of this answer"),
    "stale": ("◷", "warn", "source is out of date"),
    "unknown_entity": ("✘", "bad", "no such source"),
    "unknown_domain": ("✘", "bad", "no such domain"),
    "malformed": ("⚠", "bad", "not a marker by its form"),
}

Scores = Mapping[str, Any]


def systems(scores: Scores) -> list[str]:
    """Known systems in the page's order, then any other."""
    names = [str(n) for n in field(scores, "systems", {}) or {}]
    return [n for n in ORDER if n in names] + sorted(n for n in names if n not in ORDER)


def subject(scores: Scores) -> str:
    """The system that is judged: tuned if there, else the last one."""
    names = systems(scores)
    return "tuned" if "tuned" in names else (names[-1] if names else "")


def headline(scores: Scores, width: int) -> Text:
    """Verdict first, then what was measured."""
    word, role = words.verdict(field(scores, "verdict"))
    out = text((word, f"{'loud' if role == 'bad' else role}"), "   ")
    out.append(words.short_version(field(scores, "version") or "not registered"), "strong")
    golden = field(scores, "golden", {})
    out.append(f"   golden {words.count(field(golden, 'n'))} questions", "dim")
    digest = clean.line(field(golden, "sha256") or "", 80)
    if digest and width >= 100:
        out.append(f" {digest[:12]}", "faint")
    gates = [str(field(g, "verdict", "")).upper() for g in field(scores, "gates", []) or []]
    tally = text()
    for name, label in (("FAIL", "fail"), ("UNDECIDED", "undecided"), ("PASS", "pass")):
        n = gates.count(name)
        if n:
            tally.append("  " if tally.plain else "")
            tally.append(f"{n} {label}", words.verdict(name)[1])
    return words.join(out, tally, width)


def probe(scores: Scores) -> Text | None:
    """How trained facts fare in a wording the model has not seen; loud when poor."""
    measures = field(field(scores, "probe"), subject(scores))
    facts = field(measures, "facts")
    estimate = words.number(field(facts, "estimate"))
    if estimate is None:
        return None
    n = f" of {words.count(field(facts, 'n'))} facts"
    value = f"{interval(facts)}{n}"
    cited = field(measures, "citation_right")
    tail = f", right source {interval(cited)}" if cited else ""
    if estimate < POOR:
        return text(
            ("▲ UNSEEN WORDING IS POOR  ", "loud"),
            (value, "strong"),
            (f"{tail}: trained facts asked in new words are mostly missed", ""),
        )
    return text(("✔ unseen wording  ", "ok"), value, (tail, "dim"))


def interval(measure: object, *, width: bool = False) -> str:
    """`74 [67–80]` in per cent, or a dash."""
    estimate = words.number(field(measure, "estimate") if isinstance(measure, Mapping) else None)
    if estimate is None or not isinstance(measure, Mapping):
        return "–"
    low, high = words.number(measure.get("low")), words.number(measure.get("high"))
    value = f"{estimate * 100:.0f} %"
    if low is None or high is None:
        return value
    return f"{value} [{low * 100:.0f}–{high * 100:.0f}]"


def _cell(measure: object) -> Text:
    if isinstance(measure, int | float) and not isinstance(measure, bool):
        return text(words.seconds(measure))
    if not isinstance(measure, Mapping) or words.number(measure.get("estimate")) is None:
        return text(("–", "faint"))
    value, _, rest = interval(measure).partition(" [")
    return text(f"{value:>5}", (f" {'[' + rest if rest else '':<9}", "dim"))


def table(scores: Scores, width: int) -> Text:
    """Metrics down, systems across, gates and actions at the right where there is room."""
    names = systems(scores)
    gates = {str(field(g, "metric")): g for g in field(scores, "gates", []) or []}
    if not names:
        return text(("this evaluation holds no system", "dim"))
    first, column = (18, 16) if width >= 90 else (18, 15)
    names = names[-max(1, (width - first - 24) // column) :]
    judged = subject(scores)
    head = text(" " * first)
    for name in names:
        label = clean.line(name, column - 2)
        head.append(f"{label:<{column}}", "title" if name == judged else "dim")
    head.append(f"{'gate':<8}verdict", "dim")
    lines = [head]
    shown = list(METRICS) + [(m, m) for m in gates if m not in dict(METRICS)]
    for metric, label in shown:
        values = [field(field(scores["systems"], n), metric) for n in names]
        gate = gates.get(metric)
        if gate is None and all(_cell(v).plain.strip() == "–" for v in values):
            continue
        line = text((f"{clean.line(label, first - 1):<{first}}", "" if gate else "dim"))
        for name, value in zip(names, values, strict=True):
            cell = words.fit(_cell(value), column)
            if name == judged:
                cell.stylize("strong")
            line.append_text(cell)
        if gate is not None:
            word, role = words.verdict(field(gate, "verdict"))
            line.append(f"{target(gate):<8}", "dim")
            line.append(f"{word:<13}", role)
            note = _gate_note(gate)
            if width >= 110 and note:
                line.append(note, "dim")
        lines.append(words.fit(line, width))
    return Text("\n").join(lines)


def target(gate: object) -> str:
    """The bound as the design writes it: ≥95, ≤1, <1.5 s."""
    value = field(gate, "target")
    if isinstance(value, str):
        return clean.line(value, 8)
    x = words.number(value)
    if x is None:
        return ""
    metric = str(field(gate, "metric", ""))
    if metric.startswith("latency"):
        return f"<{x:g} s"
    sign = "≤" if metric in ("fabricated", "false_refusal") else "≥"
    return f"{sign}{x * 100:.0f} %" if x <= 1 else f"{sign}{x:g}"


def _gate_note(gate: object) -> str:
    verdict = str(field(gate, "verdict", "")).upper()
    if verdict == "UNDECIDED":
        needed = words.number(field(gate, "n_needed"))
        if needed:
            return f"→ {needed:,.0f} answers would decide"
    if verdict == "FAIL":
        action = clean.line(field(gate, "action") or "", 200)
        return f"→ {action}" if action else ""
    return ""


def actions(scores: Scores) -> Text:
    """What to do about each gate that does not pass."""
    out = text()
    for gate in field(scores, "gates", []) or []:
        note = _gate_note(gate)
        if note:
            word, role = words.verdict(field(gate, "verdict"))
            out.append("\n" if out.plain else "")
            out.append(f"{word:<13}", role)
            out.append(f"{clean.line(field(gate, 'metric') or '', 30)} ", "")
            out.append(note, "dim")
    return out


def comparison(scores: Scores) -> Text | None:
    """`below retrieval on accuracy: p = 0.0004 (31 : 7)`."""
    found = field(field(scores, "comparisons", {}), "tuned_vs_retrieval")
    p, wins, losses = (words.number(field(found, k)) for k in ("p_value", "wins", "losses"))
    if p is None or wins is None or losses is None:
        return None
    metric = clean.line(field(found, "metric") or "accuracy", 30)
    if p >= 0.05:
        out = text(("◌ tuned and retrieval cannot be told apart", "unsure"))
    elif wins > losses:
        out = text(("✔ tuned beats retrieval", "ok"))
    else:
        out = text(("✘ tuned is below retrieval", "bad"))
    shown = f"{p:.3f}" if p >= 0.001 else words.measured(p)
    out.append(f" on {metric}: {wins:.0f} won, {losses:.0f} lost, p = {shown}", "dim")
    return out


def categories(scores: Scores, width: int) -> Text:
    """Accuracy by question category of the judged system, with its bar."""
    rows = field(field(scores, "categories", {}), subject(scores), {}) or {}
    out = text()
    for name, measure in rows.items() if isinstance(rows, Mapping) else ():
        share = words.number(field(measure, "estimate"))
        role = "ok" if (share or 0) >= 0.9 else "warn" if (share or 0) >= 0.5 else "bad"
        out.append("\n" if out.plain else "")
        out.append(f"{clean.line(name, 40).replace('_', ' '):<18}")
        out.append_text(words.bar(share, max(4, min(16, width - 36)), role))
        out.append(f" {interval(measure):>5}", "dim")
    return out if out.plain else text(("no categories in this evaluation", "dim"))


def failures(scores: Scores) -> list[Mapping[str, Any]]:
    """Questions the judged system did not answer rightly, by category then id."""
    found = [
        q
        for q in field(scores, "questions", []) or []
        if isinstance(q, Mapping)
        and q.get("system") == subject(scores)
        and str(q.get("grade", "")).lower() not in RIGHT
    ]
    return sorted(found, key=lambda q: (str(q.get("category")), str(q.get("id"))))


def failure_row(question: Mapping[str, Any], width: int) -> Text:
    grade = clean.line(question.get("grade") or "–", 24)
    role = "warn" if grade == "partial" else "bad"
    shape = "▲" if grade == "partial" else "✘"
    left = text((f"{shape} ", role), clean.line(question.get("id") or "–", 40))
    return words.join(left, text((grade.replace("_", " "), "dim")), width)


def answer(question: Mapping[str, Any]) -> Text:
    """One answer in full, its markers coloured and signed by class."""
    category = clean.line(question.get("category") or "", 40).replace("_", " ")
    grade = clean.line(question.get("grade") or "–", 24).replace("_", " ")
    out = text((clean.line(question.get("id") or "–", 40), "strong"), (f"   {category}   ", "dim"))
    out.append(grade, "bad")
    out.append("   deferred\n\n" if question.get("deferred") else "\n\n", "dim")
    if question.get("question"):
        out.append(clean.block(question["question"]) + "\n\n", "title")
    body = Text(clean.block(question.get("answer") or "") or "(empty answer)", end="")
    classes: list[str] = []
    position = 0
    for marker in question.get("markers") or []:
        name = str(field(marker, "class", ""))
        shape, role, _ = MARKERS.get(name, ("·", "dim", ""))
        shown = clean.line(field(marker, "text") or "")
        start = body.plain.find(shown, position) if shown else -1
        if start >= 0:
            position = start + len(shown)
            body.stylize(role, start, position)
            body = Text.assemble(body[:position], (shape, role), body[position:], end="")
            position += len(shape)
        if name not in classes:
            classes.append(name)
    out.append_text(body)
    for name in classes:
        shape, role, meaning = MARKERS.get(name, ("·", "dim", ""))
        out.append(f"\n\n{shape} " if name == classes[0] else f"\n{shape} ", role)
        out.append(meaning or clean.line(name, 40), "dim")
    if question.get("expected_answer"):
        out.append("\n\nexpected\n", "title")
        out.append(clean.block(question["expected_answer"]))
    return out
