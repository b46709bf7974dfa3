"""A dossier as a page: the order in which a reader needs it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from core.evaluation.pages import (
    answers,
    categories,
    figures,
    opinions,
    record,
    serving,
    training,
)
from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.fields import count, mapping, one_line, texts
from core.evaluation.pages.model import Line, Page, Section, line
from core.evaluation.pages.verdict import name_of, sentence, summary, verdict_of


def compose(d: Dossier) -> Page:
    """The whole page; sections that have nothing to say are left out."""
    return Page(
        name_of(d.scores),
        verdict_of(d.scores),
        sentence(d.scores),
        summary(d.scores),
        tuple(_loud(d)),
        _about(d),
        tuple(_sections(d)),
        _made(d),
    )


def _sections(d: Dossier) -> Iterator[Section]:
    s = d.scores
    yield from figures.systems(s)
    yield from figures.gates(s)
    yield from figures.comparisons(s)
    yield from serving.serving(s)
    yield from training.training(d)
    yield from categories.categories(s)
    yield from answers.flips(d)
    yield from answers.causes(s)
    yield from opinions.opinions(d)
    yield from answers.worst(s)
    yield from record.data(d)
    yield from record.configuration(d)
    yield from record.signatures(d)
    yield from record.hashes(d)
    yield from record.reading(d)


def _loud(d: Dossier) -> Iterator[Line]:
    """What a reader must not miss. Capitals of the evaluation are kept."""
    for r in d.releases:
        if r.get("override_reason") and not (r.get("ended_at") or r.get("until")):
            yield line(
                ("LIVE AGAINST ITS GATES. ", "loud"),
                f"Promoted to {one_line(r.get('environment'), 20)} by"
                f" {one_line(r.get('who'), 40)}: {one_line(r['override_reason'], 300)}",
            )
    for text in texts(d.scores.get("headline"))[1:9]:
        first, dot, rest = one_line(text, 400).partition(". ")
        if dot and first.isupper():
            yield line((f"{first}. ", "loud"), rest)
        else:
            yield line(one_line(text, 400))


def _about(d: Dossier) -> Line:
    golden = mapping(d.scores.get("golden"))
    parts = [f"{count(golden['n']):,} golden questions"] if golden.get("n") else []
    if d.evaluation.get("at"):
        parts.append(f"evaluated {one_line(d.evaluation['at'], 40)[:10]}")
    if d.version.get("base_model"):
        parts.append(f"trained from {one_line(d.version['base_model'], 60)}")
    if d.version.get("status"):
        live = f", live in {' and '.join(map(str, d.live_in))}" if d.live_in else ", not live"
        parts.append(f"{one_line(d.version['status'], 20)}{live}")
    return line(" · ".join(parts))


def _made(d: Dossier) -> str:
    when = f" on {one_line(d.made_at, 40)}" if d.made_at else ""
    digest = str(d.evaluation.get("scores_sha256") or "")[:12]
    return f"Made by ACCESS QA Control{when}{f' from scores {digest}' if digest else ''}."
