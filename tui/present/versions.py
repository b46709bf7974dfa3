"""Rows, detail and history of model versions."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from rich.text import Text

from tui import clean
from tui.desk.api import VersionRow
from tui.present import words
from tui.present.words import text
from tui.widgets.pull_table.columns import Cell, Column, Piece

ENVIRONMENTS = ("staging", "production")
LABEL = 18  # cells of a field's name

# screens and lines of their own
ELSEWHERE = frozenset({"scores", "history", "approvals", "overrides", "number"})

# the design's fields first, in its order
TRACKED = ("model_version", "status", "base_model", "dataset_version", "created_at", "created_by",
           "training_config", "eval_metrics")  # fmt: skip


def _state(version: VersionRow) -> Cell:
    return [("●", "ok") if version.live_in else ("○", "dim")]


def _name(version: VersionRow) -> Cell:
    return [(words.short_version(version.model_version), "strong" if version.live_in else "")]


def _gates(version: VersionRow) -> Cell:
    return [words.verdict(version.verdict), (" ▲" if version.override else "", "warn")]


def _live(version: VersionRow) -> Cell:
    out: list[Piece] = []
    for name in version.live_in:
        gap = " " if out else ""
        role = "ok" if name == "production" else "accent"
        out.append((gap + words.short_environment(name), role))
    return out or [("–", "faint")]


def _share(metric: str) -> Callable[[VersionRow], Cell]:
    return lambda version: words.percent(version.headline.get(metric))


def _quiet(value: Callable[[VersionRow], str]) -> Callable[[VersionRow], Cell]:
    return lambda version: [(value(version), "dim")]


def _snapshot(version: VersionRow) -> str:
    return version.dataset_version.removeprefix("dataset-")


def _figure(name: str, title: str, metric: str, rank: int) -> Column[VersionRow]:
    return Column(name, title, _share(metric), rank, least=5, right=True, descending=True)


COLUMNS: tuple[Column[VersionRow], ...] = (
    Column("state", "", _state, 0, least=1, sorts=False),
    Column("version", "version", _name, 0, least=8, most=24, descending=True),
    Column("status", "status", _quiet(lambda v: v.status), 3, least=9, most=14),
    Column("live", "live in", _live, 1, least=7, most=20, descending=True),
    Column("gates", "gates", _gates, 2, least=8, most=16),
    _figure("accuracy", "accuracy", "accuracy", 4),
    _figure("cited", "cited", "citation_presence", 7),
    _figure("fabricated", "fabricated", "fabricated", 5),
    _figure("deferral", "deferral", "deferral", 8),
    Column(
        "p95", "P95", lambda v: words.seconds(v.headline.get("latency_p95")), 6, least=6, right=True
    ),
    Column("snapshot", "snapshot", _quiet(_snapshot), 9, least=15, most=40),
    Column("base", "base model", _quiet(lambda v: v.base_model.rpartition("/")[2]), 10, least=12),
    Column(
        "made", "trained", _quiet(lambda v: words.moment(v.created_at)), 11, least=16, descending=True
    ),
    Column("by", "by", _quiet(lambda v: v.created_by), 12, least=6, most=20),
)  # fmt: skip


def detail(
    values: Mapping[str, Any],
    reasons: Mapping[str, str | None] | None = None,
    width: int = 100,
) -> Text:
    """Every tracked field, and for each environment whether promotion is possible now."""
    out = text()
    for environment, reason in (reasons or {}).items():
        out.append("p promote  ", "key" if reason is None else "dim")
        out.append(f"{words.short_environment(environment)}: ", "dim")
        if reason is None:
            out.append("possible\n", "ok")
        else:
            out.append(f"not now, {clean.line(reason, 300)}\n", "warn")
    if reasons:
        out.append("\n")
    _decided(out, values)
    names = [n for n in TRACKED if n in values]
    names += [n for n in values if n not in TRACKED and n not in ELSEWHERE]
    for name in names:
        lines = [part for line in _value(values[name]) for part in _wrapped(line, width - LABEL)]
        label = clean.line(name, 40).replace("_", " ")
        for n, line in enumerate(lines):
            out.append(f"{label if n == 0 else '':<{LABEL}}", "dim")
            out.append(f"{line}\n")
    return out


def _wrapped(line: str, room: int) -> list[str]:
    """Long values go on below themselves, under their own indent."""
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(line, max(20, room), subsequent_indent=indent) or [line]


def _decided(out: Text, values: Mapping[str, Any]) -> None:
    """Overrides, which show for ever, and approvals, void ones too."""
    before = len(out)
    for row in words.rows(values, "overrides"):
        out.append("▲ override  ", "warn")
        out.append(f"{words.short_environment(str(words.field(row, 'environment', '')))}, ", "dim")
        who, why = (clean.line(words.field(row, k), 200) for k in ("who", "reason"))
        out.append(
            f"against {clean.line(words.field(row, 'verdict'), 20)} by {who}: {why}\n", "warn"
        )
    for row in words.rows(values, "approvals"):
        void = words.field(row, "void_why")
        who, why = (clean.line(words.field(row, k), 200) for k in ("who", "reason"))
        place = words.short_environment(str(words.field(row, "environment", "")))
        out.append("○ approved  " if void else "✔ approved  ", "dim" if void else "ok")
        out.append(f"{place} by {who}: {why}")
        out.append(f"  (void: {clean.line(void, 120)})\n" if void else "\n", "dim")
    if len(out) > before:
        out.append("\n")


def _value(value: object, depth: int = 0) -> list[str]:
    """A value as indented lines; nested settings one key a line."""
    if isinstance(value, str) and value[:1] in "{[" and depth == 0:
        try:
            value = json.loads(value)
        except ValueError:
            return [clean.line(value, 400)]
    pad = "  " * depth
    if isinstance(value, Mapping):
        out = []
        for key, inner in list(value.items())[:80]:
            lines = _value(inner, depth + 1)
            if isinstance(inner, Mapping) and inner:
                out += [f"{pad}{clean.line(key, 60)}", *lines]
            else:
                out.append(f"{pad}{clean.line(key, 60)}: {' '.join(x.strip() for x in lines)}")
        return out or [f"{pad}–"]
    if isinstance(value, list | tuple):
        return [pad + clean.line(", ".join(str(v) for v in value[:40]) or "–", 400)]
    if isinstance(value, float):
        return [pad + words.measured(value)]
    if value is None or value == "":
        return [pad + "–"]
    return [pad + clean.line(value, 400)]


def history(rows: Sequence[Mapping[str, Any]], width: int = 60, limit: int = 60) -> Text:
    """Promotions and rollbacks, newest first as the desk gives them."""
    if not rows:
        return text(("nothing has been promoted yet", "dim"))
    out = text()
    for row in list(rows)[:limit]:
        move = clean.line(_any(row, "kind", "action") or "promotion", 20)
        back = "roll" in move or move == "return"
        out.append("↩ " if back else "↑ ", "warn" if back else "ok")
        out.append(f"{words.moment(_any(row, 'started_at', 'at'))}  ", "dim")
        out.append(f"{words.short_environment(str(row.get('environment') or ''))} ")
        if before := replaced(row):
            out.append(f"{words.short_version(before)} → ", "dim")
        out.append(f"{words.short_version(version_of(row))}\n", "strong")
        out.append(words.hang(f"{move} by {clean.line(row.get('who') or '–', 40)}", width), "dim")
        if override := row.get("override_reason"):
            out.append(
                words.hang(f"▲ against the gates: {clean.line(override, 200)}", width), "warn"
            )
        if row.get("reason") and row.get("reason") != override:
            out.append(words.hang(clean.line(row["reason"], 200), width), "dim")
    return out


def card(markdown: str) -> str:
    """A model card for reading: its metadata, which is for machines, stands at the end."""
    head, found, rest = markdown.removeprefix("---\n").partition("\n---\n")
    if not markdown.startswith("---\n") or not found:
        return markdown
    return f"{rest.strip()}\n\n## Metadata\n\n```yaml\n{head.replace('```', '')}\n```\n"


def as_row(value: Any) -> Mapping[str, Any]:
    """A row of the history as a mapping, also where it comes as a frozen row type."""
    if isinstance(value, Mapping):
        return value
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _any(row: Mapping[str, Any], *names: str) -> Any:
    return next((row[n] for n in names if row.get(n)), None)


def version_of(row: Mapping[str, Any]) -> str:
    return str(_any(row, "model_version", "to_version") or "")


def replaced(row: Mapping[str, Any]) -> str | None:
    """The version that was live before this row."""
    found = _any(row, "replaced", "from_version", "previous")
    return None if found is None else str(found)


def previous(rows: Sequence[Mapping[str, Any]], environment: str, current: str) -> str | None:
    """What was live in `environment` before `current`; None if the history does not tell."""
    here = [r for r in rows if r.get("environment") == environment]
    for row in here:
        if version_of(row) == current and (before := replaced(row)):
            return before
    return next((v for v in map(version_of, here) if v and v != current), None)


def gate_evidence(version: VersionRow) -> Text:
    """The lines a promotion dialog shows before it asks."""
    word, role = words.verdict(version.verdict)
    out = text(("as tested  ", "dim"), (word, role), "\n")
    for name, label in (
        ("accuracy", "accuracy"),
        ("citation_presence", "cited"),
        ("fabricated", "fabricated"),
        ("deferral", "deferral"),
    ):
        out.append(f"{label:<11}", "dim")
        out.append(f"{words.percent(version.headline.get(name))}\n")
    out.append("snapshot   ", "dim")
    out.append(clean.line(version.dataset_version, 60))
    return out
