"""Pairs to training rows: prompt masked, answer and end-of-turn learned. Nothing is cut.

Rows are tokenised here, with the model's own chat template, and handed to the trainer as token ids
with labels. What is checked is therefore exactly what is trained.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.errors import PairsError, UsageError

IGNORED = -100  # label of a position without loss
SMOKE_ROWS = 32


class Tokenizer(Protocol):
    """What is used of a Hugging Face tokenizer."""

    eos_token_id: int | None
    bos_token_id: int | None
    pad_token_id: int | None
    all_special_tokens: list[str]

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...
    def decode(self, token_ids: Any, **options: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """One pair as prompt and completion: the last message is learned, those before it are given."""

    id: str
    prompt: tuple[dict[str, str], ...]
    completion: dict[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids and labels of equal length; labels are IGNORED over the prompt."""

    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def learned(self) -> int:
        return sum(x != IGNORED for x in self.labels)


def read_conversations(path: Path) -> list[Conversation]:
    """Pairs JSONL as conversations. Raises PairsError with file and line."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except FileNotFoundError:
        raise PairsError(f"{path}: no such file", try_next="sync the snapshot first") from None
    except (OSError, UnicodeDecodeError) as e:
        raise PairsError(f"{path}: cannot be read", why=str(e)) from e
    rows = [_conversation(path, n, line) for n, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise PairsError(f"{path}: no pairs in it", try_next="freeze a snapshot that has some")
    return rows


def _conversation(path: Path, n: int, line: str) -> Conversation:
    try:
        data = json.loads(line)
        messages = [{"role": m["role"], "content": m["content"]} for m in data["messages"]]
        *prompt, completion = messages
        if not prompt or completion["role"] != "assistant" or prompt[-1]["role"] != "user":
            raise ValueError("wants a user message, then an assistant message")
        if not all(isinstance(m["content"], str) and m["content"].strip() for m in messages):
            raise ValueError("a message is empty")
        return Conversation(str(data.get("id", f"line {n}")), tuple(prompt), completion)
    except (ValueError, KeyError, TypeError) as e:
        raise PairsError(
            f"{path}:{n}: not a pair that can be trained on",
            why=f"{type(e).__name__}: {e}",
            try_next="train on a frozen snapshot: its rows are checked beforehand",
        ) from e


def smoke_sample(rows: Sequence[Conversation], seed: int) -> list[Conversation]:
    """At most SMOKE_ROWS rows, the same ones for the same seed."""
    if len(rows) <= SMOKE_ROWS:
        return list(rows)
    return random.Random(seed).sample(list(rows), SMOKE_ROWS)


def encode(
    rows: Iterable[Conversation], tokenizer: Tokenizer, *, eos_ids: set[int], max_length: int
) -> list[Row]:
    """Tokenise every row and refuse what would be learned wrongly.

    Raises UsageError naming the rows: longer than max_length (its citation would be cut off), a
    control token written out in the text, prompt not a prefix of the whole, no end-of-turn token
    at the end, two begin-of-text tokens.
    """
    faults: dict[str, list[str]] = {}
    encoded: list[Row] = []
    longest = 0
    special = [t for t in tokenizer.all_special_tokens if t]
    for row in rows:
        turn = [*row.prompt, row.completion]
        if any(token in m["content"] for m in turn for token in special):
            faults.setdefault("control", []).append(row.id)
            continue
        prompt = _ids(tokenizer, list(row.prompt), add_generation_prompt=True)
        whole = _trim(_ids(tokenizer, turn), eos_ids, tokenizer)
        longest = max(longest, len(whole))
        if whole[: len(prompt)] != prompt:
            faults.setdefault("prefix", []).append(row.id)
        elif len(whole) > max_length:
            faults.setdefault("length", []).append(row.id)
        elif whole[-1] not in eos_ids or len(whole) - len(prompt) < 2:
            faults.setdefault("end", []).append(row.id)
        elif len(whole) > 1 and whole[0] == whole[1] == tokenizer.bos_token_id:
            faults.setdefault("bos", []).append(row.id)
        else:
            labels = [IGNORED] * len(prompt) + whole[len(prompt) :]
            encoded.append(Row(row.id, whole, labels))
    for kind, ids in faults.items():
        raise _refusal(kind, ids, longest, max_length)
    return encoded


def _ids(tokenizer: Tokenizer, messages: list[dict[str, str]], **more: Any) -> list[int]:
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **more))


def _trim(ids: list[int], eos_ids: set[int], tokenizer: Tokenizer) -> list[int]:
    """Without the white space that some templates put after the last end-of-turn token: no answer
    ever gets that far, so there is nothing to learn in it."""
    last = next((n for n in range(len(ids) - 1, -1, -1) if ids[n] in eos_ids), None)
    if last is not None and not tokenizer.decode(ids[last + 1 :]).strip():
        return ids[: last + 1]
    return ids


def _refusal(kind: str, ids: list[str], longest: int, max_length: int) -> UsageError:
    shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    count = f"{len(ids)} row{'s' if len(ids) > 1 else ''}"
    if kind == "length":
        return UsageError(
            f"{count} would lose the end of the answer, where its <<SRC:…>> markers stand: {shown}",
            why=f"the longest has {longest} tokens, train.max_length is {max_length}",
            try_next=f"--set train.max_length={-(-longest // 64) * 64}, or shorten those answers",
        )
    if kind == "control":
        return UsageError(
            f"{count} spell out a control token of this model in the text: {shown}",
            why="it would end or open a turn in the middle of a message",
            try_next="remove the token from the pair, or leave the pair out",
        )
    if kind == "prefix":
        return UsageError(
            f"the chat template renders {count} so that the question cannot be told from the "
            f"answer: {shown}",
            why="the rendered prompt is not a prefix of the rendered conversation",
            try_next="use the chat template of the instruction-tuned model",
        )
    if kind == "end":
        return UsageError(
            f"{count} would not teach the model to stop: {shown}",
            why="the last learned token is not an end-of-turn token of this model",
            try_next="check eos_token_id in generation_config.json against the chat template",
        )
    return UsageError(
        f"{count} begin with two begin-of-text tokens: {shown}",
        why="template and tokenizer both add one",
        try_next="remove the token from the chat template",
    )


def describe(rows: Sequence[Row]) -> dict[str, int]:
    """rows, tokens, learned tokens, shortest, median and longest row in tokens."""
    lengths = sorted(len(r.input_ids) for r in rows)
    return {
        "rows": len(rows),
        "tokens": sum(lengths),
        "learned_tokens": sum(r.learned for r in rows),
        "shortest": lengths[0],
        "median": lengths[len(lengths) // 2],
        "longest": lengths[-1],
    }


def learned_text(rows: Sequence[Row], tokenizer: Tokenizer, count: int = 3) -> list[str]:
    """The text of exactly the labelled tokens of a few rows, for the operator to look at."""
    picked = rows[:: max(1, len(rows) // count)][:count]
    return [tokenizer.decode([x for x in r.labels if x != IGNORED]) for r in picked]
