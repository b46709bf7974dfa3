"""Which golden questions a snapshot gives away, and how.

Closed-book evaluation needs the fact to be trained; what must not be trained is the wording. So each
golden question falls into one of three strata, and only the second measures what is wanted:

    trained fact, trained wording   memory of the sentence
    trained fact, new wording       what the model learned: the headline
    untrained fact                  the right answer is to defer; anything else is invention

A wording counts as trained by the first of these tests that holds for a question of a pair:

    question+answer   both equal after normalising
    exact             the same characters
    normalised        the same words in a row, after case, punctuation and Unicode forms
    13 words          thirteen words in a row in common
    8 words           eight words in a row in common
    near              Jaccard similarity of the five-letter runs >= 0.8: the value MinHash estimates,
                      exact here, because one side is small

A fact counts as trained when pairs that cite an expected source (all pairs without a citation, where
none is expected) say all of the question's key facts between them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from core import citations
from core.near_duplicates import jaccard, letter_runs, word_runs, words
from core.pairs import Pair

THRESHOLD = 0.8
MAX_EVIDENCE = 5

Test = Literal["question+answer", "exact", "normalised", "13 words", "8 words", "near"]
Stratum = Literal["trained fact, trained wording", "trained fact, new wording", "untrained fact"]
TESTS: tuple[Test, ...] = get_args(Test)
STRATA: tuple[Stratum, ...] = get_args(Stratum)
_SAME_QUESTION: frozenset[Test] = frozenset(TESTS[:3])


@dataclass(frozen=True, slots=True)
class GoldenItem:
    """What is asked of one golden question. key_facts: as in a golden file, lists of alternatives
    and number objects; for a question that a live tool answers, its tools. sources: source ids.
    """

    id: str
    question: str
    answer: str
    key_facts: tuple[Any, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """One pair whose question is too alike. similarity: 1 but for the test `near`."""

    pair_id: str
    test: Test
    similarity: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One golden question. wordings: the strictest first, at most MAX_EVIDENCE.  fact_pairs: the
    pairs that say its facts.  conflict: the same question is trained, with another answer.
    """

    golden_id: str
    stratum: Stratum
    wordings: tuple[Wording, ...]
    fact_pairs: tuple[str, ...]
    facts_found: int
    facts: int
    conflict: bool


@dataclass(frozen=True, slots=True)
class Contamination:
    """pairs: how many were looked at.  strata, tests: golden questions; a question counts for the
    strictest test it meets.
    """

    pairs: int
    findings: tuple[Finding, ...]
    strata: dict[str, int]
    tests: dict[str, int]

    @property
    def share_trained_wording(self) -> float:
        """Part of the golden questions (0…1) whose wording is trained, whatever the fact."""
        return sum(self.tests.values()) / len(self.findings) if self.findings else 0.0

    def as_json(self) -> dict[str, Any]:
        n = len(self.findings) or 1
        return {
            "pairs": self.pairs,
            "golden": len(self.findings),
            "strata": {k: {"n": v, "share": round(v / n, 4)} for k, v in self.strata.items()},
            "tests": {k: {"n": v, "share": round(v / n, 4)} for k, v in self.tests.items()},
            "share_trained_wording": round(self.share_trained_wording, 4),
            "items": self.findings,
        }


Says = Callable[[GoldenItem, str], Sequence[bool]]
"""Which of the item's key facts an answer states, in their order."""


def contamination(
    golden: Iterable[GoldenItem], pairs: Iterable[Pair], says: Says | None = None
) -> Contamination:
    """Every golden question against every pair; the pairs are read once and not kept.

    says: the scorer's own rule, so that "trained" and "correct" mean the same; default `states`.
    """
    items = tuple(golden)
    wordings = _Wordings(items)
    facts = _Facts(items, says or states)
    n = 0
    for pair in pairs:
        n += 1
        wordings.look(pair)
        facts.look(pair)
    findings = tuple(_finding(i, item, wordings, facts) for i, item in enumerate(items))
    strictest = Counter(f.wordings[0].test for f in findings if f.wordings)
    strata = Counter(f.stratum for f in findings)
    return Contamination(
        n, findings, {s: strata[s] for s in STRATA}, {t: strictest[t] for t in TESTS}
    )


def _finding(i: int, item: GoldenItem, wordings: _Wordings, facts: _Facts) -> Finding:
    found = tuple(sorted(wordings.found[i], key=lambda w: (TESTS.index(w.test), -w.similarity)))
    same = bool(found) and found[0].test in _SAME_QUESTION
    # Nothing can be looked for where no fact is labelled; then the question itself must do.
    trained = facts.complete(i) if facts.count[i] else same
    stratum = STRATA[2] if not trained else STRATA[0] if found else STRATA[1]
    return Finding(
        item.id,
        stratum,
        found[:MAX_EVIDENCE],
        tuple(facts.pairs[i]),
        len(facts.said[i]),
        facts.count[i],
        same and not trained,
    )


