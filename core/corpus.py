"""The sample corpus under `configs/corpus`, and which of its pairs the pilot trains on.

The pilot's question is narrow: does the model give the right citation, and the right fact, for a
fact it was trained on when it is asked in words it has not seen? So some facts keep one phrasing
out of training; these become the probe. The choice is deterministic: same files, same selection.
"""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from core import citations, locations
from core.errors import PairsError, SettingsError
from core.pairs import Pair
from core.source_files import SourcesFile, read_sources
from core.subjects import LABELS, source_data

TRAIN_PAIRS = 240
PROBE_FACTS = 45
DEFERRALS = {"dynamic": 30, "unknown_or_out_of_scope": 8}
RETRAIN_SHARE = 0.08
"""Part of the retraining's pairs that are new: below the 10 % that would ask for a minor bump."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to train on, and the probe: golden-question objects (JSON form) on unseen wording."""

    train: list[Pair]
    probe: list[dict[str, Any]]
    note: str


@dataclass(frozen=True, slots=True)
class Fact:
    """Pairs with the same answer text are phrasings of one fact. attribute: what it is about."""

    answer: str
    entity: str
    attribute: str
    phrasings: tuple[Pair, ...]


def corpus_dir() -> Path:
    return locations.configs() / "corpus"


def pair_files() -> list[Path]:
    """The corpus' pair files, by name. Raises PairsError if there is none."""
    files = sorted(corpus_dir().glob("*_qa_pairs.jsonl"))
    if not files:
        raise PairsError(
            f"no *_qa_pairs.jsonl in {corpus_dir()}",
            try_next="check QA_CONFIGS, or restore configs/corpus from the repository",
        )
    return files


def load_sources(path: Path | None = None) -> SourcesFile:
    """Rows and URL patterns of sources.yaml.

    Raises SettingsError: unreadable, unknown key, an id outside the marker grammar, repeated.
    """
    path = path or corpus_dir() / "sources.yaml"
    found = read_sources(path)
    if found.faults:
        first = found.faults[0]
        raise SettingsError(
            f"{path}: {first.source_id!r}: {first.what}",
            try_next="mend the entry",
        )
    return found


def pilot_selection(pairs: Iterable[Pair], *, all: bool = False) -> Selection:
    """About 240 compute-resources pairs and 38 deferrals; 45 facts keep one phrasing for the probe.

    Facts whose attribute recurs on many resources come first: they are what a small model can
    learn to tell apart. all: every pair except the probe's phrasings, the same probe.
    """
    pairs = list(pairs)
    ranked = _ranked(_facts(p for p in pairs if p.domain == "compute-resources"))
    chosen, held, _ = _choose(ranked)
    held_ids = {p.id for _, p in held}
    if all:
        train = [p for p in pairs if p.id not in held_ids]
    else:
        train = [p for f in chosen for p in f.phrasings if p.id not in held_ids]
        train += _deferrals(pairs)
    probe = [_probe_question(fact, pair) for fact, pair in held]
    return Selection(train, probe, _note(train, probe, new=0))


def retrain_selection(pairs: Iterable[Pair], *, all: bool = False) -> Selection:
    """The pilot's selection and about 8 % new pairs on top; the same probe. With `all` there is
    nothing left to add, and the selection is the pilot's.
    """
    pairs = list(pairs)
    first = pilot_selection(pairs, all=all)
    if all:
        return first
    ranked = _ranked(_facts(p for p in pairs if p.domain == "compute-resources"))
    chosen, _, rest = _choose(ranked)
    room = round(len(first.train) * RETRAIN_SHARE / (1 - RETRAIN_SHARE))
    known = {f.answer for f in chosen}
    added: list[Pair] = []
    for fact in rest:
        if fact.answer not in known and len(added) + len(fact.phrasings) <= room:
            added += fact.phrasings
    train = [*first.train, *added]
    return Selection(train, first.probe, _note(train, first.probe, new=len(added)))


def _facts(pairs: Iterable[Pair]) -> list[Fact]:
    by_answer: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_answer[pair.answer].append(pair)
    return [
        Fact(answer, _entity(group[0]), _attribute(group[0]), tuple(group))
        for answer, group in by_answer.items()
    ]


def _ranked(facts: Sequence[Fact]) -> list[Fact]:
    """Attributes on many entities first; file order within an attribute."""
    entities: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        entities[fact.attribute].add(fact.entity)
    return sorted(facts, key=lambda f: (-len(entities[f.attribute]), f.attribute))


def _choose(ranked: Sequence[Fact]) -> tuple[list[Fact], list[tuple[Fact, Pair]], list[Fact]]:
    """(facts to train, the held-out phrasing of some of them, the facts that are left).

    Every third fact with two phrasings gives one up, the first and the second in turn.
    """
    chosen: list[Fact] = []
    held: list[tuple[Fact, Pair]] = []
    count = with_two = 0
    for at, fact in enumerate(ranked):
        if count >= TRAIN_PAIRS:
            return chosen, held, list(ranked[at:])
        chosen.append(fact)
        count += len(fact.phrasings)
        if len(fact.phrasings) < 2:
            continue
        if with_two % 3 == 1 and len(held) < PROBE_FACTS:
            held.append((fact, fact.phrasings[len(held) % 2]))
            count -= 1
        with_two += 1
    return chosen, held, []


