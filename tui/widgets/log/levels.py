"""How bad a line of a log is: what it declares, else what its words say."""

from __future__ import annotations

import re

QUIET, INFO, WARN, ERROR = 0, 1, 2, 3
NAMES = ("all", "all", "warnings", "errors")
HEAD = 1000  # bytes of a line that are judged

_DECLARED = {
    b"trace": QUIET, b"debug": QUIET, b"info": INFO, b"notice": INFO,
    b"warn": WARN, b"warning": WARN,
    b"err": ERROR, b"error": ERROR, b"crit": ERROR, b"critical": ERROR, b"fatal": ERROR,
}  # fmt: skip
_NAMES = b"|".join(_DECLARED)
# after a time stamp, brackets and the like; a T and a Z may stand in the stamp
_FIRST = re.compile(rb"[^a-su-y]{0,48}?\b(" + _NAMES + rb")\b")
_FIELD = re.compile(rb"\"?\b(?:level|levelname|severity|lvl)\b\"?[=:]\s?\"?(" + _NAMES + rb")\b")
_ERROR = re.compile(
    rb"(?<!_)(?<!\bno )(?<!\b0 )(?:error|exception)(?![a-z_])"
    rb"|\btraceback \(most|\b(?:fatal|critical|panic|killed)\b|out of memory|segmentation fault"
)
_WARN = re.compile(rb"warn(?:ing)?(?![a-z_])|\bdeprecat")
# one of these is in every line that `level` calls bad; they are looked for first
MARKS = {
    ERROR: (b"err", b"exception", b"traceback", b"fatal", b"crit", b"panic", b"killed",
            b"out of memory", b"segmentation fault"),
    WARN: (b"warn", b"deprecat"),
}  # fmt: skip


def marks(least: int) -> tuple[bytes, ...]:
    """Lower-case words of which each line of at least this level holds one."""
    return tuple(w for level, words in MARKS.items() if level >= least for w in words)


def level(line: bytes) -> int:
    """The level of a line."""
    head = line[:HEAD].lower()
    declared = _FIRST.match(head) or _FIELD.search(head)
    if declared:
        return _DECLARED[declared[1]]
    if _ERROR.search(head):
        return ERROR
    return WARN if _WARN.search(head) else INFO