class _Wordings:
    """The golden questions, indexed for each test."""

    def __init__(self, items: Sequence[GoldenItem]) -> None:
        self.found: list[list[Wording]] = [[] for _ in items]
        self._exact: defaultdict[str, list[int]] = defaultdict(list)
        self._words: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._answers = [tuple(words(item.answer)) for item in items]
        self._runs: dict[int, defaultdict[str, list[int]]] = {
            13: defaultdict(list),
            8: defaultdict(list),
        }
        self._letters = [letter_runs(item.question) for item in items]
        self._all_letters = frozenset().union(*self._letters)
        for i, item in enumerate(items):
            self._exact[item.question.strip()].append(i)
            self._words[tuple(words(item.question))].append(i)
            for n, index in self._runs.items():
                for run in word_runs(item.question, n):
                    index[run].append(i)

    def look(self, pair: Pair) -> None:
        hits: dict[int, tuple[Test, float]] = {}
        for message in pair.messages:
            if message.role == "user":
                self._look(pair, message.content, hits)
        for i, (test, similarity) in hits.items():
            _keep(self.found[i], Wording(pair.id, test, round(similarity, 4)))

    def _look(self, pair: Pair, question: str, hits: dict[int, tuple[Test, float]]) -> None:
        said = tuple(words(question))
        if not said:
            return
        for i in self._words.get(said, ()):
            if tuple(words(citations.without_markers(pair.answer))) == self._answers[i]:
                hits.setdefault(i, ("question+answer", 1.0))
        for i in self._exact.get(question.strip(), ()):
            hits.setdefault(i, ("exact", 1.0))
        for i in self._words.get(said, ()):
            hits.setdefault(i, ("normalised", 1.0))
        for n, test in ((13, "13 words"), (8, "8 words")):
            if len(said) >= n:
                for run in word_runs(question, n) & self._runs[n].keys():
                    for i in self._runs[n][run]:
                        hits.setdefault(i, (test, 1.0))  # type: ignore[arg-type]
        letters = letter_runs(question)
        # Of sets this alike at least that part of each is in the other.
        if len(letters & self._all_letters) >= THRESHOLD * len(letters):
            for i, other in enumerate(self._letters):
                if i not in hits and (similarity := jaccard(letters, other)) >= THRESHOLD:
                    hits[i] = ("near", similarity)


@dataclass(slots=True)
class _Facts:
    """Which key facts the pairs have said so far, and which pairs said them first."""

    items: Sequence[GoldenItem]
    says: Says
    said: list[set[int]] = field(init=False)
    pairs: list[list[str]] = field(init=False)
    count: list[int] = field(init=False)
    _by_source: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.said = [set() for _ in self.items]
        self.pairs = [[] for _ in self.items]
        # An empty answer says nothing, and shows how many facts the rule looks for.
        self.count = [len(self.says(item, "")) for item in self.items]
        self._by_source = {}
        for i, item in enumerate(self.items):
            for source in item.sources or ("",):
                self._by_source.setdefault(source, []).append(i)

    def complete(self, i: int) -> bool:
        return len(self.said[i]) == self.count[i]

    def look(self, pair: Pair) -> None:
        answers = [m.content for m in pair.messages if m.role == "assistant"]
        cited = {m.source_id for text in answers for m in citations.find(text)} or {""}
        about = {i for source in cited for i in self._by_source.get(source, ())}
        for i in about:
            if not self.complete(i):
                text = citations.without_markers("\n".join(answers))
                stated = {n for n, yes in enumerate(self.says(self.items[i], text)) if yes}
                if stated - self.said[i]:
                    self.said[i] |= stated
                    self.pairs[i].append(pair.id)


def states(item: GoldenItem, answer: str) -> list[bool]:
    """Plain rule: an alternative's words stand in a row in the answer; a number stands in it, with
    its unit among the next words.
    """
    said = words(answer)
    text = f" {' '.join(said)} "
    return [_states(fact, text, answer) for fact in item.key_facts]


def _states(fact: Any, text: str, answer: str) -> bool:
    if not isinstance(fact, Mapping):
        return any(_has(text, alternative) for alternative in fact)
    if any(_has(text, alias) for alias in fact.get("aliases", ())):
        return True
    value, unit = float(fact["value"]), str(fact.get("unit", "")).casefold().rstrip("s")
    within = abs(value) * float(fact.get("tolerance", 0.0)) + 1e-9
    for m in _NUMBER.finditer(answer):
        if abs(float(m[0].replace(",", "")) - value) <= within:
            after = answer[m.end() : m.end() + 60].casefold()
            if not unit or re.search(rf"\b{re.escape(unit)}", after):
                return True
    return False


_NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d{1,300})(?:\.\d{1,300})?")


def _has(text: str, phrase: str) -> bool:
    said = words(phrase)
    return bool(said) and f" {' '.join(said)} " in text


def _keep(found: list[Wording], one: Wording) -> None:
    """At most MAX_EVIDENCE of each test: a template's golden question may meet thousands of pairs."""
    if sum(w.test == one.test for w in found) < MAX_EVIDENCE:
        found.append(one)
