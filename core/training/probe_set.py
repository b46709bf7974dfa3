"""What a training is probed with: which questions, and which of them the training rows give away. Light.

A probed fact is asked in a wording that no training row has, mechanical rewordings included; whether
that is so is settled by the tests of `core.contamination` (exact, normalised, word runs, near). Facts
without such a wording are asked as they were trained, which measures memory of a sentence and not what
was learned: a stratum of its own, in no sum with the other.

Of a golden question with paraphrases only these are used. Its own wording stays unseen by whoever
watches the curves, and by the stop rule, for the evaluation that decides.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from core import citations
from core.corpus import key_facts
from core.evaluation.deferral import expects
from core.evaluation.golden import GoldenQuestion
from core.evaluation.strata import strata
from core.pairs import Message, Pair
from core.training import lessons
from core.training.data import Conversation
from core.training.recipe import ProbePart

Stratum = Literal["unseen wording", "trained wording", "deferral", "canary"]


@dataclass(frozen=True, slots=True)
class Probed:
    """One question. fact: name of what it asks for: of a fact the id of the pair that first says it."""

    question: GoldenQuestion
    stratum: Stratum
    fact: str


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """facts: those of the training rows; unseen: those of them that have an unseen wording, asked or
    not.  dropped: wordings not used because a training row has them, or nearly.
    """

    items: tuple[Probed, ...]
    facts: int
    unseen: int
    dropped: int

    def count(self, stratum: Stratum) -> int:
        return sum(item.stratum == stratum for item in self.items)

    @property
    def sha256(self) -> str:
        """Of questions and labels: probes of two runs compare if this is the same."""
        rows = [[item.stratum, item.fact, item.question.as_row()] for item in self.items]
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        return {
            "facts": self.facts,
            "unseen": self.unseen,
            "in_unseen_wording": self.count("unseen wording"),
            "in_trained_wording": self.count("trained wording"),
            "deferrals": self.count("deferral"),
            "canaries": self.count("canary"),
            "dropped": self.dropped,
            "sha256": self.sha256,
        }

    def sentence(self) -> str:
        d = self.as_dict()
        text = (
            f"{d['in_unseen_wording']} facts in unseen wording, {d['deferrals']} deferrals, "
            f"{d['canaries']} invented resources"
        )
        if without := self.facts - self.unseen:
            text += (
                f"; {without} of {self.facts} facts have no unseen wording, "
                f"{d['in_trained_wording']} of them are asked as they were trained"
            )
        if self.dropped:
            text += f"; {self.dropped} wordings left out, they are trained"
        return text


def choose(
    trained: Sequence[Pair],
    candidates: Iterable[GoldenQuestion],
    part: ProbePart,
    earlier: Sequence[Pair] = (),
) -> ProbeSet:
    """The questions of every probe of a run. The same rows and candidates give the same questions,
    whatever the run's seed, so that curves of several seeds compare.

    earlier: what adapters under this run were trained on: their wordings are no unseen ones either.
    """
    worded = list(_worded(candidates))
    judged = strata(worded, [*trained, *earlier])
    fact_of = facts_of(trained)
    clean: dict[str, list[GoldenQuestion]] = {"answer": [], "deferral": [], "canary": []}
    said_by: dict[str, str] = {}
    dropped = 0
    for question, finding in zip(worded, judged.findings, strict=True):
        wants = expects(question)
        kind = "canary" if question.canary else "answer" if wants == "answer" else "deferral"
        if finding.wordings:
            dropped += 1
        elif kind != "answer":
            clean[kind].append(question)
        elif finding.stratum != "untrained fact":
            fact = next((fact_of[p] for p in finding.fact_pairs if p in fact_of), None)
            if fact is not None:
                said_by[question.id] = fact
                clean[kind].append(question)
    unseen = _one_each(clean["answer"], said_by)
    names = list(dict.fromkeys(fact_of.values()))
    items = [Probed(unseen[f], "unseen wording", f) for f in draw(list(unseen), part.facts)]
    without = [name for name in names if name not in unseen]
    by_id = {p.id: p for p in trained}
    for fact in draw(without, part.facts - len(items)):
        items.append(Probed(as_trained(by_id[fact]), "trained wording", fact))
    for stratum, most in (("deferral", part.deferrals), ("canary", part.canaries)):
        one = _one_each(clean[stratum], {q.id: q.cluster for q in clean[stratum]})
        items += [Probed(one[c], stratum, c) for c in draw(list(one), most)]  # type: ignore[arg-type]
    return ProbeSet(tuple(items), len(names), len(unseen), dropped)


def facts_of(trained: Iterable[Pair]) -> dict[str, str]:
    """Pair id → name of its fact, the id of the first pair that says it. Deferrals have none.

    One fact: pairs with the same answer, and those built from one of them under another form.
    """
    by_answer: dict[str, str] = {}
    by_id: dict[str, str] = {}
    for pair in trained:
        if lessons.defers(pair):
            continue
        source = str(pair.metadata.get("built_from") or pair.id.partition("#")[0])
        fact = by_id.get(source) or by_answer.setdefault(pair.answer.strip(), pair.id)
        by_answer.setdefault(pair.answer.strip(), fact)
        by_id[pair.id] = fact
    return by_id


def pairs_of(conversations: Iterable[Conversation], path: Path) -> list[Pair]:
    """What is trained, as pairs; metadata from the file's rows, also for rewordings of a row."""
    metadata = _metadata(path)
    return [
        Pair(
            c.id,
            "",
            "",
            "",
            tuple(Message(m["role"], m["content"]) for m in (*c.prompt, c.completion)),
            metadata.get(c.id) or metadata.get(c.id.partition("~")[0], {}),
        )
        for c in conversations
    ]


def _metadata(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text("utf-8").split("\n"):
        row = json.loads(line) if line.strip() else {}
        if isinstance(row.get("metadata"), dict):
            found[str(row.get("id"))] = row["metadata"]
    return found


def _worded(candidates: Iterable[GoldenQuestion]) -> Iterable[GoldenQuestion]:
    for question in candidates:
        if question.paraphrases:
            yield from (replace(q, cluster=question.cluster) for q in question.rephrased())
        else:
            yield question


def _one_each(
    questions: Sequence[GoldenQuestion], name_of: Mapping[str, str]
) -> dict[str, GoldenQuestion]:
    """One wording of each fact. A held-out wording of the training data comes before a golden one:
    it asks for this fact alone.
    """
    found: dict[str, GoldenQuestion] = {}
    for question in sorted(questions, key=lambda q: ("~" in q.id, q.id)):
        found.setdefault(name_of[question.id], question)
    return found


def draw(names: Sequence[str], most: int) -> list[str]:
    """At most `most` of them, in their order; a larger draw holds the smaller one."""
    shuffled = list(names)
    random.Random(0).shuffle(shuffled)
    taken = set(shuffled[: max(0, most)])
    return [name for name in names if name in taken]


def as_trained(pair: Pair) -> GoldenQuestion:
    sources = tuple(dict.fromkeys(m.source_id for m in citations.find(pair.answer)))
    return GoldenQuestion(
        id=f"trained_{pair.id}",
        category="resource_specs",
        question=pair.question,
        expected_answer=citations.without_markers(pair.answer),
        key_facts=tuple(key_facts(pair)),
        expected_sources=sources,
        expected_tools=(),
        query_type="STATIC",
        citation_expected=bool(sources),
    )
