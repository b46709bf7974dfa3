"""The time machine's answer as lines: what was live, trained on what, with which scores, by whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from tui import clean
from tui.present import words
from tui.present.words import field, text

FIGURES = ("accuracy", "citation_presence", "fabricated", "deferral")
Line = tuple[str, str]  # text, role


def lines(found: Mapping[str, Any]) -> Iterator[Line]:
    """From version_views.at. Text is cleaned."""
    yield f"at {_when(found['at'])} ({clean.line(found['at'], 40)})", "strong"
    if found.get("future"):
        yield "that moment is still to come: this is how it stands now", "warn"
    if found.get("before_all"):
        yield "the registry begins later: nothing is known of that time", "dim"
    for environment, live in found["live"].items():
        yield "", ""
        if live is None:
            yield f"{environment}: nothing was live", "dim"
        else:
            yield from _live(environment, live)
    yield "", ""
    decision = found.get("decision")
    if decision is None:
        yield "no GO or NO-GO had been decided", "dim"
    else:
        word, role = words.verdict(decision["decision"])
        reason = clean.line(decision["reason"], 200)
        who = clean.line(decision["who"], 40)
        yield f"decision: {word} by {who}, {_when(decision['at'])}: {reason}", role
    row = found.get("audit")
    if row is not None:
        yield f"audit: row {row['seq']}, {clean.line(row['hash'], 64)[:12]}", "dim"


def _live(environment: str, live: Mapping[str, Any]) -> Iterator[Line]:
    def plain(name: str, limit: int = 120) -> str:
        return clean.line(field(live, name), limit) or "–"

    yield f"{environment}: {plain('model_version')}", "strong"
    until = f" until {_when(live['until'])}" if live.get("until") else ", and since then"
    yield f"  since {_when(live['since'])}{until}", ""
    yield f"  {plain('kind')} by {plain('who', 40)}: {plain('reason', 200)}", ""
    if live.get("override_reason"):
        yield f"  ▲ against the gates ({plain('verdict')}): {plain('override_reason', 200)}", "warn"
    elif live.get("verdict"):
        yield f"  gates said {words.verdict(live['verdict'])[0]}", ""
    if live.get("approved_by"):
        yield f"  approved by {clean.line(', '.join(live['approved_by']), 120)}", ""
    data = live["dataset"]
    domains = ", ".join(f"{clean.line(k, 40)} {n}" for k, n in data["domain_breakdown"].items())
    yield f"  trained {_when(live['trained_at'])} by {plain('trained_by', 40)} on", ""
    yield f"    {clean.line(data['dataset_version'], 60)}, {data['pairs']:,} pairs ({domains})", ""
    yield f"    from {plain('base_model', 80)}", ""
    scores = live.get("scores")
    if scores is None:
        yield "  no scores were there then", "dim"
        return
    metrics = scores["metrics"]
    shown = ", ".join(
        f"{name.replace('_', ' ')} {words.percent(metrics.get(name))}" for name in FIGURES
    )
    word, role = words.verdict(scores["verdict"])
    yield f"  scores of {_when(scores['at'])}: {word}", role
    yield f"    {shown}, P95 {words.seconds(metrics.get('latency_p95'))}", ""


def page(found: Mapping[str, Any]) -> Text:
    out = text()
    for line, role in lines(found):
        out.append(f"{line}\n", role or None)
    return out


def _when(value: object) -> str:
    return words.moment(value)
