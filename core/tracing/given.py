"""What an operator gives to be traced: the id of a stored answer, a JSON row, or the answer itself.

    id        VERSION/QUESTION-ID[/SYSTEM], VERSION being access-qa-v1.2.0, v1.2.0 or base
    JSON      {"answer": …} with id, question, model_version, system where known: a row of an answers
              file, a logged response, or a whole chat completion
    else      the text of an answer

Pure. Whatever is not an id and no JSON object with an answer in it is text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import UsageError

PREFIX = "access-qa-v"
BASE = "base"
MAX_GIVEN = 1 << 20  # characters
_NUMBER = r"(?:0|[1-9]\d{0,8})"
_ID = re.compile(
    rf"(?:(?:access-qa-)?v(?P<number>{_NUMBER}(?:\.{_NUMBER}){{2}})|(?P<base>base))"
    r"/(?P<question>[^\s/]{1,200})(?:/(?P<system>[A-Za-z0-9_.-]{1,64}))?",
    re.ASCII,
)
_HASH = re.compile(r"[0-9a-f]{16}")
_ANSWERS = ("answer", "response", "content", "text")


@dataclass(frozen=True, slots=True)
class ResponseId:
    """version: None for the evaluation of the base model alone.  system: "" for the version's own."""

    version: str | None
    question: str
    system: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.version or BASE, self.question, self.system)))


@dataclass(frozen=True, slots=True)
class Given:
    """response: an id, else None.  answer: its text, "" where only the id is given.

    row_id: the id a JSON row had.  version: as the response's metadata names it, None if not.
    """

    response: ResponseId | None = None
    answer: str = ""
    question: str = ""
    version: str | None = None
    row_id: str = ""
    system: str = ""


def parse(text: str) -> Given:
    """Raises UsageError: nothing given, or more than a mebibyte."""
    stripped = text.strip()
    if not stripped:
        raise UsageError(
            "nothing to trace",
            try_next="give VERSION/QUESTION-ID, or paste an answer",
        )
    if len(stripped) > MAX_GIVEN:
        raise UsageError(
            f"{len(stripped):,} characters are more than an answer",
            try_next="paste the answer alone",
        )
    found = parse_id(stripped)
    if found is not None:
        return Given(response=found)
    if stripped.startswith("{"):
        try:
            row = json.loads(stripped)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict) and (given := from_row(row)) is not None:
            return given
    return Given(answer=stripped)


def parse_id(text: str) -> ResponseId | None:
    """The id that the whole text is, or None."""
    m = _ID.fullmatch(text)
    if m is None:
        return None
    version = None if m["base"] else PREFIX + m["number"]
    return ResponseId(version, m["question"], m["system"] or "")


def from_row(row: Mapping[str, Any]) -> Given | None:
    """A JSON row with an answer in it; None for one without."""
    answer = next((row[k] for k in _ANSWERS if isinstance(row.get(k), str)), None)
    if answer is None:
        answer = _completion(row)
    if answer is None or not answer.strip():
        return None
    question = _text(row.get("question"))
    if _HASH.fullmatch(question):  # rows of an evaluation's answers file have only its hash
        question = ""
    named = _text(row.get("id"))
    response = parse_id(named)
    metadata = row.get("metadata")
    inner = metadata if isinstance(metadata, Mapping) else {}
    version = next(
        filter(
            None,
            (known_version(_text(v)) for v in
             (row.get("model_version"), inner.get("model_version"), row.get("model"))),
        ),
        response.version if response else None,
    )  # fmt: skip
    row_id = response.question if response else named
    return Given(None, answer.strip(), question, version, row_id, _text(row.get("system")))


def known_version(text: str) -> str | None:
    """access-qa-v1.2.0 of "v1.2.0" or of itself; None of anything else."""
    found = parse_id(f"{text}/x")
    return found.version if found else None


def _completion(row: Mapping[str, Any]) -> str | None:
    try:
        content = row["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return None
    return content if isinstance(content, str) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
