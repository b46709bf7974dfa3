"""The GO / NO-GO page from scores.json alone: Markdown for `rich`, plain text of 100 columns.

Verdict first, then what a reader must not miss, the systems side by side, the gates with what to do,
the incumbent, unseen wording, and the worst answers in full view. Pure functions; answers are
hostile text and are shown as such.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 100
WORST = 8
SIGNS = {"PASS": "✔", "FAIL": "✘", "UNDECIDED": "◌", "GO": "✔", "NO-GO": "✘"}
ROWS = (
    ("accuracy", "Answer accuracy"),
    ("citation_presence", "Citation presence"),
    ("citation_precision", "Citation precision"),
    ("citation_recall", "Citation recall"),
    ("fabricated", "Fabricated citations"),
    ("deferral", "Refusal accuracy"),
    ("right_tool", "Right tool named"),
    ("false_refusal", "False refusals"),
    ("wrong_but_cited", "Wrong but cited"),
    ("unsupported", "Unsupported numbers"),
)
TITLES = {
    "resource_specs": "resource specs",
    "edge_cases": "edge cases",
}
Scores = Mapping[str, Any]


def render(s: Scores) -> str:
    """The page as Markdown."""
    out = [f"# {_title(s)}", ""]
    out += [f"**{_escape(line)}**\n" for line in s["headline"][1:]]
    out += ["## Systems on the same questions", "", *_markdown_table(_systems_table(s)), ""]
    out += [f"{line}\n" for line in _systems_notes(s)]
    out += ["## Gates", "", *_markdown_table(_gates_table(s)), ""]
    out += [f"- {_escape(line)}" for line in _actions(s)]
    out += ["", "## Categories", "", *_markdown_table(_category_table(s)), ""]
    out += ["## Against the nearest stored answer", "", _escape(_retrieval_line(s)), ""]
    out += ["## Unseen wording of trained facts", ""]
    out += [f"{_escape(line)}\n" for line in _probe_lines(s)]
    worst = worst_answers(s)
    out += [f"## Worst answers ({len(worst)} shown)", ""]
    for row in worst:
        out.append(f"- {_escape(_one_line(row['question'], 160))}")
        out += [f"    - {label}: {_escape(text)}" for label, text in _answer_lines(row)]
    if not worst:
        out.append("None is wrong.")
    out += ["", "## What was measured", ""]
    out += [f"- {_escape(line)}" for line in _facts(s)]
    return "\n".join(out) + "\n"


def render_text(s: Scores, width: int = WIDTH) -> str:
    """The page as plain text of at most `width` columns."""
    out = [_title(s), "=" * min(width, _columns(_title(s))), ""]
    for line in s["headline"][1:]:
        out += _wrap(line, width, "!! ", "   ")
    out += ["", *_text_table(_systems_table(s), width)]
    for line in _systems_notes(s):
        out += _wrap(line, width)
    out += ["", "GATES", *_text_table(_gates_table(s), width)]
    for line in _actions(s):
        out += _wrap(line, width, "  → ", "    ")
    out += ["", "CATEGORIES (accuracy)", *_text_table(_category_table(s), width)]
    out += ["", "AGAINST THE NEAREST STORED ANSWER", *_wrap(_retrieval_line(s), width, "  ", "  ")]
    out += ["", "UNSEEN WORDING OF TRAINED FACTS"]
    for line in _probe_lines(s):
        out += _wrap(line, width, "  ", "  ")
    worst = worst_answers(s)
    out += ["", "WORST ANSWERS"]
    for row in worst:
        out += _wrap(_one_line(row["question"], 160), width, "  ? ", "    ")
        for label, said in _answer_lines(row):
            out += _wrap(f"{label}: {said}", width, "    ", "      ")
    if not worst:
        out.append("  None is wrong.")
    out += ["", "WHAT WAS MEASURED"]
    for line in _facts(s):
        out += _wrap(line, width, "  ", "  ")
    return "\n".join(line.rstrip() for line in out) + "\n"


def worst_answers(s: Scores, n: int = WORST) -> list[dict[str, Any]]:
    """The candidate's bad answers, those that would do most harm first: forbidden texts, then wrong
    ones whose citation looks right, then fabricated citations, then all other wrong ones, then
    refusals. No category fills the list while others have any.
    """

    def harm(row: Mapping[str, Any]) -> tuple[int, int, int, str]:
        classes = [m["class"] for m in row["markers"]]
        fabricated = _fabricates(row)
        plausible = any(c in ("correct", "wrong_entity", "stale") for c in classes)
        wrong = row["grade"] == "incorrect"
        kind = 8 * bool(row["forbidden"]) + 4 * (wrong and plausible) + 2 * fabricated + wrong
        return (-kind, -len(row["contradictions"]), -len(row["unsupported"]), row["id"])

    bad = [
        dict(r)
        for r in s["questions"]
        if r["system"] == s["candidate"] and (r["grade"] != "correct" or _fabricates(r))
    ]
    ordered = sorted(bad, key=harm)
    share = max(1, n // max(1, len({r["category"] for r in ordered})))
    seen: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    for row in ordered:
        seen[row["category"]] += 1
        (first if seen[row["category"]] <= share else later).append(row)
    return sorted((first + later)[:n], key=harm)


def _fabricates(row: Mapping[str, Any]) -> bool:
    return any(m["class"] in ("unknown_domain", "unknown_entity") for m in row["markers"])


# ── the parts ───────────────────────────────────────────────────────────────────────────────────


def _title(s: Scores) -> str:
    sign = SIGNS.get(s["verdict"], "◌")
    name = s["version"] or s["candidate"]
    summary = s["headline"][0].partition(": ")[2]
    return _one_line(f"{sign} {s['verdict']} · {name} · {summary}", 160)


def _columns_of(s: Scores) -> list[str]:
    """Baselines first, the candidate last."""
    names = list(s["systems"])
    return [n for n in names if n != s["candidate"]] + [s["candidate"]]


def _systems_table(s: Scores) -> list[list[str]]:
    names = _columns_of(s)
    gates = {g["metric"]: g for g in s["gates"] if g["gate"] != "retrieval"}
    table = [["", *names, "target", "verdict"]]
    for metric, title in ROWS:
        row = [title, *(_percent(s["systems"][n][metric]) for n in names)]
        table.append(row + _gate_cells(gates.get(metric)))
    if s.get("probe"):
        for metric, title in (
            ("facts", "Facts, unseen wording"),
            ("citation_right", "Citation right, unseen"),
        ):
            cells = [_percent(s["probe"].get(n, {}).get(metric)) for n in names]
            table.append([title, *cells, *_gate_cells(gates.get(f"probe_{metric}"))])
    latency = [_seconds(s["systems"][n]) for n in names]
    return [*table, ["Latency P50 / P95", *latency, *_gate_cells(gates.get("latency_p95"))]]


def _gate_cells(gate: Mapping[str, Any] | None) -> list[str]:
    if gate is None:
        return ["", ""]
    return [gate["target"].partition(" (")[0], f"{SIGNS[gate['verdict']]} {gate['verdict']}"]


def _systems_notes(s: Scores) -> list[str]:
    counts = ", ".join(f"{n} {s['systems'][n]['latency_n']}" for n in _columns_of(s))
    return [
        "Per cent with 95 % Wilson intervals. Fabricated citations stay in every denominator; a "
        "question without an answer counts as not attempted.",
        f"Latency: asked one at a time on the host of this evaluation (n: {counts}); it is not the "
        "latency of a server under load.",
    ]


def _gates_table(s: Scores) -> list[list[str]]:
    table = [["gate", "verdict", "estimate", "target", "to decide"]]
    for g in s["gates"]:
        table.append(
            [
                g["title"],
                f"{SIGNS[g['verdict']]} {g['verdict']}" + (" (waived)" if g["waived"] else ""),
                _estimate(g),
                g["target"],
                _needed(g),
            ]
        )
    return table


def _estimate(g: Mapping[str, Any]) -> str:
    if g["estimate"] is None:
        return "not measured"
    if g["gate"] == "retrieval":
        return f"{g['estimate'] * 100:+.0f} points"
    if g["metric"] == "latency_p95":
        high = "…" if g["high"] is None else f"{g['high']:.2f}"
        low = "…" if g["low"] is None else f"{g['low']:.2f}"
        return f"{g['estimate']:.2f} s [{low}–{high}]"
    return f"{_percent(g)} n={g['n']}"


def _needed(g: Mapping[str, Any]) -> str:
    if g["verdict"] != "UNDECIDED":
        return ""
    if g["n"] == 0:
        return "measure it"
    return f"{g['n_needed']:,} more" if g["n_needed"] else "more will not"


def _actions(s: Scores) -> list[str]:
    """What to do about every gate that does not pass."""
    return list(s["reasons"]) or ["Every gate passes."]


def _category_table(s: Scores) -> list[list[str]]:
    names = _columns_of(s)
    categories = list(s["categories"][s["candidate"]])
    rows = [
        [TITLES.get(c, c), *(_percent(s["categories"][n].get(c)) for n in names)]
        for c in categories
    ]
    return [["", *names], *rows]


def _retrieval_line(s: Scores) -> str:
    c = s["comparisons"].get(f"{s['candidate']}_vs_retrieval")
    if c is None:
        return "The retrieval column is missing. GO is blocked until it is measured."
    text = (
        f"On {c['n']} questions {s['candidate']} is right where retrieval is wrong on {c['wins']}, "
        f"and wrong where retrieval is right on {c['losses']}: p = {c['p_value']:.2g} (exact "
        "McNemar). "
    )
    if c["p_value"] < 0.05:
        worse = "Fine-tuning does not yet pay for itself on this set."
        text += worse if c["losses"] > c["wins"] else "Fine-tuning is better on this set."
    else:
        text += "No difference is shown either way."
        if c["detectable"] is not None:
            text += (
                f" True differences below {c['detectable'] * 100:.0f} points would not show here."
            )
    if s.get("stated_reason"):
        text += f" Stated reason for going on: {s['stated_reason']}"
    return text


def _probe_lines(s: Scores) -> list[str]:
    if not s.get("probe"):
        return ["Not measured: this evaluation was given no probe."]
    out = []
    for name in _columns_of(s):
        p = s["probe"].get(name)
        if p is not None:
            out.append(
                f"{name}: facts right {_percent(p['facts'])}, right source cited "
                f"{_percent(p['citation_right'])}, right source and wrong fact "
                f"{_percent(p['wrong_fact_right_citation'])} of {p['facts']['n']} questions"
            )
    return out


def _answer_lines(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = [
        ("wanted", _one_line(row["expected_answer"], 200)),
        ("says", _one_line(row["answer"], 300) or "(nothing)"),
    ]
    why = [*(f"forbidden: {t}" for t in row["forbidden"]), *row["contradictions"]]
    why += [f"missing: {t}" for t in row["missing"]]
    if row["unsupported"]:
        why.append("unsupported: " + ", ".join(row["unsupported"][:6]))
    marks = [f"{m['text']} {m['class'].replace('_', ' ')}" for m in row["markers"][:4]]
    lines.append(("why", _one_line("; ".join([*why, *marks]), 300)))
    return lines


def _facts(s: Scores) -> list[str]:
    about = s["about"]
    out = [f"golden set {s['golden']['sha256'][:12]}, {s['golden']['n']} questions"]
    if s.get("probe_set"):
        out.append(f"probe {s['probe_set']['sha256'][:12]}, {s['probe_set']['n']} questions")
    for name, system in about.get("systems", {}).items():
        keys = ("base_model", "adapter", "dtype", "pairs", "answers")
        parts = [f"{k} {_short(system[k])}" for k in keys if system.get(k)]
        out.append(f"{name}: " + ", ".join([*parts, *system.get("notes", [])]))
    rules = sorted({r["rule"] for r in s["questions"]})
    out.append("graded by: " + ", ".join(rules))
    return out


# ── cells ───────────────────────────────────────────────────────────────────────────────────────


def _percent(m: Mapping[str, Any] | None) -> str:
    """ "61 [53–68]" in per cent; "–" where nothing was measured."""
    if m is None or m["estimate"] is None:
        return "–"
    return f"{m['estimate'] * 100:.0f} [{m['low'] * 100:.0f}–{m['high'] * 100:.0f}]"


def _seconds(system: Mapping[str, Any]) -> str:
    p50, p95 = system["latency_p50"], system["latency_p95"]
    if p95 is None:
        return "–"
    return f"{_s(p50)} / {_s(p95)} s"


def _s(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds >= 0.01 else f"{seconds:.4f}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_short, value))
    text = str(value)
    return text[:12] if len(text) == 64 else text


def _one_line(text: str, limit: int) -> str:
    """Hostile text on one line: control and direction characters out, length bounded."""
    text = text[: limit * 4]
    clean = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|~!" else c for c in text)


def _markdown_table(table: Sequence[Sequence[str]]) -> list[str]:
    head, *rows = [[_escape(cell) or " " for cell in row] for row in table]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _text_table(table: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned columns; cells are cut where the table would be wider than the page."""
    widths = [max(_columns(row[i]) for row in table) for i in range(len(table[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 6:
        widths[widths.index(max(widths))] -= 1
    return [
        "  ".join(_fit(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _fit(cell: str, width: int) -> str:
    if _columns(cell) > width:
        cell = cell[: width - 1] + "…"
    return cell + " " * (width - _columns(cell))


def _columns(text: str) -> int:
    """Terminal columns: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _wrap(line: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most `width` columns; counts wide characters as two by halving the room."""
    room = width if _columns(line) == len(line) else width // 2
    return textwrap.wrap(
        line, room, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first.rstrip()]
