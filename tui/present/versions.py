"""Rows, detail and history of model versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from tui import clean
from tui.desk.api import VersionRow
from tui.present import words
from tui.present.words import text

ENVIRONMENTS = ("staging", "production")

COLUMNS = ("", "version", "status", "live in", "accuracy", "cited", "fabricated", "deferral", "gates",
           "snapshot", "base model")  # fmt: skip

# the design's fields first, in its order
TRACKED = ("model_version", "status", "base_model", "dataset_version", "created_at", "created_by",
           "training_config", "eval_metrics")  # fmt: skip


def cells(version: VersionRow) -> list[Text]:
    """One cell for each of COLUMNS."""
    live = bool(version.live_in)
    word, role = words.verdict(version.verdict)
    head = version.headline
    return [
        text(("●", "ok") if live else ("○", "dim")),
        text((words.short_version(version.model_version), "strong" if live else "")),
        text((clean.line(version.status, 20), "" if live else "dim")),
        _environments(version.live_in),
        *(
            text(words.percent(head.get(name)))
            for name in ("accuracy", "citation_presence", "fabricated", "deferral")
        ),
        text((word, role)),
        text((clean.line(version.dataset_version, 60), "dim")),
        text((clean.line(version.base_model, 60), "dim")),
    ]


def _environments(names: Sequence[str]) -> Text:
    out = text()
    for name in names:
        out.append(" " if out.plain else "")
        out.append(words.short_environment(name), "ok" if name == "production" else "accent")
    return out if out.plain else text(("–", "faint"))


def detail(values: Mapping[str, Any], reasons: Mapping[str, str | None] | None = None) -> Text:
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
    names = [n for n in TRACKED if n in values] + [n for n in values if n not in TRACKED]
    for name in names:
        out.append(f"{clean.line(name, 40)}\n", "dim")
        for line in _value(values[name]):
            out.append(f"  {line}\n")
    return out


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


def history(rows: Sequence[Mapping[str, Any]], limit: int = 60) -> Text:
    """Promotions and rollbacks, newest first as the desk gives them."""
    if not rows:
        return text(("nothing has been promoted yet", "dim"))
    out = text()
    for row in list(rows)[:limit]:
        action = clean.line(row.get("action") or row.get("event") or "promote", 20)
        environment = clean.line(row.get("environment") or "", 20)
        role = "warn" if "roll" in action else "ok"
        out.append(f"{'↩' if 'roll' in action else '↑'} ", role)
        out.append(f"{words.moment(row.get('at'))}  ", "dim")
        out.append(f"{words.short_environment(environment)} " if environment else "")
        previous = row.get("previous") or row.get("from_version")
        if previous:
            out.append(f"{words.short_version(previous)} → ", "dim")
        out.append(words.short_version(version_of(row)), "strong")
        out.append(f"\n  {action} by {clean.line(row.get('who') or '–', 40)}", "dim")
        reason = row.get("override_reason") or row.get("reason")
        out.append(f": {clean.line(reason, 200)}\n" if reason else "\n", "dim")
    return out


def version_of(row: Mapping[str, Any]) -> str:
    return str(row.get("model_version") or row.get("version") or row.get("to_version") or "")


def previous(rows: Sequence[Mapping[str, Any]], environment: str, current: str) -> str | None:
    """What was live in `environment` before `current`, from the history; None if not recorded."""
    for row in rows:
        if row.get("environment") == environment and version_of(row) == current:
            before = row.get("previous") or row.get("from_version")
            if before:
                return str(before)
    older = [version_of(r) for r in rows if r.get("environment") == environment]
    return next((v for v in older if v and v != current), None)


def gate_evidence(version: VersionRow) -> Text:
    """The lines a promotion dialog shows before it asks."""
    word, role = words.verdict(version.verdict)
    out = text(("gates      ", "dim"), (word, role), "\n")
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