def _deferrals(pairs: Iterable[Pair]) -> list[Pair]:
    """One pair of each dynamic template, then unknown things, up to DEFERRALS of each kind."""
    taken: dict[str, list[Pair]] = defaultdict(list)
    templates: set[str] = set()
    for pair in pairs:
        kind = source_data(pair).get("kind")
        template = pair.id.rpartition("_")[0]
        if kind in DEFERRALS and template not in templates and len(taken[kind]) < DEFERRALS[kind]:
            templates.add(template)
            taken[kind].append(pair)
    return [p for kind in DEFERRALS for p in taken[kind]]


def _probe_question(fact: Fact, pair: Pair) -> dict[str, Any]:
    return {
        "id": f"probe_{pair.id}",
        "category": "resource_specs",
        "question": pair.question,
        "expected_answer": citations.without_markers(pair.answer),
        "key_facts": key_facts(pair),
        "expected_sources": list(dict.fromkeys(m.source_id for m in citations.find(fact.answer))),
        "expected_tools": [],
        "query_type": "STATIC",
        "citation_expected": True,
        "forbidden": [],
    }


# A number ("9 million" as well) with an optional measured unit; a date; a word that holds a digit (A100,
# dt-login01); a host name.
_NUMBER = re.compile(
    r"(?<![\w.,:-])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?![\w:-]|[.,]\d)"
    r"(?:[ -](?P<scale>(?i:thousand|million|billion))s?\b)?"
    r"(?:\s(?P<unit>[KMGT][bB]/s|[KMGTPE]i?B|GHz|MHz|IOPS|(?:core|CPU|GPU|node)[ -]hours)\b)?"
)
_MONTH = "|".join(calendar.month_name[1:])
_DATE = re.compile(rf"\b(?:\d{{1,2}} (?:{_MONTH})|(?:{_MONTH}) \d{{1,2}},?) \d{{4}}\b")
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORD = re.compile(r"\b(?!\d+-)(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])\w[\w.-]*\w\b")
_HOST = re.compile(r"\b[a-z][\w-]*(?:\.[a-z][\w-]*){2,}\b")


def key_facts(pair: Pair) -> list[Any]:
    """What an answer to the pair's question must contain, by rule, in golden-question form.

    Every number (with its unit), every date, every word with a digit, every host name, and a short value of
    the source data that the answer gives in the same words. What the question or the resource's
    name already says does not count. Empty where nothing is found: score by token overlap then.
    """
    answer = citations.without_markers(pair.answer)
    given = f"{pair.question} {_label(pair, 'name')} {_label(pair, 'node_label')}"
    facts: list[Any] = []
    for m in _NUMBER.finditer(_DATE.sub("–", answer)):
        figures = m["number"].replace(",", "")
        value = Fraction(figures) * _SCALES.get((m["scale"] or "").lower(), 1)
        if not _says(given, m["number"] + (f" {m['scale']}" if m["scale"] else "")):
            number = int(value) if value.denominator == 1 else float(value)
            facts.append({"type": "number", "value": number, "unit": m["unit"] or ""})
    words = [m[0] for m in _DATE.finditer(answer)]
    words += [m[0] for m in _WORD.finditer(answer)] + [m[0] for m in _HOST.finditer(answer)]
    for value in _record(pair).values():
        short = isinstance(value, str) and len(value.split()) <= 3 and not re.search(r"\d", value)
        if short and value in answer:
            words.append(value)
    facts += [[word] for word in dict.fromkeys(words) if not _says(given, word)]
    return [f for at, f in enumerate(facts) if f not in facts[:at]]


def _says(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", text) is not None


def _record(pair: Pair) -> dict[str, Any]:
    """The facts the answer rests on, without names and labels."""
    for value in source_data(pair).values():
        if isinstance(value, dict):
            return {k: v for k, v in value.items() if k not in LABELS}
    return {}


def _label(pair: Pair, key: str) -> str:
    for value in source_data(pair).values():
        if isinstance(value, dict):
            return str(value.get(key, ""))
    return ""


def _entity(pair: Pair) -> str:
    return pair.source_ref


def _attribute(pair: Pair) -> str:
    """`memory_per_node_gb`, `cores_per_node+cpu_model`, `topic:mfa`, `retired` …"""
    for kind, value in source_data(pair).items():
        if isinstance(value, dict) and kind == "resource":
            topic = value.get("topic")
            return f"topic:{topic}" if topic else "+".join(sorted(_record(pair)))
        if isinstance(value, dict):
            return str(kind)
    return ""


def _note(train: Sequence[Pair], probe: Sequence[object], *, new: int) -> str:
    deferring = sum(1 for p in train if "kind" in source_data(p))
    added = f", {new} of them new ({new / len(train):.0%})" if new else ""
    return (
        f"{len(train)} pairs ({deferring} deferrals){added}; "
        f"{len(probe)} facts are probed in wording that is not trained"
    )
