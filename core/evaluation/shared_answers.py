"""Answers that every evaluation on this machine may use again: greedy ones depend on nothing else.

    FOLDER/<what answered>.jsonl     one answer a line, under the SHA-256 of the whole wording

What answered is named by the hash of all that its answers depend on: model, adapter, template, limits.
The base model's answers therefore serve the next version's evaluation, and today's version's answers
serve when it is the previous one. Whatever is taken from here is marked `reused`. The folder may be
deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.evaluation.answers import Answer

PER_ASKING = ("retrieval", "engine")  # what does not change the answer to one and the same wording
NODE = "node"  # where it was answered: its time is that machine's
DROPPED = ("id", "question", "asked", "reused", "nearest")


class SharedAnswers:
    """Those of one model. One process adds whole lines; what another tore is passed over."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """about: what the answers depend on, as beside the answers themselves."""
        named = {k: v for k, v in about.items() if k not in PER_ASKING}
        text = json.dumps(named, sort_keys=True, ensure_ascii=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self._rows: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self.path.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    row = json.loads(line)
                    if isinstance(row["answer"], str):
                        self._take(row["asked"], row)
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115  held while answers come in

    def __enter__(self) -> SharedAnswers:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, wording: str, *, timed: bool = False) -> dict[str, Any] | None:
        """The fields of an earlier answer to exactly this wording; timed: only one given alone, and
        on this machine: nodes that share a folder are not equally fast."""
        row = self._rows.get(_key(wording))
        if row is None or (timed and not ("latency_s" in row and row.get(NODE) == platform.node())):
            return None
        return {k: v for k, v in row.items() if k != NODE}

    def add(self, wording: str, answer: Answer) -> None:
        row = {k: v for k, v in answer.as_row().items() if k not in DROPPED}
        row[NODE] = platform.node()
        line = json.dumps({"asked": _key(wording), **row}, ensure_ascii=True).encode() + b"\n"
        with contextlib.suppress(OSError):  # a full disk fails the evaluation's own file first
            self._file.write(line)
            self._take(_key(wording), row)

    def _take(self, key: str, row: dict[str, Any]) -> None:
        known = self._rows.get(key)
        if known is None or "latency_s" not in known or "latency_s" in row:
            self._rows[key] = {k: v for k, v in row.items() if k not in DROPPED}


def _key(wording: str) -> str:
    return hashlib.sha256(wording.encode("utf-8", "surrogatepass")).hexdigest()
