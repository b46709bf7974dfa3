"""The evaluation page: verdict, systems side by side, gates, categories, single answers.

Reads scores.json as it comes; what is missing or of another shape becomes a dash, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from core.evaluation.pages.words import CAUSES
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
POOR = 0.5  # unseen wording below this is said loudly

Scores = Mapping[str, Any]
WIDE = 90
NOTED = 24  # cells: with fewer, what to do about a gate is not begun in its row
NARROW_HEADS = {"base+retrieval": "base+pairs"}


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


def table(scores: Scores, width: int, *, brief: bool = False) -> Text:
    """Metrics down, systems across; at the right the gate, its verdict and, with room, a note.

    brief, and below `WIDE`: only what has a gate is shown.
    """
    names = systems(scores)
    if not names:
        return text(("this evaluation holds no system", "dim"))
    wide = width >= WIDE
    first, column, right = (19, 16, 21) if wide else (18, 13, 19)
    if wide:  # five systems fit into 120 columns
        column = max(15, min(column, (width - first - right) // len(names)))
    judged = subject(scores)
    names = _chosen(names, judged, max(1, (width - first - right) // column))
    heads = HEADS if wide else NARROW_HEADS
    head = text(f"{'':<{first}}")
    for name in names:
        head.append(
            f"{clean.line(heads.get(name, name), column - 2):<{column}}",
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
        elif brief or not wide or all(v is None for v in values):
            continue
        line = text((f"{label:<{first}}", "" if gate else "dim"))
        for name, value in zip(names, values, strict=True):
            cell = words.fit(_cell(value, wide), column)
            if name == judged:
                cell.stylize("strong")
            line.append_text(cell)
        if gate is not None:
            room = width - first - column * len(names) - 21
            line.append_text(_judged(gate, wide, noted=room >= NOTED))
        lines.append(words.fit(line, width))
    for gate in left:
        label = clean.line(gate.get("title") or gate.get("gate") or "", 40)
        room = first + column * len(names) + (8 if wide else 7)
        line = words.fit(text(f"{label}  ", (clean.line(gate.get("detail"), 120), "dim")), room - 1)
        said = _judged(gate, wide, target=False, noted=width - room - 13 >= NOTED)
        lines.append(words.fit(Text.assemble(line, " ", said), width))
    return Text("\n").join(lines)


def _chosen(names: list[str], judged: str, room: int) -> list[str]:
    """Those that fit, in their order: what it is held against first."""
    weight = {judged: 0, "retrieval": 1, "previous": 2, "base": 3, "base+retrieval": 4}
    kept = sorted(names, key=lambda n: weight.get(n, 5))[:room]
    return [n for n in names if n in kept]


def _value(scores: Scores, system: str, metric: str) -> Any:
    if metric == "probe_facts":
        return field(field(field(scores, "probe"), system), "facts")
    found = field(field(field(scores, "systems"), system), metric)
    return field(field(scores, metric), system) if found is None else found


def _judged(
    gate: Mapping[str, Any], wide: bool, *, target: bool = True, noted: bool = True
) -> Text:
    word, role = words.verdict(gate.get("verdict"))
    out = text()
    if target:
        bound = clean.line(gate.get("target") or "", 40).partition(" (")[0].replace(" ", "")
        out.append_text(words.fit(text((bound, "dim")), 7))
        out.append(" " if wide else "")
    out.append(f"{word:<13}", role)
    if wide and noted and (note := _note(gate)):
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
