"""The sections of answers: flips against the version before, failures by cause, the worst in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.evaluation.flips import INVENTS
from core.evaluation.pages import words
from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.fields import (
    DASH,
    candidate,
    count,
    mapping,
    number,
    one_line,
    percent,
    probability,
    rows,
    seconds,
    share,
    texts,
)
from core.evaluation.pages.fields import words as spaced
from core.evaluation.pages.flips import by_category
from core.evaluation.pages.model import (
    Answer,
    Block,
    Line,
    Para,
    Role,
    Run,
    Section,
    Table,
    line,
)

Scores = Mapping[str, Any]
WORST = 8
WORSE, BETTER = 25, 10  # flips in full
IDS = 14  # question ids named with a cause
SHOWN = 4000  # characters of an answer
FABRICATED = ("unknown_domain", "unknown_entity")
GRADES: Mapping[str, tuple[str, Role]] = {
    "correct": ("✔ correct", "ok"),
    "incorrect": ("✘ wrong", "bad"),
    "not_attempted": ("◌ not attempted", "unsure"),
}


# ── flips ───────────────────────────────────────────────────────────────────────────────────────


def flips(d: Dossier) -> Iterator[Section]:
    """Questions that went from right to wrong, then those that went the other way."""
    found = mapping(d.flips.get("flips"))
    if not found:
        return
    worse, invented, better = (
        rows(found.get(k)) for k in ("regressions", "invented", "improvements")
    )
    accuracy = mapping(d.flips.get("accuracy"))
    before, after = percent(accuracy.get("a")), percent(accuracy.get("b"))
    name = one_line(d.flips_from or "the version before", 60)
    blocks: list[Block] = [
        Para(line(
            f"On the {count(d.flips.get('n'))} questions that both answered, accuracy went from"
            f" {before} to {after} per cent: ",
            (f"{len(worse)} got worse", "bad" if worse else "dim"), ", ",
            *(((f"{len(invented)} {INVENTS}", "bad"), ", ") if invented else ()),
            (f"{len(better)} got better", "ok" if better else "dim"),
            f"; p = {probability(d.flips.get('p_value'))} (exact McNemar).",
        ))
    ]  # fmt: skip
    severe = texts(found.get("severe"))
    if severe:
        named = ", ".join(one_line(i, 30) for i in severe[:IDS])
        more = f" and {len(severe) - IDS} more" if len(severe) > IDS else ""
        text = (f"{len(severe)} severe", "bad")
        why = ": right before, and now misleading; a person must read them"
        blocks.append(Para(line(text, f"{why} ({named}{more}).")))  # type: ignore[arg-type]
    by_kind = _flip_kinds(d.flips)
    if by_kind is not None:
        blocks.append(by_kind)
    for title, some, most in (
        ("Regressions", worse, WORSE),
        ("Right, but citing what does not exist", invented, WORSE),
        ("Improvements", better, BETTER),
    ):
        if some:
            left = f" ({most} of {len(some)} shown)" if len(some) > most else f" ({len(some)})"
            blocks.append(Para(line(title + left), "label"))
            blocks.append(_flip_table(some[:most]))
    yield Section(f"Against {name}", tuple(blocks))


def _flip_table(some: Sequence[Mapping[str, Any]]) -> Table:
    body = tuple(
        (
            line(
                one_line(f.get("question") or DASH, 300),
                (
                    f"{one_line(f.get('id') or DASH, 40)} · {spaced(f.get('category') or DASH)}"
                    + (" · severe" if f.get("severe") is True else ""),
                    "small",
                ),
            ),
            line(one_line(f.get("before") or "(nothing)", 300)),
            line(one_line(f.get("after") or "(nothing)", 300)),
        )
        for f in some
    )
    return Table(("question", "before", "now"), body, numeric=3, brief=(0,))


def _flip_kinds(compared: Mapping[str, Any]) -> Table | None:
    tests = by_category(compared)
    body = [
        (
            line(spaced(kind)),
            *(line(f"{count(t.get(k))}") for k in ("losses", "wins")),
            *(line(probability(t.get(k))) for k in ("p_value", "holm_p")),
        )
        for kind, t in list(tests.items())[:24]
    ]
    return Table(("category", "worse", "better", "p", "p (Holm)"), tuple(body)) if body else None


# ── causes ──────────────────────────────────────────────────────────────────────────────────────


def causes(s: Scores) -> Iterator[Section]:
    own = candidate(s)
    found = {str(k): count(v) for k, v in mapping(mapping(s.get("causes")).get(own)).items()}
    ids: dict[str, list[str]] = {}
    for row in rows(s.get("questions")):
        if row.get("system") == own and isinstance(row.get("cause"), str):
            ids.setdefault(row["cause"], []).append(one_line(row.get("id"), 30))
    for cause, some in ids.items():
        if cause not in ("", "right", "correct"):
            found.setdefault(cause, len(some))
    found = {k: n for k, n in found.items() if n > 0 and k not in ("", "right", "correct")}
    if not found:
        return
    total = sum(found.values())
    body = []
    for cause, n in sorted(found.items(), key=lambda item: -item[1]):
        title, meaning, helps = words.CAUSES.get(cause, (spaced(cause).capitalize(), "", ""))
        named = ids.get(cause, [])
        more = f" and {len(named) - IDS} more" if len(named) > IDS else ""
        body.append((
            line((title, "strong"), (meaning, "small")),
            line(f"{n:,}"),
            line(f"{share(n / total)} %"),
            line(helps or DASH),
            line((", ".join(named[:IDS]) + more, "dim")),
        ))  # fmt: skip
    head = ("cause", "n", "share", "what helps", "questions")
    table = Table(head, tuple(body), numeric=1, brief=(0, 1, 2, 3))
    yield Section("Why answers fail", (table,))


# ── the worst ───────────────────────────────────────────────────────────────────────────────────


def worst(s: Scores) -> Iterator[Section]:
    found = worst_answers(s)
    asked = rows(s.get("questions"))
    if not asked:
        return
    blocks: tuple[Block, ...] = tuple(in_full(row, n) for n, row in enumerate(found, start=1))
    yield Section(
        f"Worst answers ({len(found)} shown)" if found else "Worst answers",
        blocks or (Para(line("None is wrong.")),),
    )


def worst_answers(s: Scores, n: int = WORST) -> list[dict[str, Any]]:
    """The candidate's bad answers, those that would do most harm first: forbidden texts, then wrong
    ones whose citation looks right, then fabricated citations, then all other wrong ones, then
    refusals. No category fills the list while others have any.
    """

    def harm(row: Mapping[str, Any]) -> tuple[int, int, int, str]:
        classes = [m.get("class") for m in rows(row.get("markers"))]
        plausible = any(c in ("correct", "wrong_entity", "stale") for c in classes)
        wrong = row.get("grade") == "incorrect"
        kind = 8 * bool(row.get("forbidden")) + 4 * (wrong and plausible)
        kind += 2 * _fabricates(row) + wrong
        told = (len(texts(row.get(k))) for k in ("contradictions", "unsupported"))
        return (-kind, -next(told), -next(told), str(row.get("id")))

    own = candidate(s)
    bad = [
        dict(r)
        for r in rows(s.get("questions"))
        if r.get("system") == own and (r.get("grade") != "correct" or _fabricates(r))
    ]
    ordered = sorted(bad, key=harm)
    part = max(1, n // max(1, len({str(r.get("category")) for r in ordered})))
    seen: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    for row in ordered:
        seen[str(row.get("category"))] += 1
        (first if seen[str(row.get("category"))] <= part else later).append(row)
    return sorted((first + later)[:n], key=harm)


def _fabricates(row: Mapping[str, Any]) -> bool:
    return any(m.get("class") in FABRICATED for m in rows(row.get("markers")))


def in_full(row: Mapping[str, Any], number_: int) -> Answer:
    """One question row of scores.json: asked, said, wanted, and what was wrong with it."""
    word, role = GRADES.get(str(row.get("grade")), (spaced(row.get("grade") or DASH), "dim"))
    cause = row.get("cause")
    tags = [line((word, role))]
    tags += [line((t, "dim")) for t in filter(None, (
        spaced(row.get("category") or ""),
        words.CAUSES.get(str(cause), (spaced(cause),))[0].lower() if cause else "",
        "refused" if row.get("deferred") else "",
        "cut off at the token limit" if row.get("finish") == "length" else "",
        seconds(row["latency_s"]) if number(row.get("latency_s")) is not None else "",
        f"{count(row['tokens'])} tokens" if number(row.get("tokens")) is not None else "",
        one_line(row.get("id") or "", 40),
    ))]  # fmt: skip
    text = row.get("answer") if isinstance(row.get("answer"), str) else ""
    assert isinstance(text, str)
    whole = max(count(row.get("answer_characters")), len(text))
    return Answer(
        number_,
        line(*(part for n, tag in enumerate(tags) for part in ((" · ", tag) if n else (tag,)))),
        str(row.get("question") or DASH)[:SHOWN],
        _prompt(row),
        marked(text[:SHOWN], rows(row.get("markers"))),
        whole - min(len(text), SHOWN),
        tuple(_notes(row)),
    )


def _prompt(row: Mapping[str, Any]) -> str:
    """The prompt as the model got it, where it is stored and more than the question."""
    prompt = row.get("prompt")
    if isinstance(prompt, list):
        prompt = "\n\n".join(f"{m.get('role', '?')}: {m.get('content', '')}" for m in rows(prompt))
    if not isinstance(prompt, str) or prompt.strip() == str(row.get("question", "")).strip():
        return ""
    return prompt[:SHOWN]


def marked(text: str, markers: Sequence[Mapping[str, Any]]) -> Line:
    """The text with each marker in its class's colour, sign and meaning."""
    out: list[Run] = []
    at = 0
    for marker in markers[:100]:
        shown = marker.get("text")
        if not isinstance(shown, str) or not shown:
            continue
        start = text.find(shown, at)
        if start < 0:
            continue
        sign, role, meaning = words.MARKERS.get(
            str(marker.get("class")), ("·", "dim", spaced(marker.get("class") or "unknown"))
        )
        out.append(Run(text[at:start]))
        out.append(Run(shown, role))  # type: ignore[arg-type]
        out.append(Run(f" {sign} {meaning}", "tag"))
        at = start + len(shown)
    out.append(Run(text[at:]))
    return tuple(r for r in out if r.text)


