"""Pairs that teach the same thing twice, and pairs that answer one question in two ways.

Two pairs are duplicates when both parts are alike, the question *and* the answer: several wordings
of a question over one answer are wanted, they are what a model learns a fact by. How alike:

    exact        the same messages
    normalised   the same words in a row, after case, punctuation and Unicode forms are evened out
    near         Jaccard similarity of the sets of five-letter runs at or above the threshold

Near questions are found by MinHash (datasketch, fixed seed) and proved by the exact similarity.
Questions that cite different sources are about different things, however alike they sound ("How much
memory has a node of Delta?", "… of Anvil?"), and are no duplicates.

The pairs are read twice. What is kept of each is a signature of 256 bytes and a hash; the text only
of those that may be duplicates.
"""

from __future__ import annotations

import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from core import citations
from core.near_duplicates import jaccard, letter_runs, words
from core.pairs import Pair

if TYPE_CHECKING:
    import numpy as np

THRESHOLD = 0.8
KEEPER_ORDER = ("user_qa", "doc_generated", "mcp_extraction")
"""Which source is kept: what people asked and reviewed, then what was written, then extracted."""

_PERMUTATIONS = 128
_SEED = 1
_NEIGHBOURS = 6  # compared in a bucket; only buckets of a template's questions are larger
_SLACK = 0.12  # of MinHash's estimate: over three standard deviations of 128 permutations

How = Literal["exact", "normalised", "near"]
Basis = Literal["question+answer", "question"]


@dataclass(frozen=True, slots=True)
class Member:
    """A pair of a group. how, similarity: against the keeper (itself: exact, 1)."""

    id: str
    source: str
    date: str
    question: str
    how: How
    similarity: float


@dataclass(frozen=True, slots=True)
class Group:
    """basis "question+answer": the others may go. "question": nearly the same is asked, the answers
    differ; read them. Every member is alike to the keeper, not only to another member.
    """

    basis: Basis
    keeper: Member
    others: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    answer: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One question (normalised) that is answered in several ways."""

    question: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """pairs: how many were read. Groups and conflicts in the order of their first pair."""

    pairs: int
    groups: tuple[Group, ...]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True)  # no slots: the runs are cached
class _Candidate:
    """What is kept of a pair that may be a duplicate. asked: its class of the same question."""

    at: int
    asked: int
    id: str
    source: str
    date: str
    question: str
    answer: str
    lesson: str
    cites: frozenset[str]

    @cached_property
    def answer_words(self) -> tuple[str, ...]:
        return tuple(words(self.answer))

    @cached_property
    def question_runs(self) -> frozenset[str]:
        return letter_runs(self.question)

    @cached_property
    def answer_runs(self) -> frozenset[str]:
        return letter_runs(self.answer)

    @property
    def rank(self) -> tuple[int, float, str]:
        """Smallest first is the keeper: by source, then the newest, then the id."""
        order = {name: n for n, name in enumerate(KEEPER_ORDER)}
        return order.get(self.source, len(order)), -_seconds(self.date), self.id


def find(pairs: Iterable[Pair], threshold: float = THRESHOLD) -> Duplicates:
    """Duplicates and conflicts of `pairs`, which is iterated twice (a Reading, a tuple).

    Raises ValueError: threshold not in (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold} is not in (0, 1]")
    asked, sizes, signatures = _first_pass(pairs, threshold < 1)
    links = _links(signatures, threshold) if signatures is not None else {}
    wanted = {n for n, size in enumerate(sizes) if size > 1} | links.keys()
    by_class: defaultdict[int, list[_Candidate]] = defaultdict(list)
    for at, pair in enumerate(pairs):
        if asked[at] in wanted:
            by_class[asked[at]].append(_candidate(at, asked[at], pair))
    groups = list(_groups(by_class, links, threshold))
    groups.sort(key=lambda g: g[0])
    return Duplicates(len(asked), tuple(g for _, g in groups), tuple(_conflicts(by_class)))


def _first_pass(
    pairs: Iterable[Pair], with_signatures: bool
) -> tuple[array[int], array[int], np.ndarray | None]:
    """(class of the same normalised question of each pair, size of each class, signature of each)."""
    classes: dict[bytes, int] = {}
    asked, sizes, rows = array("I"), array("I"), bytearray()
    sign = _Signer() if with_signatures else None
    for pair in pairs:
        said = words(pair.question)
        key = blake2b(" ".join(said or [pair.question]).encode(), digest_size=16).digest()
        number = classes.setdefault(key, len(classes))
        if number == len(sizes):
            sizes.append(0)
            if sign is not None:
                rows += sign.of(pair.question)
        sizes[number] += 1
        asked.append(number)
    if sign is None or not rows:
        return asked, sizes, None
    import numpy as np

    return asked, sizes, np.frombuffer(rows, np.uint16).reshape(-1, _PERMUTATIONS)


class _Signer:
    """Signatures of questions: 128 MinHash values, of which the lower 16 bits are kept."""

    def __init__(self) -> None:
        from datasketch import MinHash

        self._make = MinHash
        self._permutations = MinHash(_PERMUTATIONS, _SEED).permutations

    def of(self, question: str) -> bytes:
        sketch = self._make(
            _PERMUTATIONS,
            _SEED,
            hashfunc=zlib.crc32,
            permutations=self._permutations,
            scheme="affine32",
        )
        sketch.update_batch([run.encode() for run in letter_runs(question)])
        return bytes(sketch.hashvalues.astype("uint16").tobytes())


