"""Times in the lines of a log, and what an operator types to go to one."""

from __future__ import annotations

import re
import time
from calendar import timegm
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

HEAD = 160  # bytes of a line in which its time may begin

_DATED = re.compile(
    rb"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\d*"
    rb" ?(Z\b|[+-]\d\d:?\d\d\b)?"
)
_SYSLOG = re.compile(rb"\b([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)\b")
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_EPOCH = re.compile(
    rb"(?:^|[\[ ({]|\"(?:ts|time|timestamp|at|created)\": ?)(1\d{9})(\.\d{1,9}|\d{3}(?=\D))?(?![\d.])"
)
_CLOCK = re.compile(rb"(?<![\d:.])(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?![\d:])")


@dataclass(frozen=True, slots=True)
class Stamp:
    """at: Unix seconds; of a stamp without a date the seconds since midnight."""

    at: float
    dated: bool = True


def stamp(line: bytes, year: int | None = None) -> Stamp | None:
    """The first time in a line. Times without a zone are taken as local.

    year: for stamps that have none; this year if not given.
    """
    head = line[:HEAD]
    if match := _DATED.search(head):
        return _dated(match)
    if match := _EPOCH.search(head):
        fraction = match[2] or b""
        if fraction[:1] not in (b"", b"."):
            fraction = b"." + fraction
        return Stamp(float(match[1] + fraction))
    if (match := _SYSLOG.search(head)) and match[1] in _MONTHS:
        month = _MONTHS.index(match[1]) + 1
        day, hour, minute, second = (int(g) for g in match.groups()[1:])
        year = year or time.localtime().tm_year
        begin = _minute(year, month, day, hour, minute, None)
        return None if begin is None else Stamp(begin + second)
    if match := _CLOCK.search(head):
        hour, minute, second = int(match[1]), int(match[2]), int(match[3])
        if hour < 24 and minute < 60 and second < 61:
            return Stamp(hour * 3600 + minute * 60 + second + _fraction(match[4]), dated=False)
    return None


def _dated(match: re.Match[bytes]) -> Stamp | None:
    year, month, day, hour, minute, second = (int(g) for g in match.groups()[:6])
    begin = _minute(year, month, day, hour, minute, match[8])
    return None if begin is None else Stamp(begin + second + _fraction(match[7]))


@lru_cache(maxsize=256)
def _minute(
    year: int, month: int, day: int, hour: int, minute: int, zone: bytes | None
) -> float | None:
    """Unix seconds at which a minute begins; None if there is no such minute."""
    try:
        moment = datetime(year, month, day, hour, minute)
        if zone is None:
            return moment.timestamp()
        utc = float(timegm(moment.timetuple()))
        if zone == b"Z":
            return utc
        digits = zone[1:].replace(b":", b"")
        shift = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        return utc - shift if zone[:1] == b"+" else utc + shift
    except (ValueError, OverflowError, OSError):
        return None


def _fraction(digits: bytes | None) -> float:
    return int(digits) / 10 ** len(digits) if digits else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go: one of these is set. share: 0..1 of the lines."""

    unix: float | None = None
    line: int | None = None
    share: float | None = None


_SHIFT = re.compile(r"([+-])((?:\d+(?:\.\d+)?[smhd])+)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TYPED = re.compile(r"(?:(\d{4})-(\d\d)-(\d\d)[T ])?(\d{1,2}):(\d\d)(?::(\d\d))?")


def target(words: str, here: float | None) -> Target:
    """`14:02`, `14:02:05`, `2026-11-23 14:02`, `+5m`, `-1h30m`, a line number, or `50%`.

    here: Unix seconds of the line the operator is on; what is typed without a date is of its day.
    Raises ValueError with words for the operator.
    """
    words = words.strip()
    if match := _SHIFT.fullmatch(words):
        if here is None:
            raise ValueError("this log has no times to count from")
        parts = re.findall(r"([\d.]+)([smhd])", match[2])
        seconds = sum(float(n) * _UNITS[unit] for n, unit in parts)
        return Target(unix=here + (seconds if match[1] == "+" else -seconds))
    if words.removeprefix("#").isdecimal():
        return Target(line=max(0, int(words.removeprefix("#")) - 1))
    if words.endswith("%") and words[:-1].isdecimal():
        return Target(share=min(1.0, int(words[:-1]) / 100))
    if match := _TYPED.fullmatch(words):
        return Target(unix=_moment(match, here))
    raise ValueError("a time such as 14:02, a step such as +5m, a line number or 50%")


def _moment(match: re.Match[str], here: float | None) -> float:
    hour, minute, second = int(match[4]), int(match[5]), int(match[6] or 0)
    try:
        if match[1]:
            day = datetime(int(match[1]), int(match[2]), int(match[3]))
        else:
            day = datetime.fromtimestamp(time.time() if here is None else here)
        moment = day.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"there is no time {match[0]}") from None


def midnight_before(unix: float) -> float:
    """Unix seconds of the local midnight at or before a moment."""
    day = datetime.fromtimestamp(unix).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.timestamp()


def next_day(midnight: float, days: int = 1) -> float:
    return (datetime.fromtimestamp(midnight) + timedelta(days=days)).timestamp()
