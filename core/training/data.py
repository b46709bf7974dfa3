"""Pairs to training rows: prompt masked, answer and end-of-turn learned. Nothing is cut.

Rows are tokenised here, with the model's own chat template, and handed to the trainer as token ids
with labels. What is checked is therefore exactly what is trained.
"""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core import citations
from core.errors import PairsError, UsageError
from core.training import faults

IGNORED = -100  # label of a position without loss
SMOKE_ROWS = 20


class Tokenizer(Protocol):
    """What is used of a Hugging Face tokenizer."""

    eos_token_id: int | None
    bos_token_id: int | None
    pad_token_id: int | None
    all_special_tokens: list[str]

    def __call__(self, text: str, **options: Any) -> Any: ...
    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...
    def decode(self, token_ids: Any, **options: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """One pair as prompt and completion: the last message is learned, those before it are given.

    line: of the file it was read from; 0 where it was not read from one.
    """

    id: str
    prompt: tuple[dict[str, str], ...]
    completion: dict[str, str]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids and labels of equal length; labels are IGNORED over the prompt."""

    id: str
    input_ids: list[int]
    labels: list[int]
    line: int = 0

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
        return Conversation(str(data.get("id", f"line {n}")), tuple(prompt), completion, n)
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


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation through the chat template. fault: one of core.training.faults.KINDS, or ""."""

    row: Row
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the checks of a row need to know of its tokenizer; made once for all rows.

    begins: id of the begin-of-text token if the tokenizer puts one before any text by itself.
    """

    tokenizer: Tokenizer
    eos_ids: frozenset[int]
    max_length: int
    special: tuple[str, ...]
    begins: int | None

    @classmethod
    def of(cls, tokenizer: Tokenizer, eos_ids: set[int], max_length: int) -> Reading:
        bos = tokenizer.bos_token_id
        own = bos is not None and list(tokenizer("a")["input_ids"])[:1] == [bos]
        special = {*tokenizer.all_special_tokens, *_added(tokenizer)} - {""}
        return cls(
            tokenizer, frozenset(eos_ids), max_length, tuple(sorted(special)), bos if own else None
        )


def _added(tokenizer: Tokenizer) -> Iterator[str]:
    """Control tokens beside the named ones, such as those that open a turn."""
    for token in getattr(tokenizer, "added_tokens_decoder", {}).values():
        if token.special:
            yield str(token)


def render(conversation: Conversation, reading: Reading) -> Rendered:
    """Tokens and labels of one pair, and the first thing that is wrong with them."""
    turn = [*conversation.prompt, conversation.completion]
    tokenizer = reading.tokenizer
    prompt = _ids(tokenizer, list(conversation.prompt), add_generation_prompt=True)
    whole = _trim(_ids(tokenizer, turn), reading.eos_ids, tokenizer)
    labels = [IGNORED] * len(prompt) + whole[len(prompt) :]
    row = Row(conversation.id, whole, labels[: len(whole)], conversation.line)
    return Rendered(row, _fault(conversation, turn, row, prompt, reading))


def _fault(
    conversation: Conversation,
    turn: Sequence[dict[str, str]],
    row: Row,
    prompt: list[int],
    reading: Reading,
) -> str:
    whole, bos = row.input_ids, reading.tokenizer.bos_token_id
    if any(token in m["content"] for m in turn for token in reading.special):
        return "control"
    if whole[: len(prompt)] != prompt:
        return "prefix"
    if len(whole) > reading.max_length:
        return "length"
    if not _spells(prompt, conversation.prompt[-1]["content"], reading.tokenizer):
        return "question"
    answer, learned = conversation.completion["content"], whole[len(prompt) :]
    if not _spells(learned, answer, reading.tokenizer):
        text = plain(reading.tokenizer.decode(learned))
        lost = any(plain(str(m)) not in text for m in citations.find(answer))
        return "marker" if lost else "answer"
    if whole[-1] not in reading.eos_ids or len(learned) < 2:
        return "end"
    if reading.begins is not None:
        found = whole.count(reading.begins)
        return "" if found == 1 and whole[0] == reading.begins else "bos" if found else "no-bos"
    if bos is not None and whole[:2] == [bos, bos]:
        return "bos"
    return ""


def _spells(ids: list[int], text: str, tokenizer: Tokenizer) -> bool:
    """White space aside, which templates trim, and compatible forms of a letter, which some tokenizers
    take for one."""
    return plain(text) in plain(tokenizer.decode(ids))


def plain(text: str) -> str:
    """What two texts are compared by."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def encode(
    rows: Iterable[Conversation], tokenizer: Tokenizer, *, eos_ids: set[int], max_length: int
) -> list[Row]:
    """Tokenise every row. Raises UsageError naming those that would teach something wrong."""
    reading = Reading.of(tokenizer, eos_ids, max_length)
    rendered = [render(row, reading) for row in rows]
    longest = max((len(r.row.input_ids) for r in rendered), default=0)
    for kind in faults.KINDS:
        ids = [r.row.id for r in rendered if r.fault == kind]
        if ids:
            said = faults.words(kind, len(ids), faults.Sizes(longest, max_length))
            raise UsageError(
                f"{said.what}: {faults.named(ids)}", why=said.why, try_next=said.try_next
            )
    return [r.row for r in rendered]


def _ids(tokenizer: Tokenizer, messages: list[dict[str, str]], **more: Any) -> list[int]:
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **more))


def _trim(ids: list[int], eos_ids: Collection[int], tokenizer: Tokenizer) -> list[int]:
    """Without the white space that some templates put after the last end-of-turn token: no answer
    ever gets that far, so there is nothing to learn in it."""
    last = next((n for n in range(len(ids) - 1, -1, -1) if ids[n] in eos_ids), None)
    if last is not None and not tokenizer.decode(ids[last + 1 :]).strip():
        return ids[: last + 1]
    return ids


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
    return [tokenizer.decode([x for x in r.labels if x != IGNORED]) for r in spread(rows, count)]


def spread(rows: Sequence[Row], count: int) -> Sequence[Row]:
    """A few rows from all over the set."""
    return rows[:: max(1, len(rows) // count)][:count]
