"""The sections of figures: systems side by side, gates, and the incumbent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.evaluation.pages import words
from core.evaluation.pages.fields import (
    DASH,
    SIGNS,
    candidate,
    columns,
    count,
    interval,
    mapping,
    number,
    of,
    one_line,
    probability,
    rows,
    seconds,
    share,
    system_name,
)
from core.evaluation.pages.model import (
    Bar,
    Block,
    Line,
    Para,
    Picture,
    Points,
    Role,
    Section,
    Spans,
    Table,
    line,
)
from core.evaluation.pages.verdict import against_retrieval, named_action, target_of

Scores = Mapping[str, Any]
ROLES: Mapping[str, Role] = {"PASS": "ok", "FAIL": "bad", "UNDECIDED": "unsure"}
MOST_SYSTEMS, MOST_GATES = 8, 40
NOTHING = line((DASH, "dim"))


def verdict_cell(gate: Mapping[str, Any]) -> Line:
    word = one_line(gate.get("verdict") or DASH, 12)
    cell = line((f"{SIGNS.get(word, '·')} {word}", ROLES.get(word, "dim")))
    return (
        line(cell, (f"accepted: {one_line(gate['waived'], 200)}", "small"))
        if gate.get("waived")
        else cell
    )


def measure(m: object) -> Line:
    """Estimate with its interval, and the counts below."""
    m = mapping(m)
    if number(m.get("estimate")) is None:
        return NOTHING
    span = interval(m)
    return line(
        (f"{share(m['estimate'])} %", "strong"),
        (f" {span}" if span else "", "dim"),
        (of(m), "count"),
    )


def value(s: Scores, system: str, metric: str) -> Mapping[str, Any]:
    """A metric of a system, wherever the file keeps it."""
    found = mapping(mapping(s.get("systems")).get(system)).get(metric)
    return mapping(found) or mapping(mapping(s.get(metric)).get(system))


# ── systems ─────────────────────────────────────────────────────────────────────────────────────


def systems(s: Scores) -> Iterator[Section]:
    names = columns(s)[-MOST_SYSTEMS:]
    if not names:
        return
    own = candidate(s)
    gates = {str(g.get("metric")): g for g in _gates(s) if g.get("gate") != "retrieval"}
    judged, others = [], []
    for key, title, cells in _metrics(s, names):
        gate = gates.get(key)
        if gate is not None:
            judged.append((line(title), *cells, *_gate_cells(gate)))
        else:
            others.append((line(title), *cells))
    shown = tuple(system_name(n, own) for n in names)
    chosen = names.index(own) + 1 if own in names else None
    known = [
        line((f"{system_name(n, own)}: ", "strong"), words.SYSTEMS[n])
        for n in names
        if n in words.SYSTEMS and n != own
    ]
    notes = [line("Per cent with 95 % Wilson intervals. Fabricated citations stay in every"
                  " denominator; a question without an answer counts as not attempted.")]  # fmt: skip
    latencies = [(n, count(_system(s, n).get("latency_n"))) for n in names]
    if any(n for _, n in latencies):
        asked = ", ".join(f"{system_name(name, own)} {n}" for name, n in latencies)
        notes.append(line(f"Latency: asked one at a time on the host of this evaluation"
                          f" (n: {asked}); not that of a server under load."))  # fmt: skip
    blocks: list[Block] = []
    if judged:
        blocks.append(Table(("", *shown, "target", "verdict"), tuple(judged), chosen=chosen))
    if known:
        blocks.append(Points(tuple(known)))
    if others:
        blocks.append(Table(("not judged by a gate", *shown), tuple(others), chosen=chosen))
    blocks += [Para(n) for n in notes]
    blocks += _two_by_two(s, names, own)
    yield Section("Systems on the same questions", tuple(blocks))


def _metrics(s: Scores, names: list[str]) -> Iterator[tuple[str, str, list[Line]]]:
    """Key, title and a cell for each system, of what at least one system has."""
    for metric, title in words.METRICS:
        found = [value(s, n, metric) for n in names]
        if any(found):
            yield metric, title, [measure(m) for m in found]
    probe = mapping(s.get("probe"))
    for metric, title in words.PROBE:
        found = [mapping(mapping(probe.get(n)).get(metric)) for n in names]
        if any(found):
            yield f"probe_{metric}", title, [measure(m) for m in found]
    for metric, title in words.SECONDS:
        cells = [_latency(_system(s, n), metric) for n in names]
        if any(c != NOTHING for c in cells):
            yield metric, title, cells


def _latency(system: Mapping[str, Any], metric: str) -> Line:
    x = number(system.get(metric))
    if x is None:
        return NOTHING
    low, high = (number(system.get(f"{metric}_{end}")) for end in ("low", "high"))
    span = ""
    if low is not None or high is not None:
        ends = ["…" if e is None else seconds(e).removesuffix(" s") for e in (low, high)]
        span = f" [{ends[0]}–{ends[1]}]" if ends[0] != ends[1] else ""
    return line((seconds(x), "strong"), (span, "dim"))


def _gate_cells(gate: Mapping[str, Any] | None) -> tuple[Line, Line]:
    if gate is None:
        return line(""), line("")
    return line(one_line(gate.get("target") or "", 40).partition(" (")[0]), verdict_cell(gate)


def _two_by_two(s: Scores, names: list[str], own: str) -> list[Block]:
    table = mapping(s.get("deferral_table"))
    keys = ("deferred_right", "answered_wrongly", "false_refusals", "answered")
    body = [
        (line(system_name(n, own)), *(line(f"{count(mapping(table[n]).get(k)):,}") for k in keys))
        for n in names
        if mapping(table.get(n))
    ]
    if not body:
        return []
    head = ("", "handed over, rightly", "answered, wrongly", "refused, wrongly", "answered")
    return [
        Para(line(("Refusals. ", "strong"), "Left: questions that need live data. Right: questions"
                  " that it should answer.")),
        Table(head, tuple(body)),
    ]  # fmt: skip


def _system(s: Scores, name: str) -> Mapping[str, Any]:
    return mapping(mapping(s.get("systems")).get(name))


# ── gates ───────────────────────────────────────────────────────────────────────────────────────


def gates(s: Scores) -> Iterator[Section]:
    found = _gates(s)
    if not found:
        return
    blocks: list[Block] = []
    spans = _spans(found)
    if spans:
        text = "; ".join(f"{r[0]} {r[1]} at {share(r[2].estimate)} %" for r in spans)
        drawing = Spans("What was measured against its target, per cent", tuple(spans))
        blocks.append(Picture(drawing, f"Gates: {text}"))
    body = [
        (
            line(one_line(g.get("title") or g.get("gate") or DASH, 60)),
            verdict_cell(g),
            line(_estimate(g)),
            line(f"{count(g['n']):,}" if number(g.get("n")) is not None else DASH),
            line(one_line(g.get("target") or DASH, 40)),
            line(needed(g)),
        )
        for g in found
    ]
    head = ("gate", "verdict", "measured", "n", "target", "to decide")
    blocks.append(Table(head, tuple(body), numeric=2))
    todo = [_todo(g, s) for g in found if str(g.get("verdict")) != "PASS"]
    if todo:
        blocks.append(Para(line("What to do"), "label"))
        blocks.append(Points(tuple(todo)))
    else:
        blocks.append(Para(line("Every gate passes.")))
    yield Section("Gates, and what to do", tuple(blocks))


def _todo(g: Mapping[str, Any], s: Scores) -> Line:
    word = one_line(g.get("verdict") or DASH, 12)
    title = one_line(g.get("title") or g.get("gate") or DASH, 60)
    detail = one_line(g.get("detail") or "", 300)
    action = named_action(g, s)
    if g.get("waived"):
        action = f"accepted for a stated reason: {one_line(g['waived'], 400)}"
    if "; weak: " in detail and ": " in action:
        detail = detail.partition("; weak: ")[0]  # the action names them
    return line(
        (f"{SIGNS.get(word, '·')} {title}", ROLES.get(word, "dim")),
        f" ({detail})" if detail else "",
        f". → {action}" if action else "",
    )


def needed(g: Mapping[str, Any]) -> str:
    """How many further items would decide."""
    if str(g.get("verdict")) != "UNDECIDED":
        return ""
    if g.get("n") == 0:
        return "measure it"
    if g.get("metric") == "severe_regressions":
        return "a person"
    more = number(g.get("n_needed"))
    return f"{more:,.0f} more" if more else "more will not"


def _estimate(g: Mapping[str, Any]) -> str:
    x = number(g.get("estimate"))
    if x is None:
        return "not measured" if "estimate" in g and not count(g.get("n")) else DASH
    if g.get("gate") == "retrieval":
        return f"{x * 100:+.0f} points".replace("-", "−")
    if g.get("metric") == "latency_p95":
        low, high = (number(g.get(k)) for k in ("low", "high"))
        ends = ["…" if e is None else f"{e:.2f}" for e in (low, high)]
        return f"{x:.2f} s [{ends[0]}–{ends[1]}]"
    return f"{share(x)} % {interval(g)}".rstrip()


def _spans(found: list[Mapping[str, Any]]) -> list[tuple[str, str, Bar, float, bool]]:
    out = []
    for g in found:
        target, x = target_of(g), number(g.get("estimate"))
        if target is None or x is None or g.get("gate") == "retrieval" or not 0 <= x <= 1:
            continue
        bar = Bar(x, number(g.get("low")), number(g.get("high")))
        label = one_line(g.get("title") or g.get("gate"), 40)
        out.append((label, one_line(g.get("verdict") or "", 12), bar, *target))
    return out


def _gates(s: Scores) -> list[Mapping[str, Any]]:
    return rows(s.get("gates"))[:MOST_GATES]


# ── the incumbent, and the others ───────────────────────────────────────────────────────────────


def comparisons(s: Scores) -> Iterator[Section]:
    own = candidate(s)
    found = {
        str(k).removeprefix(f"{own}_vs_"): mapping(c)
        for k, c in mapping(s.get("comparisons")).items()
    }
    blocks: list[Block] = [Para(line(_retrieval_line(s)))]
    extra = [k for k in ("holm_p", "bootstrap") if any(k in c for c in found.values())]
    body = []
    for other in [n for n in columns(s) if n in found] or list(found):
        c = found[other]
        cells = [
            line(system_name(other, own)),
            *(line(_whole(c, k)) for k in ("n", "wins", "losses")),
        ]
        cells.append(line(probability(c.get("p_value"))))
        if "holm_p" in extra:
            cells.append(line(probability(c.get("holm_p"))))
        if "bootstrap" in extra:
            cells.append(line(_difference(mapping(c.get("bootstrap")))))
        body.append((*cells, line(_points(c.get("mdd", c.get("detectable"))))))
    head = ["against", "questions", "better on", "worse on", "p (McNemar)"]
    head += ["p (Holm)"] * ("holm_p" in extra)
    head += ["difference, points"] * ("bootstrap" in extra)
    if body:
        blocks.append(Table((*head, "cannot show below"), tuple(body)))
    yield Section("Against the nearest stored answer", tuple(blocks))


def _retrieval_line(s: Scores) -> str:
    c = against_retrieval(s)
    if not c:
        return "The retrieval column is missing. GO is blocked until it is measured."
    p, wins, losses = number(c.get("p_value")), count(c.get("wins")), count(c.get("losses"))
    text = (
        f"This version is right where the nearest stored answer is wrong on {wins} questions, and"
        f" wrong where it is right on {losses}: p = {probability(p)} (exact McNemar). "
    )
    if p is not None and p < 0.05:
        worse = "Fine-tuning does not yet pay for itself on this set."
        text += worse if losses > wins else "Fine-tuning is better on this set."
    else:
        text += "No difference is shown either way."
        mdd = number(c.get("mdd", c.get("detectable")))
        if mdd is not None:
            text += f" True differences below {mdd * 100:.0f} points would not show here."
    reason = one_line(s.get("stated_reason") or "", 400)
    return text + (f" Stated reason for going on: {reason}" if reason else "")


def _whole(c: Mapping[str, Any], key: str) -> str:
    return f"{count(c[key]):,}" if number(c.get(key)) is not None else DASH


def _points(x: object) -> str:
    found = number(x)
    return DASH if found is None else f"{found * 100:.0f} points"


def _difference(m: Mapping[str, Any]) -> str:
    x, low, high = (number(m.get(k)) for k in ("difference", "low", "high"))
    if x is None:
        return DASH
    span = "" if low is None or high is None else f" [{low * 100:+.0f} to {high * 100:+.0f}]"
    return f"{x * 100:+.0f}{span}"
