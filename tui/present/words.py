"""Numbers, times and shares as short words, and the shapes that stand for states."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from tui import clean
from tui.present import when

GIB = 1024**3
ELLIPSIS = "…"

# state word → (shape, role): the shape alone tells the state
STATES: Mapping[str, tuple[str, str]] = {
    "open": ("○", "dim"),
    "running": ("●", "accent"),
    "done": ("✔", "ok"),
    "warned": ("▲", "warn"),
    "failed": ("✘", "bad"),
    "pass": ("✔", "ok"),
    "fail": ("✘", "bad"),
    "warn": ("▲", "warn"),
    "note": ("✎", "dim"),
    "info": ("·", "dim"),
    "undecided": ("◌", "unsure"),
    "starting": ("◌", "accent"),
    "stopping": ("◐", "warn"),
    "succeeded": ("✔", "ok"),
    "stopped": ("■", "warn"),
    "lost": ("▲", "warn"),
    "orphan": ("▲", "warn"),
    "queued": ("◔", "accent"),
}


def state(word: str) -> tuple[str, str]:
    """(shape, role) of a state word; an unknown word gets a neutral dot."""
    return STATES.get(str(word).lower(), ("·", "dim"))


def verdict(word: object) -> tuple[str, str]:
    """('✔ PASS', role) and the like; GO and NO-GO count as PASS and FAIL."""
    text = clean.line(word, 20).upper() or "–"
    key = {"PASS": "pass", "GO": "pass", "FAIL": "fail", "NO-GO": "fail"}.get(text)
    if text == "UNDECIDED":
        key = "undecided"
    if key is None:
        return text, "dim"
    shape, role = STATES[key]
    return f"{shape} {text}", role


def text(*parts: str | tuple[str, str]) -> Text:
    """Text of plain strings and (string, role) pairs; already cleaned or written here."""
    out = Text(no_wrap=False, end="")
    for part in parts:
        if isinstance(part, tuple):
            out.append(part[0], part[1] or None)
        else:
            out.append(part)
    return out


def fit(value: Text, width: int) -> Text:
    """Exactly `width` cells: cut with an ellipsis or padded."""
    out = value.copy()
    out.truncate(max(0, width), overflow="ellipsis", pad=True)
    return out


def hang(value: str, width: int, indent: int = 2) -> str:
    """`value` wrapped to `width`, every line indented, with a newline at the end."""
    room = max(12, width - indent)
    lines = [w for part in value.split("\n") for w in textwrap.wrap(part, room) or [""]]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def join(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of a row; the left one gives way."""
    room = width - right.cell_len
    if room < 8:
        return fit(left, width)
    gap = 1 if right.cell_len else 0
    return Text.assemble(fit(left, room - gap), " " * gap, right, end="")


def bar(share: float | None, width: int, role: str = "accent") -> Text:
    """A horizontal bar, heavy for what is there and light for the rest; None is an empty one."""
    value = number(share)
    filled = round(min(1.0, max(0.0, value)) * width * 2) if value is not None else 0
    whole, half = divmod(filled, 2)
    heavy = "━" * whole + "╸" * half
    return text((heavy, role), ("─" * (width - len(heavy)), "faint"))


def number(value: object) -> float | None:
    """A finite float, or None for everything else (True, NaN, words, what is too long)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer of some hundred digits
        return None


def percent(value: object, digits: int = 0) -> str:
    share = number(value)
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def measured(value: object) -> str:
    """A dense number: 4 significant digits, exponent only where needed."""
    x = number(value)
    if x is None:
        return "–" if not isinstance(value, float) else str(value)
    if x == 0:
        return "0"
    if 1e-3 <= abs(x) < 1e5:
        return f"{x:.4g}"
    mantissa, exponent = f"{x:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def count(value: object) -> str:
    x = number(value)
    return "–" if x is None else f"{int(x):,}"


def gib(value: object) -> str:
    x = number(value)
    if x is None:
        return "–"
    return f"{x / GIB:.1f}" if x >= GIB / 10 else f"{x / GIB:.2f}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "– ms"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def seconds(value: object) -> str:
    """A latency."""
    x = number(value)
    if x is None:
        return "–"
    return f"{x * 1000:.0f} ms" if x < 0.1 else f"{x:.2f} s" if x < 10 else f"{x:.0f} s"


def duration(value: object) -> str:
    """m:ss below an hour, h:mm:ss above, days beyond two."""
    x = number(value)
    if x is None:
        return "–"
    whole = max(0, round(x))
    if whole >= 172_800:
        return f"{whole // 86_400} d"
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def clock(at: float) -> str:
    """Local time of day, with the date if it is not today's: 14:02, 2026-11-23 14:02."""
    moment = datetime.fromtimestamp(at)
    today = moment.date() == datetime.now().date()
    return moment.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")


def ago(value: object) -> str:
    """Age of a value: 0.4 s, 12 s, 5 min, 3 h, 20 d."""
    x = number(value)
    if x is None:
        return "never"
    if x < 9.95:
        return f"{max(0.0, x):.1f} s"
    for unit, size in (("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)):
        limit = {"s": 120, "min": 7200, "h": 172_800, "d": math.inf}[unit]
        if x < limit:
            return f"{x / size:.0f} {unit}"
    return "–"


def moment(
    value: object, *, year: bool = True, seconds: bool = False, way: str | None = None
) -> str:
    """Unix seconds or ISO 8601 as date and minute, or as an age: in the way the operator chose.

    year: False where there is little room.  way: one of when.WAYS, for what outlives the screen.
    """
    x, way = number(value), way or when.way()
    try:
        at = datetime.fromtimestamp(x, UTC) if x is not None else _read(str(value))
        if way == "age":
            return _age(when.now() - at.timestamp())
        return when.written(at, way, year=year, seconds=seconds)
    except (ValueError, OverflowError, OSError):
        return clean.line(value, 20) or "–"


def _age(seconds: float) -> str:
    return f"{ago(seconds)} ago" if seconds >= 0 else f"in {ago(-seconds)}"


def _read(moment: str) -> datetime:
    return datetime.fromisoformat(moment.replace("Z", "+00:00"))


def short_version(value: object) -> str:
    return clean.line(value, 60).removeprefix("access-qa-")


def short_environment(value: str) -> str:
    return {"production": "prod", "staging": "staging"}.get(value, clean.line(value, 12))


def field(value: Mapping[str, Any] | None, name: str, default: Any = None) -> Any:
    """`value[name]` where value may be missing or of a shape from another program version."""
    return value.get(name, default) if isinstance(value, Mapping) else default


def rows(value: Mapping[str, Any] | None, name: str) -> list[Any]:
    """`value[name]` if it is a list, else an empty one."""
    found = field(value, name)
    return list(found) if isinstance(found, list | tuple) else []
