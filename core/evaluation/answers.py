"""Files of answers: one JSON object a line, {id, answer, latency_s?, tokens?, finish?, …}.

The same form whether a model wrote them here, on another machine, or another program did. Systems
that were asked here add how the answer came about (`Trace`), which scoring does not need.
`AnswerLog` appends while an evaluation runs and picks up again after it was killed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.jobdir import write_atomic


@dataclass(frozen=True, slots=True)
class Trace:
    """How an answer came about; kept beside it, row for row.

    prompt: the whole prompt, template included.  raw: what was generated, control tokens included.
    batch: questions asked together.  seconds: from asking that batch to this answer.
    first_token_s: seconds to the first token.  device: where.  model: as the server names it.
    attempts: requests it took.
    """

    prompt: str = ""
    raw: str = ""
    prompt_tokens: int | None = None
    batch: int = 1
    seconds: float | None = None
    first_token_s: float | None = None
    device: str = ""
    model: str = ""
    attempts: int = 1

    def as_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"prompt": self.prompt, "raw": self.raw, "batch": self.batch}
        for name in ("prompt_tokens", "device", "model"):
            if getattr(self, name):
                row[name] = getattr(self, name)
        for name in ("seconds", "first_token_s"):
            if (value := getattr(self, name)) is not None:
                row[name] = round(value, 6)
        if self.attempts > 1:
            row["attempts"] = self.attempts
        return row


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it was given.

    latency_s: seconds from question to whole answer, asked alone; None where it was one of a batch.
    finish: "stop", "length" (cut off at the token limit) or "".  trace: None once read back.
    """

    id: str
    answer: str
    latency_s: float | None = None
    tokens: int | None = None
    finish: str = ""
    trace: Trace | None = field(default=None, compare=False, repr=False)

    def as_row(self, /, **more: Any) -> dict[str, Any]:
        row: dict[str, Any] = {"id": self.id, "answer": self.answer}
        if self.latency_s is not None:
            row["latency_s"] = round(self.latency_s, 6)
        if self.tokens is not None:
            row["tokens"] = self.tokens
        if self.finish:
            row["finish"] = self.finish
        return row | (self.trace.as_row() if self.trace else {}) | more


def read_answers(path: Path) -> dict[str, Answer]:
    """The answers of a finished file by question id.

    Raises UsageError naming file and line: not JSON, no id, no answer text, a repeated id.
    """
    out: dict[str, Answer] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        answer = _parse(line, f"{path}:{number}")
        if answer.id in out:
            raise UsageError(
                f"{path}:{number}: a second answer to {answer.id!r}",
                try_next="keep one answer a question",
            )
        out[answer.id] = answer
    return out


def question_hash(question: str) -> str:
    """Ties a stored answer to the wording it answers."""
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class AnswerLog:
    """Answers of one system, appended as they come; what is already there is not asked again.

    about: what the answers depend on (model, adapter, token limit …). A file that was written under
    other circumstances is put aside under a new name, never mixed with.  reused: ids of answers that
    were taken over from an earlier evaluation.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self.done: dict[str, Answer] = {}
        self.reused: set[str] = set()
        self._hashes: dict[str, str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = meta_path(path)
        if path.exists() and read_meta(path) != dict(about):
            n = 1
            while (aside := path.with_name(f"{path.stem}.old-{n}.jsonl")).exists():
                n += 1
            path.rename(aside)
        write_atomic(meta, json.dumps(dict(about), indent=1, sort_keys=True).encode())
        if path.exists():
            self._resume()
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  held while answers come in

    def _resume(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # killed in the middle of a line: that answer is given again
            os.truncate(self.path, whole)
        for number, line in enumerate(_text(data[:whole], self.path).split("\n"), start=1):
            if line:
                answer = _parse(line, f"{self.path}:{number}")
                row = json.loads(line)
                self.done[answer.id] = answer
                self._hashes[answer.id] = str(row.get("question", ""))
                if row.get("reused"):
                    self.reused.add(answer.id)

    def has(self, question_id: str, question: str) -> bool:
        return self._hashes.get(question_id) == question_hash(question)

    def add(self, answer: Answer, question: str, /, **more: Any) -> None:
        digest = question_hash(question)
        row = answer.as_row(**{**more, "question": digest})
        self._write(json.dumps(row, ensure_ascii=True))
        # a long prompt is kept on disk, not for the whole run in memory
        self.done[answer.id] = replace(answer, trace=None)
        self._hashes[answer.id] = digest

    def take(self, question_id: str, question: str, row: Mapping[str, Any]) -> None:
        """Take over an answer that was given before to the same wording, with all that is known of it."""
        own = {**row, "id": question_id, "question": question_hash(question)}
        line = json.dumps(own, ensure_ascii=True)
        answer = _parse(line, f"{self.path}: {question_id}")
        self._write(line)
        self.done[question_id] = answer
        self._hashes[question_id] = own["question"]
        self.reused.add(question_id)

    def _write(self, line: str) -> None:
        # one write of one line: a kill tears at most the last
        left = line.encode() + b"\n"
        while left:  # a disk that is filling up takes a part without an error
            left = left[self._file.write(left) or 0 :]

    def close(self) -> None:
        self._file.close()


def meta_path(path: Path) -> Path:
    return path.with_suffix(".meta.json")


def read_meta(path: Path) -> dict[str, Any] | None:
    """What the answers of a file depend on, or None where that was not recorded."""
    try:
        meta = json.loads(meta_path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return meta if isinstance(meta, dict) else None


def _lines(path: Path) -> list[str]:
    try:
        # only \n ends a row: other line separators may stand inside a JSON string
        return _text(path.read_bytes(), path).removeprefix("\ufeff").split("\n")
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such file", try_next="give a JSONL file of answers {id, answer}"
        ) from None
    except OSError as e:
        raise UsageError(f"{path}: cannot be read", why=str(e.strerror)) from e


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: not UTF-8", why=str(e), try_next="save it as UTF-8") from None


def _parse(line: str, where: str) -> Answer:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as e:
        raise UsageError(
            f"{where}: not JSON", why=str(e), try_next="one object {id, answer} a line"
        ) from None
    if not isinstance(row, dict):
        raise UsageError(f"{where}: not a JSON object", try_next="one object {id, answer} a line")
    for name in ("id", "answer"):
        if not isinstance(row.get(name), str):
            raise UsageError(f"{where}: {name!r} is missing or no text", try_next=f"add {name!r}")
    latency = row.get("latency_s")
    if latency is not None and not _is_time(latency):
        raise UsageError(f"{where}: 'latency_s' is not a number of seconds", try_next="drop it")
    tokens = row.get("tokens")
    return Answer(
        row["id"],
        row["answer"],
        None if latency is None else float(latency),
        tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None,
        str(row.get("finish") or ""),
    )


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # an integer of JSON may have any number of digits, and no float holds it
    return math.isfinite(value) and value >= 0 if isinstance(value, float) else 0 <= value < 1 << 53
