"""Make text from a host, a file or the registry safe to draw: nothing in it can act on the terminal.

Textual passes escape sequences inside widget text through to the terminal, where they can set the
clipboard, move the cursor or ask questions whose answers arrive as key presses. Everything that was
not written in this program goes through `line` or `block` before it reaches a widget.
"""

from __future__ import annotations

import re

CUT = " …[cut]"
REPLACEMENT = "\ufffd"
MAX_LINE = 4000
MAX_LINES = 400

# CSI; OSC, DCS, SOS, PM and APC up to their end (or to the end of the text); two-byte escapes.
# The 8-bit forms (C1) do the same in some terminals.
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
)
_SELECTORS = dict.fromkeys(range(65024, 65040))  # they change a character's width
_SPACES = dict.fromkeys((160, 5760, 8239, 8287, 12288, *range(8192, 8203)), " ")
_SPACES[0x09] = "    "
_TABLE: dict[int, str | None] = {**_SELECTORS, **_SPACES}


def line(value: object, limit: int = MAX_LINE) -> str:
    """One line of printable text, at most `limit` characters and a cut mark.

    Escape sequences are dropped; control, bidirectional, private and broken characters become
    U+FFFD; of a carriage-return progress bar the last state remains; newlines become spaces.
    """
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    cut = False
    if "\r" in text:
        text = _last_state(text)
    if len(text) > limit * 4:  # bounds the work below; escapes may shrink what is left
        text, cut = text[: limit * 4], True
    text = _ESCAPE.sub("", text).replace("\n", " ").translate(_TABLE)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else REPLACEMENT for c in text)
    if len(text) > limit:
        text, cut = text[:limit], True
    return text + CUT if cut else text


def block(value: object, limit: int = MAX_LINE, lines: int = MAX_LINES) -> str:
    """Several lines, each cleaned; at most `lines` of them."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    parts = text.replace("\r\n", "\n").split("\n", lines)
    more = len(parts) > lines
    out = [line(part, limit) for part in parts[:lines]]
    if more:
        out.append(CUT.strip())
    return "\n".join(out).rstrip("\n")


def _last_state(text: str) -> str:
    """What a terminal shows of `old\\rnew`: the last non-empty part."""
    stripped = text.rstrip("\r\n")
    return stripped.rsplit("\r", 1)[-1]
