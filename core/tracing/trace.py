"""Answer → version → snapshot → suspect pairs, over one registry. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core import citations
from core.citations import Classified
from core.errors import NotFound
from core.evaluation import facts as fact_check
from core.evaluation.golden import GoldenQuestion
from core.evaluation.grading import Grader
from core.evaluation.labels import expect
from core.evaluation.normalise import Prepared, Quantity
from core.pairs import Pair
from core.registry import answers, deployments, records, search, search_index, snapshots, sources
from core.registry.answers import StoredAnswer
from core.registry.store import Registry
from core.tracing.given import Given
from core.tracing.suspects import Evidence, Suspect, find_suspects, same_value, telling

MAX_SOURCES = 5
OF_A_SOURCE, OF_WORDING, OF_A_VALUE = 200, 40, 50  # pairs looked at for each


@dataclass(frozen=True, slots=True)
class Facts:
    """The answer against its golden question. grade: correct, incorrect or not_attempted."""

    grade: str
    expected_answer: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    contradictions: tuple[str, ...]
    unsupported: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """response: the id of the stored answer, "" if none is stored.  model_version: who gave it, None
    if not known or not ours.  by: how the version was found.  pairs: in the snapshot.  facts: None
    where no golden question is known.  notes: what a reader must know besides.
    """

    response: str
    answer: str
    question: str
    system: str
    model_version: str | None
    by: str
    base_model: str
    status: str
    dataset_version: str | None
    pairs: int
    markers: tuple[Classified, ...]
    facts: Facts | None
    suspects: tuple[Suspect, ...]
    notes: tuple[str, ...] = ()


def trace(
    reg: Registry,
    given: Given,
    *,
    version: str | None = None,
    golden: Sequence[GoldenQuestion] = (),
    limit: int = 20,
) -> Trace:
    """Trace one answer. version: who gave it, where the operator knows better.

    Raises NotFound (no such stored answer or version), Refused (the search index is not built).
    """
    stored = _stored(reg, given, version)
    notes: list[str] = []
    if stored is not None and given.response is None and version is None and not given.version:
        given = replace(given, question=given.question or stored.question)
        notes.append(f"the same text is stored as {stored.response}")
    answer = stored.answer if stored is not None and not given.answer else given.answer
    item = _golden_of(golden, given, stored)
    question = given.question or (stored.question if stored else "")
    question = question or (item.question if item else "")
    system = given.system or (stored.system if stored else "")
    model_version, by = _version(reg, given, version, stored, system)
    markers = tuple(
        citations.classify(
            answer, sources.index(reg), item.expected_sources if item is not None else None
        )
    )
    facts, values, wrong = _facts(item, answer)
    found = _suspects(reg, model_version, answer, question, markers, values, wrong, item, limit)
    if not question:
        notes.append("the question is not known: pairs are judged by sources and values alone")
    if item is None and question:
        notes.append("no golden question is known for it: what is wrong in it is not known")
    if model_version is None:
        notes.append("no version of ours gave this answer, so none of our pairs taught it")
        return Trace(stored.response if stored else "", answer, question, system, None, by, "", "",
                     None, 0, markers, facts, (), tuple(notes))  # fmt: skip
    known = records.get(reg, model_version)
    snapshot = snapshots.row(reg, known.dataset_version)
    if found and facts is not None and facts.grade == "incorrect" and all(s.right for s in found):
        notes.append("every suspect says the expected facts: look at the training, not at the data")
    if not found:
        notes.append("no pair of the snapshot is suspect: look for what it does not teach")
    return Trace(
        stored.response if stored else "", answer, question, system, model_version, by,
        known.base_model, known.status, known.dataset_version, snapshot.pair_count, markers, facts,
        found, tuple(notes),
    )  # fmt: skip


def _stored(reg: Registry, given: Given, version: str | None) -> StoredAnswer | None:
    wanted = given.response
    if wanted is not None:
        found = answers.named(reg, wanted.version, wanted.question, wanted.system)
        if found is None:
            if wanted.version is not None:
                records.get(reg, wanted.version)  # or there is no such version
            raise NotFound(
                f"no stored answer {wanted}",
                why="no evaluation of that version has it",
                try_next="`qa trace` alone lists what is stored; or give the answer itself",
            )
        return found
    said = version or given.version
    if said and given.row_id:
        found = answers.named(reg, said, given.row_id, given.system)
        if found is not None and found.answer.strip() == given.answer:
            return found
    same = answers.with_text(reg, given.answer)
    return next((a for a in same if said in (None, a.model_version)), None)


def _version(
    reg: Registry, given: Given, version: str | None, stored: StoredAnswer | None, system: str
) -> tuple[str | None, str]:
    """(who gave it, how that is known)."""
    if version:
        return records.get(reg, version).model_version, "as you said"
    if given.version:
        return records.get(reg, given.version).model_version, "by the response itself"
    if stored is not None:
        if stored.system == "retrieval":
            return stored.evaluated, "retrieval over its snapshot"
        return stored.model_version, "by the stored answer" if stored.model_version else (
            f"the system {system!r} is no version of ours"
        )
    for environment in reversed(records.ENVIRONMENTS):
        live = deployments.live(reg, environment)
        if live is not None:
            return live.model_version, f"assumed: live in {environment}"
    newest = records.list(reg, limit=1)
    if not newest:
        raise NotFound("there is no version yet", try_next="train one first: qa jobs train")
    return newest[0].model_version, "assumed: the newest version"


def _golden_of(
    golden: Iterable[GoldenQuestion], given: Given, stored: StoredAnswer | None
) -> GoldenQuestion | None:
    """By its wording; by its id only where no wording is known or the wording is the same."""
    text = given.question or (stored.question if stored else "")
    wanted = stored.question_id if stored else given.row_id
    for q in golden:
        if text:
            if text in (q.question, *q.paraphrases):
                return q
        elif wanted and q.id == wanted:
            return q
    return None


def _facts(
    item: GoldenQuestion | None, answer: str
) -> tuple[Facts | None, tuple[Quantity, ...], bool]:
    """Facts; the values to look for in pairs; whether those are known to be wrong."""
    said = Prepared(answer)
    if item is None:
        return None, telling(said.quantities), False
    graded = Grader(item).grade(answer)
    facts = Facts(graded.grade, item.expected_answer, graded.matched, graded.missing,
                  (*graded.contradictions, *graded.forbidden), graded.unsupported)  # fmt: skip
    if graded.grade != "incorrect":
        return facts, (), False
    expected = expect(item)
    instead = {r.found for r in fact_check.check(expected, said).results if not r.matched}
    due = Prepared(item.expected_answer).quantities
    off = [
        q for q in said.quantities if str(q) in instead and not any(same_value(q, d) for d in due)
    ]
    return facts, telling([*off, *fact_check.unsupported_numbers(expected, said)]), True


def _suspects(
    reg: Registry,
    model_version: str | None,
    answer: str,
    question: str,
    markers: Sequence[Classified],
    values: tuple[Quantity, ...],
    wrong: bool,
    item: GoldenQuestion | None,
    limit: int,
) -> tuple[Suspect, ...]:
    if model_version is None:
        return ()
    name = records.get(reg, model_version).dataset_version
    cited = [m.source_id for m in citations.find(answer)]
    evidence = Evidence(answer, question, tuple(dict.fromkeys(cited))[:MAX_SOURCES], values, wrong)
    grader = None if item is None else Grader(item)
    right = None if grader is None else lambda text: grader.grade(text).grade == "correct"
    return find_suspects(_candidates(reg, name, evidence), evidence, right, limit)


def _candidates(reg: Registry, snapshot: str, evidence: Evidence) -> list[Pair]:
    """Pairs that search brings near, each once."""
    hits = [*search.find(reg, evidence.question, snapshot=snapshot, limit=OF_WORDING)]
    text = citations.without_markers(evidence.answer)
    hits += search.find(reg, text, snapshot=snapshot, answers=True, limit=OF_WORDING)
    for source in evidence.sources:
        hits += search.find(reg, source, snapshot=snapshot, answers=True, limit=OF_A_SOURCE)
    for words in dict.fromkeys(w for v in evidence.values for w in _written(v)):
        hits += search.find(reg, words, snapshot=snapshot, answers=True, limit=OF_A_VALUE)
    rows = search_index.rows_of(reg, list(dict.fromkeys(h.content_hash for h in hits)))
    found = search.contents(reg, list(rows.values()))
    return [Pair._trusted(body) for _, body in found.values()]


def _written(value: Quantity) -> tuple[str, ...]:
    """A value as a text may have it: 4096 cores, 4,096 cores."""
    rest = value.unit or " ".join(value.counted[:1])
    if value.value is None or value.value < 1000:
        return (f"{value.literal} {rest}",)
    return f"{value.literal} {rest}", f"{value.value:,.0f} {rest}"