def _notes(row: Mapping[str, Any]) -> Iterator[tuple[str, Line]]:
    if row.get("expected_answer"):
        yield "wanted", line(one_line(row["expected_answer"], 1000))
    for key, label, sign, role in (
        ("matched", "facts matched", "✔", "ok"),
        ("missing", "facts missing", "✘", "bad"),
        ("contradictions", "contradicts", "✘", "bad"),
        ("forbidden", "forbidden", "✘", "bad"),
        ("unsupported", "not in any source", "▲", "warn"),
        ("confabulated", "from nowhere", "▲", "warn"),
    ):
        found = texts(row.get(key))
        if found:
            parts = "; ".join(one_line(t, 300) for t in found[:12])
            more = f" and {len(found) - 12} more" if len(found) > 12 else ""
            yield label, line((f"{sign} {parts}{more}", role))  # type: ignore[arg-type]
    for label, text in _nearest(row.get("nearest")):
        yield label, line(text)


def _nearest(found: object) -> Iterator[tuple[str, str]]:
    """Nearest pairs: a question, or rows with question, answer and how near."""
    if isinstance(found, str) and found.strip():
        yield "nearest pair", one_line(found, 400)
    for pair in rows([found] if isinstance(found, Mapping) else found)[:3]:
        near = number(pair.get("similarity", pair.get("coverage")))
        text = one_line(pair.get("question") or pair.get("id") or DASH, 300)
        if pair.get("answer"):
            text += f" → {one_line(pair['answer'], 400)}"
        yield "nearest pair", f"{text} ({share(near)} % alike)" if near is not None else text
