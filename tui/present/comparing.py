"""Two versions side by side: configuration, data, figures, and the answers that changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from core.evaluation.flips import INVENTS, Flips
from tui import clean
from tui.present import words
from tui.present.words import field, text

SHARES = ("accuracy", "citation_presence", "citation_precision", "fabricated", "deferral",
          "false_refusal", "wrong_but_cited")  # fmt: skip

SHOWN = 20  # answers a side; the list of them has all


def page(found: Mapping[str, Any], width: int = 88) -> Text:
    """From version_views.compare: b against a, regressions before improvements."""
    out = text()
    a, b = (words.short_version(field(found, k)) for k in ("a", "b"))
    out.append(f"{a} → {b}\n\n", "strong")
    _answers(out, found, width)
    _figures(out, found)
    _data(out, found)
    _settings(out, found)
    return out


def changed(found: Mapping[str, Any]) -> int:
    """Answers that are right in one of the versions alone, or now invent their source."""
    return len(Flips.between(found).all)


def _head(out: Text, title: str) -> None:
    out.append(f"{title}\n", "key")


def _answers(out: Text, found: Mapping[str, Any], width: int) -> None:
    _head(out, "answers to the same questions")
    if why := found.get("no_answers"):
        out.append(f"not compared: {clean.line(why, 200)}\n\n", "warn")
        return
    accuracy = field(found, "accuracy") or {}
    flips = Flips.between(found).all
    worse, invented, better = (
        [f for f in flips if f.kind == kind] for kind in ("regression", "invented", "improvement")
    )
    out.append(f"accuracy {_share(field(accuracy, 'a'))} → {_share(field(accuracy, 'b'))}, ")
    out.append(f"{len(worse)} worse", "bad" if worse else "dim")
    out.append(", ")
    if invented:
        out.append(f"{len(invented)} {INVENTS}", "bad")
        out.append(", ")
    out.append(f"{len(better)} better", "ok" if better else "dim")
    out.append(f" of {words.count(found.get('n'))}; p = {words.measured(found.get('p_value'))}"
               " (exact McNemar)\n")  # fmt: skip
    for sign, role, some in (("✘", "bad", worse), ("▲", "bad", invented), ("✔", "ok", better)):
        for flip in some[:SHOWN]:
            out.append(f"{sign} {clean.line(flip.id, 30)}  ", role)
            out.append(f"{clean.line(flip.question, max(20, width - 36))}\n")
            out.append(words.hang(f"was: {clean.line(flip.before, 240)}", width, 4), "dim")
            out.append(words.hang(f"now: {clean.line(flip.after, 240)}", width, 4))
        if len(some) > SHOWN:
            out.append(f"  … and {len(some) - SHOWN} more: f shows all\n", "dim")
    out.append("\n")


def _figures(out: Text, found: Mapping[str, Any]) -> None:
    changed = field(found, "metrics") or {}
    _head(out, "figures")
    if not changed:
        out.append("the same\n", "dim")
    for name, pair in list(changed.items())[:40]:
        show = words.percent if name in SHARES else _value
        was, now = (show(v) for v in _pair(pair))
        out.append(f"{clean.line(name, 30).replace('_', ' '):<20}", "dim")
        out.append(f"{was} → {now}\n")
    out.append("\n")


def _data(out: Text, found: Mapping[str, Any]) -> None:
    data = field(found, "data") or {}
    _head(out, "data")
    parts = [f"{words.count(field(data, k))} {k}" for k in ("added", "removed", "changed")]
    if not any(field(data, k) for k in ("added", "removed", "changed")):
        out.append("the same pairs\n\n", "dim")
        return
    out.append(
        f"{', '.join(parts)}; {words.percent(field(data, 'share_new'), 1)} of the pairs new\n\n"
    )


def _settings(out: Text, found: Mapping[str, Any]) -> None:
    _head(out, "configuration")
    changed = {**(field(found, "base_model") or {}), **(field(found, "config") or {})}
    if not changed:
        out.append("the same\n", "dim")
    for name, pair in list(changed.items())[:80]:
        was, now = (_value(v) for v in _pair(pair))
        out.append(f"{clean.line(name, 30):<20} ", "dim")
        out.append(f"{was} → {now}\n")


def _pair(value: object) -> tuple[object, object]:
    if isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    return None, value


def _value(value: object) -> str:
    if isinstance(value, float):
        return words.measured(value)
    return "–" if value is None else clean.line(value, 80)


def _share(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "–"
    low, high = (words.number(value.get(k)) for k in ("low", "high"))
    span = f" [{low * 100:.0f}–{high * 100:.0f}]" if low is not None and high is not None else ""
    return words.percent(value.get("estimate")) + span
