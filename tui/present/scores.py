"""The evaluation page: verdict, systems side by side, gates, categories, single answers.

Reads scores.json as it comes; what is missing or of another shape becomes a dash, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from core.evaluation.pages.words import CAUSES, MARKERS
from tui import clean
from tui.present import words
from tui.present.words import field, text

ORDER = ("base", "retrieval", "base+retrieval", "previous", "tuned")
HEADS = {"base+retrieval": "base + pairs"}  # what has no room at the head of a column
METRICS = (
    ("accuracy", "accuracy"),
    ("citation_presence", "citation presence"),
    ("citation_right", "right citation"),
    ("citation_precision", "citation precision"),
    ("citation_recall", "citation recall"),
    ("wrong_but_cited", "wrong but cited"),
    ("fabricated", "fabricated"),
    ("deferral", "deferral"),
    ("false_refusal", "false refusal"),
    ("canaries", "invented"),
    ("confabulated", "confabulated"),
    ("latency_p95", "latency P95"),
    ("probe_facts", "unseen wording"),
)
FACTS = (  # lists of a question row: name, sign, role
    ("matched", "✔", "ok"),
    ("missing", "✘", "bad"),
    ("contradictions", "✘", "bad"),
    ("forbidden", "✘", "bad"),
    ("unsupported", "▲", "warn"),
    ("confabulated", "▲", "warn"),
)
RIGHT = frozenset({"correct", "right", "pass", "ok"})
POOR = 0.5  # unseen wording below this is said loudly

Scores = Mapping[str, Any]
WIDE = 90


def systems(scores: Scores) -> list[str]:
    """Known systems in the page's order, then any other."""
    found = field(scores, "systems")
    names = [str(n) for n in found] if isinstance(found, Mapping) else []
    return [n for n in ORDER if n in names] + sorted(n for n in names if n not in ORDER)


def subject(scores: Scores) -> str:
    """The system that is judged."""
    names = systems(scores)
    candidate = str(field(scores, "candidate") or "tuned")
    return candidate if candidate in names else (names[-1] if names else "")


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
    gates = [str(field(g, "verdict", "")).upper() for g in words.rows(scores, "gates")]
    tally = text()
    for name, label in (("FAIL", "fail"), ("UNDECIDED", "undecided"), ("PASS", "pass")):
        n = gates.count(name)
        if n:
            tally.append("  " if tally.plain else "")
            tally.append(f"{n} {label}", words.verdict(name)[1])
    return words.join(out, tally, width)


def sentences(scores: Scores, limit: int = 4) -> Text | None:
    """What a reader must not miss, one sentence a line; words in capitals are loud."""
    said = [clean.line(x, 300) for x in words.rows(scores, "headline") if x]
    # the first one repeats the verdict and the count of gates
    said = [x for x in said if not x.startswith(clean.line(field(scores, "verdict"), 20) + ":")]
    if not said:
        return _probe(scores)
    out = text()
    for sentence in said[:limit]:
        out.append("\n" if out.plain else "")
        first, dot, rest = sentence.partition(". ")
        if dot and first.isupper():
            out.append("▲ ", "loud")
            out.append(first, "loud")
            out.append(f"  {rest}")
        else:
            out.append("▲ ", "warn")
            out.append(sentence)
    return out


def _probe(scores: Scores) -> Text | None:
    """How trained facts fare in a wording the model has not seen; loud when poor."""
    measures = field(field(scores, "probe"), subject(scores))
    facts = field(measures, "facts")
    estimate = words.number(field(facts, "estimate"))
    if estimate is None:
        return None
    value = f"{interval(facts)} of {words.count(field(facts, 'n'))} facts"
    cited = field(measures, "citation_right")
    tail = f", right source {interval(cited)}" if cited else ""
    if estimate < POOR:
        return text(("▲ UNSEEN WORDING IS POOR  ", "loud"), (value, "strong"), tail)
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


def _cell(measure: object, wide: bool = True) -> Text:
    """` 74 % [67–80]`; without room for it, without the per-cent sign."""
    if isinstance(measure, int | float) and not isinstance(measure, bool):
        return text(f"{words.seconds(measure):>6}")
    value, _, rest = interval(measure).partition(" [")
    if value == "–":
        return text((f"{value:>4}", "faint"))
    shown = f"{value:>6}" if wide else f"{value.removesuffix(' %'):>4}"
    return text(shown, (f" [{rest}" if rest else "", "dim"))


