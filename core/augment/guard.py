"""Keeps wordings out of the training rows that are held out for measuring."""

from __future__ import annotations

from collections.abc import Iterable

from core.near_duplicates import jaccard, letter_runs, word_runs, words

ALIKE = 0.8
"""Jaccard similarity of the five-letter runs, as in core.contamination."""


class Guard:
    """Held-out wordings, indexed. A text is too close by the tests of core.contamination: the same
    words, eight words in a row, or ALIKE.
    """

    def __init__(self, held_out: Iterable[str]) -> None:
        texts = list(dict.fromkeys(held_out))
        self.text = "\n".join(texts)
        self._words = {tuple(words(t)) for t in texts}
        self._runs = {run for t in texts for run in word_runs(t)}
        self._letters = [letter_runs(t) for t in texts]
        self._all_letters = frozenset().union(*self._letters)
        self.refused: dict[str, int] = {}

    def too_close(self, text: str) -> bool:
        """Counts what it refuses, by test, in `refused`."""
        test = self._test(text)
        if test:
            self.refused[test] = self.refused.get(test, 0) + 1
        return bool(test)

    def same(self, text: str) -> bool:
        """Whether it is a held-out wording, case and punctuation aside."""
        return tuple(words(text)) in self._words

    def _test(self, text: str) -> str:
        if self.same(text):
            return "same words"
        if not self._runs.isdisjoint(word_runs(text)):
            return "8 words"
        letters = letter_runs(text)
        if len(letters & self._all_letters) < ALIKE * len(letters):
            return ""  # of two sets this alike at least that part of each is in the other
        if any(jaccard(letters, other) >= ALIKE for other in self._letters):
            return "near"
        return ""
