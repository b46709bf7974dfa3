"""Questions that say the same thing in nearly the same words.

A golden question that stands in the training pairs measures memory of its wording, not knowledge.
Four tests, from strict to loose; a couple of questions is reported once, with the first that hits:

    same      equal after case, punctuation and Unicode forms are evened out
    8 words   eight words in a row in common
    words     Jaccard similarity of the sets of content words (stop words out, plural s off)
    letters   Jaccard similarity of the sets of five-letter runs: the exact value that MinHash
              estimates

This is for sets of hundreds against thousands. Pairs by the hundred thousand: `core.pair_duplicates`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

WORD_RUN = 8
LETTER_RUN = 5

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about all am an and any are as at be been being by can could did do does done for from
        had has have having he her his how i if in into is it its me my no not of on or our should
        so some than that the their them then there these they this those to was we were what when
        where which who whose why will with would you your s t m d re ve ll
        """,
    )
)

How = Literal["same", "8 words", "words", "letters"]


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two questions too alike. Indices into the two sequences; `similarity` in 0…1."""

    golden: int
    training: int
    how: How
    similarity: float


def near_duplicates(
    golden_questions: Sequence[str], training_questions: Sequence[str], threshold: float = 0.75
) -> list[NearDuplicate]:
    """Every (golden, training) couple that is the same, shares eight words in a row, or reaches
    `threshold` in content words or letter runs. Sorted by golden index, then training index.
    Texts without a word are like nothing. Raises ValueError: `threshold` not in (0, 1].
    """
    return _couples(golden_questions, training_questions, threshold)


def near_duplicates_within(
    questions: Sequence[str], threshold: float = 0.75
) -> list[NearDuplicate]:
    """The couples inside one set; each once, with `golden` < `training`."""
    return [d for d in _couples(questions, questions, threshold) if d.golden < d.training]


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared part of two sets, 0…1; of two empty ones 0."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0


def words(question: str) -> list[str]:
    """Lower-case words in order, after NFKC. A dot or dash inside a word stays ("2.14")."""
    text = unicodedata.normalize("NFKC", question).casefold()
    return re.findall(r"\w+(?:[.\-]\w+)*", text)


def content_words(question: str) -> frozenset[str]:
    """The words that carry the meaning: no stop words, no plural s."""
    return frozenset(_singular(w) for w in words(question) if w not in STOP_WORDS)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def letter_runs(question: str) -> frozenset[str]:
    """Every five letters in a row of the evened-out text; a shorter text is one run."""
    text = " ".join(words(question))
    if len(text) < LETTER_RUN:
        return frozenset([text] if text else [])
    return frozenset(text[i : i + LETTER_RUN] for i in range(len(text) - LETTER_RUN + 1))


def word_runs(question: str, n: int = WORD_RUN) -> frozenset[str]:
    """Every `n` words in a row, joined by a space."""
    found = words(question)
    return frozenset(" ".join(found[i : i + n]) for i in range(len(found) - n + 1))


def _couples(
    golden: Sequence[str], training: Sequence[str], threshold: float
) -> list[NearDuplicate]:
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold} is not in (0, 1]")
    found: dict[tuple[int, int], tuple[How, float]] = {}

    at: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for j, question in enumerate(training):
        at[tuple(words(question))].append(j)
    for i, question in enumerate(golden):
        said = tuple(words(question))
        for j in at.get(said, ()) if said else ():
            found[i, j] = ("same", 1.0)

    runs: defaultdict[str, list[int]] = defaultdict(list)
    for j, question in enumerate(training):
        for run in word_runs(question):
            runs[run].append(j)
    for i, question in enumerate(golden):
        for run in word_runs(question):
            for j in runs.get(run, ()):
                found.setdefault((i, j), ("8 words", 1.0))

    for how, sets_of in (("words", content_words), ("letters", letter_runs)):
        a, b = [sets_of(q) for q in golden], [sets_of(q) for q in training]
        for i, j, similarity in _alike(a, b, threshold):
            found.setdefault((i, j), (how, similarity))  # type: ignore[arg-type]
    return [NearDuplicate(i, j, how, value) for (i, j), (how, value) in sorted(found.items())]


def _alike(
    a: Sequence[frozenset[str]], b: Sequence[frozenset[str]], threshold: float
) -> Iterator[tuple[int, int, float]]:
    """All couples of sets whose Jaccard similarity is at least `threshold`.

    Prefix filter: with elements ordered from rare to common, two sets that are alike enough share
    one of their first n - ceil(threshold * n) + 1 elements, so only those are indexed. Exact.
    """
    common = Counter(element for s in (*a, *b) for element in s)

    def prefix(s: frozenset[str]) -> list[str]:
        ordered = sorted(s, key=lambda element: (common[element], element))
        # 1e-9: threshold * n may come out a hair above an integer, which would lose a couple.
        return ordered[: len(s) - ceil(threshold * len(s) - 1e-9) + 1]

    index: defaultdict[str, list[int]] = defaultdict(list)
    for j, s in enumerate(b):
        for element in prefix(s):
            index[element].append(j)
    for i, s in enumerate(a):
        for j in sorted({j for element in prefix(s) for j in index.get(element, ())}):
            similarity = jaccard(s, b[j])
            if similarity >= threshold:
                yield i, j, similarity
