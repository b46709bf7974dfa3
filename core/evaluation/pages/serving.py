"""Latency at the server at stated rates, and against the live tools that the model would replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.evaluation.pages.fields import (
    DASH,
    candidate,
    count,
    mapping,
    number,
    one_line,
    rows,
    seconds,
    system_name,
)
from core.evaluation.pages.model import Block, Line, Para, Points, Section, Table, line

Scores = Mapping[str, Any]
_HEAD = ("latency", "per second", "n", "failed", "P50", "P95", "P99", "first token P95", "tokens/s")


def serving(s: Scores) -> Iterator[Section]:
    """Left out where neither a server nor the live tools were measured."""
    about = mapping(s.get("about"))
    served, tools = mapping(about.get("serving")), mapping(about.get("live_tools"))
    body = [_row(r) for r in rows(served.get("results"))]
    recorded = {**mapping(served.get("recorded")), **({"live tools": tools} if tools else {})}
    body += [_recorded(name, mapping(r)) for name, r in recorded.items()]
    if not body:
        return
    blocks: list[Block] = [Table(_HEAD, tuple(body), brief=(0, 1, 2, 4, 5))]
    told = [
        _told(d, f"at {number(d.get('rate')) or 0:g} a second")
        for d in rows(served.get("differences"))
    ]
    own = candidate(s)
    told += [
        _told(
            {"target": system_name(name, own), "against": "the live tools", **mapping(d)},
            "one at a time",
        )
        for name, d in mapping(tools.get("differences")).items()
    ]
    if told:
        blocks.append(Points(tuple(told)))
    blocks.append(
        Para(
            line(
                "Measured in an open loop: a request's time counts from when it was due. 95 % intervals"
                " of order statistics; a request without an answer is slower than any."
                if rows(served.get("results"))
                else "As it was recorded; the systems above were timed one at a time, not under load."
            )
        )
    )
    yield Section("Latency at the server, and of the live tools", tuple(blocks))


def _row(r: Mapping[str, Any]) -> tuple[Line, ...]:
    first = mapping(mapping(r.get("first_token")).get("p95"))
    tokens = number(r.get("tokens_per_s"))
    return (
        line((one_line(r.get("target") or DASH, 40), "strong")),
        line(f"{number(r.get('rate')) or 0:g}"),
        *_counts(r),
        line(_value(first) if first else DASH),
        line(DASH if tokens is None else f"{tokens:.1f}"),
    )


def _recorded(name: str, r: Mapping[str, Any]) -> tuple[Line, ...]:
    return (
        line((f"{one_line(name, 40)}, recorded", "strong")),
        line(DASH),
        *_counts(r),
        line(DASH),
        line(DASH),
    )


def _counts(r: Mapping[str, Any]) -> tuple[Line, ...]:
    latency = mapping(r.get("latency"))
    values = (line(_value(mapping(latency.get(p)))) for p in ("p50", "p95", "p99"))
    return (line(f"{count(r.get('n')):,}"), line(f"{count(r.get('failed')):,}"), *values)


def _told(d: Mapping[str, Any], when: str) -> Line:
    how = "the same questions" if d.get("paired") else "unpaired"
    return line(
        (f"{one_line(d.get('target'), 40)} against {one_line(d.get('against'), 40)}", "strong"),
        f", {when}, {how}: ",
        ", ".join(
            f"{name} {_more(mapping(d.get(p)))}" for name, p in (("P50", "p50"), ("P95", "p95"))
        ),
    )


def _value(p: Mapping[str, Any]) -> str:
    value = number(p.get("s"))
    if value is None:
        return "no answer"
    ends = [
        "…" if number(p.get(e)) is None else seconds(p[e]).removesuffix(" s")
        for e in ("low", "high")
    ]
    return f"{seconds(value)} [{ends[0]}–{ends[1]}]"


def _more(p: Mapping[str, Any]) -> str:
    """ "0.30 s faster [0.20 to 0.41]"; a difference whose interval has both signs is none shown."""
    value, low, high = (number(p.get(k)) for k in ("s", "low", "high"))
    if value is None:
        return "not known: answers are missing"
    word = "faster" if value < 0 else "slower"
    if low is None or high is None:
        return f"{seconds(abs(value))} {word}"
    ends = sorted((abs(low), abs(high))) if (low < 0) == (high < 0) else None
    if ends is None:
        return f"no difference shown ({value:+.2f} s, {low:+.2f} to {high:+.2f})"
    return f"{seconds(abs(value))} {word} [{ends[0]:.2f} to {ends[1]:.2f}]"
