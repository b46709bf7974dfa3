"""Everything that can be said about a golden set before an answer is scored against it.

Faults make a file unusable. Findings do not, but each weakens what a score says: a label that its
own expected answer does not meet, a unit that is probably misspelt, two questions alike, a question
whose wording is trained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

from core.contamination import Contamination
from core.evaluation.deferral import expects
from core.evaluation.golden.files import expand, golden_sha256
from core.evaluation.golden.model import (
    DESIGN_COUNTS,
    Fault,
    GoldenFileError,
    GoldenQuestion,
    category_counts,
)
from core.evaluation.golden.rows import show
from core.evaluation.golden.sets import Mount, Part, named_set, read_mounts, version
from core.evaluation.grading import Grader
from core.evaluation.normalise import UNITS, unit_name
from core.near_duplicates import content_words, near_duplicates, near_duplicates_within
from core.pairs import Pair

THRESHOLD = 0.75
PARAPHRASES = 2
MIN_DEFERRALS = 60
LARGE_TOLERANCE = 0.1

Kind = Literal[
    "balance",
    "label",
    "unit",
    "tolerance",
    "tool",
    "source",
    "paraphrases",
    "canary",
    "alike",
    "trained",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at. id: of the question, "" for the set as a whole."""

    kind: Kind
    id: str
    what: str
    try_next: str


@dataclass(frozen=True, slots=True)
class Close:
    """A golden wording too alike a training question. golden, training: positions in either set."""

    golden: int
    training: int
    how: str
    similarity: float
    golden_id: str
    question: str
    training_question: str


@dataclass(frozen=True, slots=True)
class Report:
    """parts, sha256: what was read; "" with faults.  categories: items, paraphrases not counted.
    contamination: None where no pairs were given.
    """

    parts: tuple[Part, ...]
    sha256: str
    items: tuple[GoldenQuestion, ...]
    faults: tuple[Fault, ...]
    findings: tuple[Finding, ...]
    near_duplicates: tuple[Close, ...]
    contamination: Contamination | None

    @property
    def categories(self) -> dict[str, int]:
        return category_counts(self.items)

    @property
    def counts(self) -> dict[str, int]:
        """live: for a tool.  refusals: plain ones, canaries among them.  paraphrased: items with two."""
        wanted = [expects(q) for q in self.items]
        return {
            "items": len(self.items),
            "paraphrases": sum(len(q.paraphrases) for q in self.items),
            "paraphrased": sum(len(q.paraphrases) >= PARAPHRASES for q in self.items),
            "live": wanted.count("live"),
            "refusals": wanted.count("refusal"),
            "canaries": sum(q.canary for q in self.items),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "n": len(self.items),
            "sha256": self.sha256,
            "ok": not self.faults,
            "parts": [asdict(p) for p in self.parts],
            "categories": self.categories,
            "design": DESIGN_COUNTS,
            "counts": self.counts,
            "faults": [asdict(f) for f in self.faults],
            "findings": [asdict(f) for f in self.findings],
            "near_duplicates": [asdict(c) for c in self.near_duplicates],
            "contamination": _summary(self.contamination),
        }


def check(
    mounted: Sequence[Mount],
    *,
    pairs: Iterable[Pair] | None = None,
    sources: Collection[str] = (),
    tools: Collection[str] = (),
) -> Report:
    """Read and examine golden files as one set. Faults are returned, not raised.

    pairs: what is trained, each with its questions and answers; None: contamination is not looked
    at.  sources, tools: what is known to exist; empty: not checked.
    """
    readings, faults = read_mounts(mounted)
    items = tuple(named_set(q, m.name) for m, r in readings for q in r.questions)
    if not items and not faults:
        name = ", ".join(str(m.path) for m in mounted)
        faults = (Fault(name, 0, "", "holds no question", "write one JSON object a line"),)
    parts: tuple[Part, ...] = ()
    if not faults:
        parts = tuple(
            Part(r.file, m.name, golden_sha256(m.path), len(r.lines)) for m, r in readings
        )
    trained = None if pairs is None else list(pairs)
    asked = list(expand(list(items)))
    close = _close(asked, trained or ())
    found = [*_balance(items), *(f for q in items for f in _labels(q, sources, tools))]
    found += _alike(asked)
    contaminated = None
    if trained is not None:
        from core.evaluation.strata import strata

        contaminated = strata(asked, trained)
        found += _trained(contaminated, close)
        found += _canaries(items, trained)
    return Report(
        parts,
        version(parts) if parts else "",
        items,
        faults,
        tuple(sorted(found, key=lambda f: KINDS.index(f.kind))),
        tuple(close),
        contaminated,
    )


def raise_faults(report: Report) -> None:
    """Raises GoldenFileError if there are any."""
    if report.faults:
        raise GoldenFileError(list(report.faults))


def _balance(items: Sequence[GoldenQuestion]) -> Iterator[Finding]:
    for name, n in category_counts(items).items():
        if n < DESIGN_COUNTS[name]:
            what = f"{n} questions in {name}, the design asks for {DESIGN_COUNTS[name]}"
            yield Finding("balance", "", what, f"add {DESIGN_COUNTS[name] - n}")
    deferrals = sum(expects(q) != "answer" for q in items)
    if deferrals < MIN_DEFERRALS:
        what = f"{deferrals} questions are to be deferred or refused: too few to decide that gate"
        yield Finding("balance", "", what, f"have {MIN_DEFERRALS}, or mount a set of them")


