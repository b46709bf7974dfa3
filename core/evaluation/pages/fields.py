"""Reading hostile JSON and writing figures: what is missing or of another shape becomes a dash."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

SIGNS = {"PASS": "✔", "FAIL": "✘", "UNDECIDED": "◌", "GO": "✔", "NO-GO": "✘"}
DASH = "–"
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # change of direction
MARKS = 3  # combining characters on one letter; more would paint over the lines around it


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    return [r for r in value if isinstance(r, Mapping)] if isinstance(value, list | tuple) else []


def texts(value: object) -> list[str]:
    """The texts of a list."""
    found = value if isinstance(value, list | tuple) else []
    return [str(v) for v in found if isinstance(v, str | int | float)]


def number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        x = float(value)
    except OverflowError:
        return None
    return x if math.isfinite(x) else None


def count(value: object) -> int:
    """A whole number, 0 for anything else."""
    x = number(value)
    return int(x) if x is not None else 0


def clean(text: object, limit: int) -> str:
    """At most `limit` printable characters and newlines; the rest of them is marked.

    Control, direction, private and broken characters become U+FFFD, invisible ones vanish.
    """
    whole = text if isinstance(text, str) else DASH if text is None else str(text)
    part = whole[:limit]
    if not (part.isascii() and part.isprintable()):
        part = "".join(_kept(part))
    return part + "…" if len(whole) > limit else part


def _kept(text: str) -> list[str]:
    out: list[str] = []
    marks = 0
    for c in text.replace("\r\n", "\n").replace("\t", "    "):
        kind = unicodedata.category(c)
        marks = marks + 1 if kind[0] == "M" else 0
        if c == "\n":
            out.append(c)
        elif kind[0] == "Z":
            out.append(" ")
        elif kind == "Cf" and c not in _TURNS:
            continue  # invisible
        elif kind[0] == "C":
            out.append("\ufffd")
        elif marks <= MARKS:
            out.append(c)
    return out


def one_line(text: object, limit: int) -> str:
    """`clean` on one line."""
    if isinstance(text, str):
        text = text[: limit * 4]
    return clean(" ".join(clean(text, limit * 4).split()), limit)


def share(value: object) -> str:
    """Per cent of 0..1, with a digit below 1 and above 99 that is not quite all."""
    x = number(value)
    if x is None:
        return DASH
    shown = f"{x * 100:.0f}"
    if (shown == "0" and x > 0) or (shown == "100" and x < 1):
        shown = f"{x * 100:.1f}"
    return shown


def interval(m: Mapping[str, Any]) -> str:
    """ "[53–68]", or nothing."""
    low, high = number(m.get("low")), number(m.get("high"))
    return "" if low is None or high is None else f"[{share(low)}–{share(high)}]"


def of(m: Mapping[str, Any]) -> str:
    """ "104/170", or nothing."""
    return f"{count(m['k']):,}/{count(m['n']):,}" if number(m.get("k")) is not None else ""


def percent(m: object) -> str:
    """ "61 [53–68]" in per cent; a dash where nothing was measured."""
    m = mapping(m)
    if number(m.get("estimate")) is None:
        return DASH
    return f"{share(m['estimate'])} {interval(m)}".strip()


def seconds(value: object) -> str:
    x = number(value)
    if x is None:
        return DASH
    if x < 0.1:
        return f"{x * 1000:.0f} ms" if x >= 0.001 else "< 1 ms"
    return f"{x:.2f} s" if x < 100 else f"{x:,.0f} s"


def moment(value: object) -> str:
    """ "2026-11-22 15:27" of an ISO 8601 time, without its seconds."""
    text = one_line(value or DASH, 40)
    return text[:16].replace("T", " ") if text[4:5] == "-" and text[10:11] == "T" else text


def probability(value: object) -> str:
    """A p-value."""
    x = number(value)
    return DASH if x is None else "< 0.0001" if x < 1e-4 else f"{x:.2g}"


def words(name: object) -> str:
    """ "resource_specs" → "resource specs"."""
    return one_line(name, 60).replace("_", " ")


def candidate(scores: Mapping[str, Any]) -> str:
    """The system that is judged."""
    return str(scores.get("candidate") or "tuned")


def columns(scores: Mapping[str, Any]) -> list[str]:
    """Baselines first, the candidate last. Names as they are in the file."""
    names = [str(n) for n in mapping(scores.get("systems"))]
    own = candidate(scores)
    order = ("retrieval", "base", "base+retrieval", "previous")
    others = [n for n in order if n in names and n != own]
    others += [n for n in names if n not in order and n != own]
    return others + ([own] if own in names else [])


def system_name(name: str, own: str) -> str:
    return "this version" if name == own else one_line(name, 24)
