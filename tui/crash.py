"""When the app itself fails: a trace without values goes to a file, the terminal gets plain words.

Only the trace is kept: where it went wrong and the error's own words, those cleaned of secrets. Local
variables are never written.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from core import locations
from tui import clean

KEPT = 20  # crash logs
HIDDEN = "[hidden]"

_SECRETS = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.S),
        HIDDEN,
    ),
    (re.compile(r"(?i)\b(authorization\W{1,4})(?:(?:basic|bearer)\s+)?[^\s'\"]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"(?i)([\w-]*(?:password|passphrase|passcode|passwd|secret|token|api[_-]?key)[\w-]*"
            r"['\"]?\s*[:=]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;)\]}]+)"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(?:hf|ghp|gho|ghs|sk|xox[abp])[_-][A-Za-z0-9_-]{8,}"), HIDDEN),
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), HIDDEN),
)
_SECRET_NAME = re.compile(r"(?i)token|secret|passw|passphrase|api_?key|credential")


@dataclass(frozen=True, slots=True)
class Crash:
    """error: its kind and words in one line, without secrets.  log: None if it could not be written."""

    error: str
    log: Path | None


def hide(text: str) -> str:
    """Text without what looks like a secret, and without the values of secret-named variables."""
    for name, value in os.environ.items():
        if len(value) >= 6 and _SECRET_NAME.search(name):
            text = text.replace(value, HIDDEN)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def trace(error: BaseException) -> str:
    """Where it went wrong and why, without a single local variable."""
    return hide("".join(traceback.format_exception(error)))


def note(text: str) -> Path:
    """Add a trace to the log of defects the app got over. The path of that log."""
    path = locations.state_dir() / "errors.log"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8", errors="replace", opener=_private) as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{text}\n")
    return path


def record(error: BaseException) -> Crash:
    """Write the log of an error that ends the app; the newest twenty are kept."""
    said = f"{type(error).__name__}: {error}".strip(": ")
    folder = locations.state_dir() / "crashes"
    log = folder / f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(log, "w", encoding="utf-8", errors="replace", opener=_private) as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{_machine()}\n\n{trace(error)}")
        for old in sorted(folder.glob("crash-*.log"))[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return Crash(clean.line(hide(said), 300), None)
    return Crash(clean.line(hide(said), 300), log)


def screen(crash: Crash, host: str) -> str:
    """What the terminal shows after the app is gone."""
    where = f"  trace     {crash.log}" if crash.log else "  trace     could not be written"
    return "\n".join(
        (
            "",
            "ACCESS QA Control had to close: a defect of the program.",
            "",
            f"  what      {crash.error}",
            where,
            "            it holds no values and no secrets, and can be attached to a report",
            f"  safe      the registry, and the jobs on {clean.line(host, 40)}: they go on",
            "",
        )
    )


def asks_to_reopen() -> bool:
    """Whether the operator wants the app back; without a terminal nobody is asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print("enter opens it again, q and enter leaves: ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip().lower() in ("", "y", "yes")
    except (EOFError, KeyboardInterrupt):
        return False


def _machine() -> str:
    from importlib.metadata import version

    parts = [f"Python {platform.python_version()}", platform.platform(terse=True)]
    for package in ("access-qa-control", "textual", "rich"):
        with contextlib.suppress(Exception):
            parts.append(f"{package} {version(package)}")
    return " · ".join([*parts, f"TERM={clean.line(os.environ.get('TERM', ''), 40)}"])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