def _labels(
    q: GoldenQuestion, sources: Collection[str], tools: Collection[str]
) -> Iterator[Finding]:
    if len(q.paraphrases) < PARAPHRASES:
        what = f"{len(q.paraphrases)} paraphrases"
        yield Finding(
            "paraphrases", q.id, what, f"give {PARAPHRASES}: robustness is measured on them"
        )
    wants = expects(q)
    graded = Grader(q).grade(q.expected_answer)
    if graded.grade != "correct":
        why = "; ".join((*graded.missing, *graded.contradictions, *graded.forbidden))
        what = f"its own expected answer is graded {graded.grade}: {why}"
        yield Finding("label", q.id, what, "make labels and expected answer agree")
    if wants == "answer" and not q.key_facts and not q.canary:
        what = f"no key fact: answers are graded by the looser rule {graded.rule}"
        yield Finding("label", q.id, what, "name what an answer must contain")
    if wants == "answer" and q.citation_expected and not q.expected_sources:
        yield Finding(
            "label", q.id, "a citation is expected, but no source is right", "name expected_sources"
        )
    if wants == "live" and not q.expected_tools:
        what = "to be deferred, but no tool is right"
        yield Finding("tool", q.id, what, "name expected_tools")
    if q.canary and wants != "refusal":
        what = "a canary whose expected answer does not say that it is unknown"
        yield Finding("canary", q.id, what, 'begin with "I know of no …"')
    for n, fact in enumerate(q.key_facts):
        if isinstance(fact, dict):
            yield from _number(q.id, n, fact["unit"], fact.get("tolerance", 0.0))
    for kind, known, named in (
        ("tool", tools, q.expected_tools),
        ("source", sources, q.expected_sources),
    ):
        for name in named:
            if known and name not in known:
                near = get_close_matches(name, list(known), 1)
                hint = f"did you mean {near[0]!r}?" if near else f"add it to the known {kind}s"
                what = f"{show(name)} is no {kind} that is known"
                yield Finding(kind, q.id, what, hint)  # type: ignore[arg-type]


def _number(question_id: str, n: int, unit: str, tolerance: float) -> Iterator[Finding]:
    if unit and not unit_name(unit):
        near = get_close_matches(unit.casefold(), [u for u in UNITS if len(u) > 1], 1, 0.8)
        if near:
            what = f"key_facts[{n}]: {show(unit)} is no measured unit, so it is taken for a thing counted"
            yield Finding("unit", question_id, what, f"did you mean {near[0]!r}?")
    if tolerance > LARGE_TOLERANCE:
        what = f"key_facts[{n}]: tolerance {tolerance:g} accepts values {tolerance:.0%} off"
        yield Finding("tolerance", question_id, what, "0.01 is 1 %")


def _close(asked: Sequence[GoldenQuestion], pairs: Sequence[Pair]) -> list[Close]:
    trained = [m.content for p in pairs for m in p.messages if m.role == "user"]
    texts = [q.question for q in asked]
    return [
        Close(
            d.golden,
            d.training,
            d.how,
            round(d.similarity, 4),
            asked[d.golden].id,
            texts[d.golden],
            trained[d.training],
        )
        for d in near_duplicates(texts, trained, THRESHOLD)
    ]


def _alike(asked: Sequence[GoldenQuestion]) -> Iterator[Finding]:
    for d in near_duplicates_within([q.question for q in asked], THRESHOLD):
        a, b = asked[d.golden], asked[d.training]
        what = f"asks nearly the same as {show(b.id)} ({d.how}, {d.similarity:.2f})"
        hint = "say it in other words" if a.cluster == b.cluster else "drop one of the two"
        yield Finding("alike", a.id, what, hint)


def _trained(found: Contamination, close: Sequence[Close]) -> Iterator[Finding]:
    hint = "ask it in other words, or take the pair out of training"
    told: set[str] = set()
    for f in found.findings:
        if f.wordings:
            told.add(f.golden_id)
            w = f.wordings[0]
            what = f"its wording is trained: pair {show(w.pair_id)} ({w.test}, {w.similarity:.2f})"
            yield Finding("trained", f.golden_id, what, hint)
        if f.conflict:
            what = "its question is trained with another answer"
            yield Finding("trained", f.golden_id, what, "find out which of the two is right")
    for c in close:
        if c.golden_id not in told:
            told.add(c.golden_id)
            what = f"close to {show(c.training_question)} ({c.how}, {c.similarity:.2f})"
            yield Finding("trained", c.golden_id, what, hint)


def _canaries(items: Sequence[GoldenQuestion], pairs: Sequence[Pair]) -> Iterator[Finding]:
    """A canary must name something that training has never seen."""
    unseen = {q.id: set(content_words(q.question)) for q in items if q.canary}
    open_words = frozenset(w for words in unseen.values() for w in words)
    seen: set[str] = set()
    for pair in pairs if unseen else ():
        for message in pair.messages:
            seen |= content_words(message.content) & open_words
    for question_id, words in unseen.items():
        if words <= seen:
            what = "a canary, but every word of it occurs in the training data"
            yield Finding("canary", question_id, what, "invent a name that is nowhere")


def _summary(found: Contamination | None) -> dict[str, Any] | None:
    if found is None:
        return None
    whole = found.as_json()
    items = [asdict(f) for f in found.findings if f.wordings or f.conflict]
    return {**whole, "items": items}
