"""Wordings written by a model: the base model here, or any OpenAI-compatible server. Never trusted.

The model sees a question and its answer and is asked for other questions. Each line it gives is
checked against the pair like every other form; what is refused is counted, with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from core import citations
from core.augment.about import About, about
from core.augment.verify import wording_faults
from core.evaluation.engines import Asked, Engine
from core.near_duplicates import content_words, words
from core.pairs import Pair

ASKED_FOR = 8
LONGEST_LINE = 300
PROMPT = """\
Write {count} different ways in which a person could ask the question below. Keep its meaning and \
every name. Do not answer it. One question a line, nothing else.

Question: {question}
Its answer, for your understanding: {answer}"""
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s*")
_QUOTES = "\"'`“”„ "


@dataclass(frozen=True, slots=True)
class Written:
    """kept: pair id → wordings that passed.  refused: reason → count.  unanswered: pair ids."""

    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    unanswered: tuple[str, ...] = ()


def write(pairs: Iterable[Pair], engine: Engine, batch_size: int = 8) -> Written:
    """Ask for other wordings of every pair's question. The engine's errors pass through."""
    by_id = {p.id: p for p in pairs}
    asked = [Asked(p.id, prompt(p)) for p in by_id.values()]
    kept: dict[str, tuple[str, ...]] = {}
    refused: Counter[str] = Counter()
    for batch in engine.answer_batches(asked, batch_size):
        for answer in batch:
            good, bad = read(answer.answer, by_id[answer.id])
            kept[answer.id] = good
            refused += bad
    missing = tuple(p for p in by_id if p not in kept)
    return Written(kept, dict(refused.most_common()), missing)


def prompt(pair: Pair, count: int = ASKED_FOR) -> str:
    answer = citations.without_markers(pair.answer)
    return PROMPT.format(count=count, question=pair.question, answer=answer)


def read(said: str, pair: Pair) -> tuple[tuple[str, ...], Counter[str]]:
    """The wordings in a model's answer that may be used, and why the others may not."""
    it = about(pair)
    seen = {tuple(words(pair.question))}
    good: list[str] = []
    bad: Counter[str] = Counter()
    for line in said.splitlines():
        text = _LIST_MARK.sub("", line[: LONGEST_LINE + 1]).strip(_QUOTES)
        if not text:
            continue
        reason = _why_not(text, pair, it, seen) or next(iter(wording_faults(text, pair, it)), "")
        if reason:
            bad[reason.partition(":")[0]] += 1
            continue
        seen.add(tuple(words(text)))
        good.append(text)
    return tuple(good), bad


def _why_not(text: str, pair: Pair, it: About, seen: set[tuple[str, ...]]) -> str:
    """What a rule that knows no meaning can tell about a line."""
    if len(text) > LONGEST_LINE:
        return "too long"
    if tuple(words(text)) in seen:
        return "the same words again"
    if not text.endswith("?"):
        return "no question"
    meant = content_words(f"{pair.question} {citations.without_markers(pair.answer)}")
    if not content_words(text) & (meant - content_words(it.name)):
        return "no word of question or answer in it"
    return ""
