"""Numbers and names of an answer that nothing supports: a deterministic count of confabulation.

Supported is what stands in the question, the expected answer or its key facts, or in what the
project itself says of a source the answer cites or should cite. The check cannot tell that a detail
is false, only that the model has it from nowhere the question rests on.

A name is a word with a digit in it (A100), or one written with a capital in the middle of a
sentence. Everyday abbreviations (GPU, SSH) are none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from core import citations
from core.evaluation.labels import STOP_WORDS, Expected
from core.evaluation.matching import COUNT_NOUNS
from core.evaluation.normalise import UNITS, Prepared, words
from core.pairs import Pair

MAX_KEPT = 50
# Not at the beginning of a sentence, line or list item: a word and a blank stand before it.
_CAPITALISED = re.compile(r"[A-Z](?<=[\w,)'\"] .)[\w-]+")
_EVERYDAY = (
    frozenset(
        "access nsf hpc ram vram dram ssd hdd nvme vm api id faq pi ssh sftp scp vpn mfa url http "
        "https linux unix web internet os ai ml io mpi openmp us usa english please january february "
        "march april june july august september october november december monday tuesday wednesday "
        "thursday friday saturday sunday utc".split()
    )
    | STOP_WORDS
    | COUNT_NOUNS
    | frozenset(UNITS.values())
)


@dataclass(frozen=True, slots=True)
class Support:
    """Words and numbers that something else says."""

    words: frozenset[str]
    values: frozenset[float]


class SourceFacts(Mapping[str, Support]):
    """Source id → what the training pairs that cite it say; read when asked for."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._texts: dict[str, list[str]] = defaultdict(list)
        for pair in pairs:
            for source in {m.source_id for m in citations.find(pair.answer)}:
                self._texts[source].append(f"{pair.question}\n{pair.answer}")
        self._read: dict[str, Support] = {}

    def __getitem__(self, source: str) -> Support:
        if source not in self._read:
            said = [Prepared(text) for text in self._texts.get(source, ())]
            if not said:
                raise KeyError(source)
            self._read[source] = Support(
                frozenset().union(*[p.words for p in said]),
                frozenset(q.value for p in said for q in p.quantities if q.value is not None),
            )
        return self._read[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def unsupported_details(
    expected: Expected,
    answer: Prepared,
    unsupported: Mapping[str, float | None],
    supports: Sequence[Support] = (),
) -> tuple[str, ...]:
    """The numbers and names nothing supports, at most MAX_KEPT; linear in the answer's length.

    unsupported: what the labels do not support, from `facts.unsupported_details`.
    """
    found = dict(unsupported)
    found.update(dict.fromkeys(_names(expected, answer)))
    if supports:
        found = {
            detail: value
            for detail, value in found.items()
            if not any(detail in s.words if value is None else value in s.values for s in supports)
        }
    return tuple(found)[:MAX_KEPT]


def _names(expected: Expected, answer: Prepared) -> list[str]:
    known = expected.known_words
    return [
        word
        for token in _CAPITALISED.findall(answer.raw)
        for word in _parts_of_name(token)
        if word not in known
    ]


@lru_cache(maxsize=50_000)
def _parts_of_name(token: str) -> tuple[str, ...]:
    said = words(token.casefold().replace("-", " "))
    return tuple(w for w in said if w.isalpha() and w not in _EVERYDAY)