def _links(signatures: np.ndarray, threshold: float) -> dict[int, set[int]]:
    """class → classes whose questions may be near, by banded signatures; both ways."""
    import numpy as np
    from datasketch import MinHashLSH

    # What is found is proved afterwards, so a miss weighs more than a false alarm.
    lsh = MinHashLSH(threshold, _PERMUTATIONS, weights=(0.05, 0.95))
    found: dict[int, set[int]] = {}
    keys = [_band(signatures[:, b * lsh.r : (b + 1) * lsh.r]) for b in range(lsh.b)]
    for b, key in enumerate(keys):
        # Within a bucket those that share the next band too stand together.
        order = np.lexsort((keys[(b + 1) % lsh.b], key))
        for step in range(1, _NEIGHBOURS + 1):
            one, other = order[:-step], order[step:]
            same = key[one] == key[other]
            one, other = one[same], other[same]
            for i in range(0, len(one), 65536):
                x, y = one[i : i + 65536], other[i : i + 65536]
                alike = (signatures[x] == signatures[y]).mean(axis=1) >= threshold - _SLACK
                for m, n in zip(x[alike].tolist(), y[alike].tolist(), strict=True):
                    found.setdefault(m, set()).add(n)
                    found.setdefault(n, set()).add(m)
    return found


def _band(columns: np.ndarray) -> np.ndarray:
    import numpy as np

    key = np.zeros(len(columns), np.uint64)
    for column in columns.T:
        key = key * np.uint64(0x9E3779B97F4A7C15) + column
    return key


def _candidate(at: int, asked: int, pair: Pair) -> _Candidate:
    said = [m.content for m in pair.messages if m.role == "assistant"]
    cites = frozenset(m.source_id for text in said for m in citations.find(text))
    answer = citations.without_markers(pair.answer)
    date = _date(pair)
    return _Candidate(
        at, asked, pair.id, pair.source, date, pair.question, answer, pair.lesson_hash, cites
    )


def _groups(
    by_class: dict[int, list[_Candidate]], links: dict[int, set[int]], threshold: float
) -> Iterator[tuple[int, Group]]:
    """(position of its first pair, group). Each pair is in one group of a basis at most."""
    ranked = sorted((c for some in by_class.values() for c in some), key=lambda c: c.rank)
    taken: dict[Basis, set[int]] = {"question+answer": set(), "question": set()}
    for keeper in ranked:
        near = [c for n in links.get(keeper.asked, ()) for c in by_class.get(n, ())]
        alike: dict[Basis, list[tuple[_Candidate, How, float]]] = {
            "question+answer": [],
            "question": [],
        }
        for other in (*by_class[keeper.asked], *near):
            if other is keeper or other.rank < keeper.rank:
                continue
            found = _compare(keeper, other, threshold)
            if found is not None and other.at not in taken[found[0]]:
                alike[found[0]].append((other, *found[1:]))
        for basis, others in alike.items():
            if others and keeper.at not in taken[basis]:
                taken[basis] |= {keeper.at, *(c.at for c, _, _ in others)}
                others.sort(key=lambda o: o[0].at)
                first = min(keeper.at, others[0][0].at)
                members = tuple(_member(*o) for o in others)
                yield first, Group(basis, _member(keeper, "exact", 1.0), members)


def _compare(a: _Candidate, b: _Candidate, threshold: float) -> tuple[Basis, How, float] | None:
    """None: no duplicates, or a conflict, which is told elsewhere."""
    if a.lesson == b.lesson:
        return "question+answer", "exact", 1.0
    if a.cites != b.cites and not a.cites & b.cites:
        return None
    asks = 1.0 if a.asked == b.asked else jaccard(a.question_runs, b.question_runs)
    if asks < threshold:
        return None
    says = 1.0 if a.answer_words == b.answer_words else jaccard(a.answer_runs, b.answer_runs)
    if says < threshold:
        return None if a.asked == b.asked else ("question", "near", round(asks, 4))
    how: How = "normalised" if asks == says == 1.0 else "near"
    return "question+answer", how, round(min(asks, says), 4)


def _conflicts(by_class: dict[int, list[_Candidate]]) -> Iterator[Conflict]:
    for some in sorted(by_class.values(), key=lambda group: group[0].at):
        said: dict[tuple[str, ...], list[_Candidate]] = {}
        for c in some:
            said.setdefault(c.answer_words, []).append(c)
        if len(said) > 1:
            answers = (Answer(g[0].answer, tuple(c.id for c in g)) for g in said.values())
            yield Conflict(some[0].question, tuple(answers))


def _member(c: _Candidate, how: How, similarity: float) -> Member:
    return Member(c.id, c.source, c.date, c.question, how, similarity)


def _date(pair: Pair) -> str:
    """The newest of the dates in the metadata, as written; "" without one."""
    names = ("source_modified", "created_at", "updated_at")
    found = [v for name in names if isinstance(v := pair.metadata.get(name), str)]
    return max(found, key=_seconds, default="")


def _seconds(date: str) -> float:
    """Seconds since 1970; minus infinity for what is no date. Without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(date)
        return (when.replace(tzinfo=UTC) if when.tzinfo is None else when).timestamp()
    except (ValueError, OverflowError):
        return float("-inf")


__all__ = ["Answer", "Conflict", "Duplicates", "Group", "Member", "find"]