def table(scores: Scores, width: int) -> Text:
    """Metrics down, systems across; at the right the gate, its verdict and, with room, a note.

    Below `WIDE` only what has a gate is shown.
    """
    names = systems(scores)
    if not names:
        return text(("this evaluation holds no system", "dim"))
    wide = width >= WIDE
    first, column, right = (19, 16, 21) if wide else (18, 13, 19)
    if wide:  # five systems fit into 120 columns
        column = max(15, min(column, (width - first - right) // len(names)))
    names = names[-max(1, (width - first - right) // column) :]
    judged = subject(scores)
    head = text(f"{'':<{first}}")
    for name in names:
        head.append(
            f"{clean.line(HEADS.get(name, name), column - 2):<{column}}",
            "title" if name == judged else "dim",
        )
    head.append("gate    verdict" if wide else "gate   verdict", "dim")
    lines = [head]
    gates = [g for g in words.rows(scores, "gates") if isinstance(g, Mapping)]
    left = list(gates)
    for metric, label in METRICS:
        values = [_value(scores, name, metric) for name in names]
        # a second gate on the same metric (the one against retrieval) gets its own line below
        gate = next((g for g in left if g.get("metric") == metric), None)
        if gate is not None:
            left.remove(gate)
        elif not wide or all(v is None for v in values):
            continue
        line = text((f"{label:<{first}}", "" if gate else "dim"))
        for name, value in zip(names, values, strict=True):
            cell = words.fit(_cell(value, wide), column)
            if name == judged:
                cell.stylize("strong")
            line.append_text(cell)
        if gate is not None:
            line.append_text(_judged(gate, wide))
        lines.append(words.fit(line, width))
    for gate in left:
        label = clean.line(gate.get("title") or gate.get("gate") or "", 40)
        room = first + column * len(names) + (8 if wide else 7)
        line = words.fit(text(f"{label}  ", (clean.line(gate.get("detail"), 120), "dim")), room - 1)
        lines.append(words.fit(Text.assemble(line, " ", _judged(gate, wide, target=False)), width))
    return Text("\n").join(lines)


def _value(scores: Scores, system: str, metric: str) -> Any:
    if metric == "probe_facts":
        return field(field(field(scores, "probe"), system), "facts")
    found = field(field(field(scores, "systems"), system), metric)
    return field(field(scores, metric), system) if found is None else found


def _judged(gate: Mapping[str, Any], wide: bool, *, target: bool = True) -> Text:
    word, role = words.verdict(gate.get("verdict"))
    out = text()
    if target:
        bound = clean.line(gate.get("target") or "", 40).partition(" (")[0].replace(" ", "")
        out.append_text(words.fit(text((bound, "dim")), 7))
        out.append(" " if wide else "")
    out.append(f"{word:<13}", role)
    if wide and (note := _note(gate)):
        out.append(note, "dim")
    return out


def _note(gate: Mapping[str, Any]) -> str:
    """What would decide, or what to do; nothing where the gate passes."""
    verdict = str(gate.get("verdict", "")).upper()
    needed = words.number(gate.get("n_needed"))
    if gate.get("waived"):
        return f"accepted: {clean.line(gate['waived'], 200)}"
    if verdict == "UNDECIDED" and needed:
        return f"→ {needed:,.0f} more would decide"
    action = clean.line(gate.get("action") or "", 200)
    return f"→ {action}" if action and verdict in ("FAIL", "UNDECIDED") else ""


def actions(scores: Scores) -> Text:
    """What to do about each gate that does not pass."""
    out = text()
    for gate in words.rows(scores, "gates"):
        if not isinstance(gate, Mapping) or not (note := _note(gate)):
            continue
        word, role = words.verdict(gate.get("verdict"))
        out.append("\n" if out.plain else "")
        out.append(f"{word}  ", role)
        out.append(clean.line(gate.get("title") or gate.get("metric") or "", 40))
        if detail := clean.line(gate.get("detail"), 200):
            out.append(f"\n  {detail}", "dim")
        out.append(f"\n  {note}\n")
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


def causes(scores: Scores, width: int) -> Text | None:
    """Why the judged system's answers fail, most frequent first; None where it was not looked into."""
    found = field(field(scores, "causes"), subject(scores))
    counts = (
        [(str(k), words.number(v) or 0) for k, v in found.items()]
        if isinstance(found, Mapping)
        else []
    )
    counts = sorted(((k, n) for k, n in counts if n > 0), key=lambda row: -row[1])
    if not counts:
        return None
    total = sum(n for _, n in counts)
    out = text()
    for cause, n in counts[:12]:
        title, meaning, helps = CAUSES.get(cause, (clean.line(cause, 40).replace("_", " "), "", ""))
        out.append("\n" if out.plain else "")
        out.append(f"{title:<31} {n:>4,.0f} ", "")
        out.append_text(words.bar(n / total, max(4, min(16, width - 44)), "warn"))
        for part, role in ((meaning, "dim"), (f"→ {helps}" if helps else "", "")):
            if part:
                out.append(f"\n{words.hang(part, width, 2).rstrip()}", role)
    return out


def failures(scores: Scores) -> list[Mapping[str, Any]]:
    """Questions the judged system did not answer rightly, by category then id."""
    found = [
        q
        for q in words.rows(scores, "questions")
        if isinstance(q, Mapping)
        and q.get("system") == subject(scores)
        and str(q.get("grade", "")).lower() not in RIGHT
    ]
    return sorted(found, key=lambda q: (str(q.get("category")), str(q.get("id"))))


def failure_row(question: Mapping[str, Any], width: int) -> Text:
    grade = clean.line(question.get("grade") or "–", 24)
    silent = grade == "not_attempted"
    left = text(("◌ " if silent else "✘ ", "warn" if silent else "bad"))
    left.append(clean.line(question.get("id") or "–", 40))
    short = {"not_attempted": "not tried", "incorrect": "wrong"}.get(grade, grade)
    return words.join(left, text((short, "dim")), width)


def answer(question: Mapping[str, Any]) -> Text:
    """One answer in full: question, answer with its markers coloured by class, what was wrong."""
    category = clean.line(question.get("category") or "", 40).replace("_", " ")
    grade = clean.line(question.get("grade") or "–", 24).replace("_", " ")
    out = text((f"{grade}", "bad"), (f"  {category}", "dim"))
    out.append("  deferred" if question.get("deferred") else "", "dim")
    if question.get("cause"):
        cause = str(question["cause"])
        named = CAUSES[cause][0].lower() if cause in CAUSES else clean.line(cause, 40)
        out.append(f"  {named.replace('_', ' ')}", "warn")
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


def _marked(question: Mapping[str, Any]) -> tuple[Text, list[str]]:
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
