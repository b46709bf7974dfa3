"""The model with the nearest stored pairs in its prompt: what fine-tuning has to be worth more than.

The pairs are training pairs. One that asks a golden question in its own words, or carries its id, is
held back from that question: with it the prompt would hold the expected answer, and the column would
measure copying.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.evaluation.engines import Asked
from core.evaluation.golden import GoldenQuestion
from core.evaluation.normalise import normalise, words
from core.evaluation.retrieval import Store
from core.pairs import Pair

TOP = 3
MAX_PAIR = 1500  # characters of a stored answer in the prompt; its end, the citation, stays
KEPT_END = 300

WITH_PAIRS = """\
Stored questions and answers that may help:

{pairs}

Answer the question below from them. Keep the citation marker <<SRC:…>> of the answer you use. If they \
do not answer it, say that you do not know.

Question: {question}"""
WITHOUT_PAIRS = """\
No stored question is like the one below. If you do not know the answer, say so.

Question: {question}"""
PAIR = "Question: {question}\nAnswer: {answer}"


def prompt_sha256() -> str:
    """The wording above as 64 hex digits: answers to other wording are other answers."""
    return hashlib.sha256("\0".join((WITH_PAIRS, WITHOUT_PAIRS, PAIR)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Worded:
    """A question with its pairs around it. nearest: ids of those pairs, best first."""

    asked: Asked
    nearest: tuple[str, ...]


class Augmenter:
    """Puts the TOP nearest pairs around a question. Use it as a context manager."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        """Raises UsageError where there is no pair."""
        self._pairs = list(pairs)
        self._store = Store((p.question, p.answer) for p in self._pairs)
        self._same: dict[tuple[str, ...], set[int]] = defaultdict(set)
        self._ids: dict[str, set[int]] = defaultdict(set)
        for row, pair in enumerate(self._pairs):
            self._same[_wording(pair.question)].add(row)
            self._ids[pair.id].add(row)
        self.held_back: set[str] = set()

    def __enter__(self) -> Augmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def word(self, question: GoldenQuestion) -> Worded:
        own = self._own(question)
        self.held_back |= {self._pairs[row].id for row in own}
        found = self._store.nearest(question.question, TOP, leave_out=own)
        if not found:
            text = WITHOUT_PAIRS.format(question=question.question)
            return Worded(Asked(question.id, text), ())
        # the nearest last, next to the question
        shown = "\n\n".join(
            PAIR.format(question=f.nearest, answer=_short(f.answer)) for f in reversed(found)
        )
        text = WITH_PAIRS.format(pairs=shown, question=question.question)
        nearest = tuple(self._pairs[f.row].id for f in found)
        return Worded(Asked(question.id, text), nearest)

    def _own(self, question: GoldenQuestion) -> set[int]:
        texts: Sequence[str] = (question.question, *question.paraphrases)
        rows = set().union(*(self._same.get(_wording(t), set()) for t in texts))
        for known in (question.id, question.cluster):
            rows |= self._ids.get(known, set())
        return rows


def _wording(text: str) -> tuple[str, ...]:
    return tuple(words(normalise(text)))


def _short(answer: str) -> str:
    if len(answer) <= MAX_PAIR:
        return answer
    return f"{answer[: MAX_PAIR - KEPT_END]} … {answer[-KEPT_END:]}"
