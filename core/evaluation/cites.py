"""The citations of an answer, one class a marker, and the counts the metrics rest on.

    presence    answers that should cite and have at least one well-formed marker
    precision   correct markers / all markers, fabricated and malformed ones included
    recall      accepted sources cited / accepted sources of the questions that want citations
    fabricated  (unknown domain + unknown entity) / well-formed markers

A fabricated marker stays in every denominator: leaving it out, as some citation metrics do, gives a
model that invents its sources a perfect precision.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import citations
from core.citations import SourceIndex
from core.evaluation.golden import GoldenQuestion

FABRICATED = frozenset({"unknown_domain", "unknown_entity"})
MAX_KEPT = 20  # markers of one answer that are written out; all are counted


@dataclass(frozen=True, slots=True)
class Cited:
    """Counts over one answer's markers. recalled / wanted: accepted sources cited / accepted."""

    kept: tuple[tuple[str, str], ...]  # (marker text, class), the first MAX_KEPT
    markers: int
    well_formed: int
    correct: int
    fabricated: int
    wrong_entity: int
    stale: int
    recalled: int
    wanted: int

    @property
    def sources(self) -> tuple[str, ...]:
        """Registered sources among the kept markers."""
        return tuple(
            text[len("<<SRC:") : -len(">>")]
            for text, cls in self.kept
            if cls in ("correct", "wrong_entity", "stale")
        )

    @property
    def malformed(self) -> int:
        return self.markers - self.well_formed

    @property
    def right(self) -> bool:
        """At least one accepted source is cited, and nothing that is not accepted."""
        return self.correct > 0 and self.correct == self.markers


def read(answer: str, question: GoldenQuestion, index: SourceIndex | None) -> Cited:
    """Judge every marker of one answer. A question without accepted sources accepts none.

    Raises RegistryNotLoaded if there are no sources to judge against, whatever the answer.
    """
    found = citations.classify(answer, index, question.expected_sources)
    if not found:
        return Cited((), 0, 0, 0, 0, 0, 0, 0, _wanted(question))
    classes = [m.cls for m in found]
    cited = {m.source.source_id for m in found if m.source is not None and m.cls == "correct"}
    return Cited(
        kept=tuple((m.text[:200], m.cls) for m in found[:MAX_KEPT]),
        markers=len(found),
        well_formed=len(found) - classes.count("malformed"),
        correct=classes.count("correct"),
        fabricated=sum(c in FABRICATED for c in classes),
        wrong_entity=classes.count("wrong_entity"),
        stale=classes.count("stale"),
        recalled=len(cited) if question.citation_expected else 0,
        wanted=_wanted(question),
    )


def _wanted(question: GoldenQuestion) -> int:
    return len(set(question.expected_sources)) if question.citation_expected else 0
