"""Which training data make a fact answer to words it was never trained in: one row of the table.

    python -m benchmarks.research_extraction --strategy forms-20 --seed 0 --out DIR

Drawn, held out and built as `benchmarks.research_protocol` says; answers are graded by the product's
own scorer. unseen: the held-out wordings.  seen: the trained wordings of the same facts.
held_out_families: every fact with a template, in a template family that is never trained.

new pattern: unseen questions whose pattern (the wording with the resource's name taken out) stands in
no training row of any resource; the others put a known pattern to a resource it was not trained with.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.research_model import Model, steps_of
from benchmarks.research_protocol import (
    STRATEGIES,
    Strategy,
    draw,
    draw_pilot,
    held_out_wordings,
    pattern,
    rows_of,
)
from core import citations
from core.augment.about import about
from core.citations import SourceIndex
from core.corpus import key_facts, load_sources, pair_files
from core.evaluation import cites
from core.evaluation.confabulation import SourceFacts
from core.evaluation.golden import GoldenQuestion
from core.evaluation.grading import Grader
from core.evaluation.statistics import wilson
from core.near_duplicates import words
from core.pairs import Pair, read_pairs

QUIET_TOKENS_S = 350.0  # tokens a second of a step at r = 16 on all layers, two quiet cores
MEASURED = ("fact", "cited", "fabricated")
Results = list[dict[str, Any]]


def questions(pairs: Sequence[Pair]) -> list[GoldenQuestion]:
    return [
        GoldenQuestion(
            id=p.id,
            category="resource_specs",
            question=p.question,
            expected_answer=citations.without_markers(p.answer),
            key_facts=tuple(key_facts(p)),
            expected_sources=tuple(dict.fromkeys(m.source_id for m in citations.find(p.answer))),
            expected_tools=(),
            query_type="STATIC",
            citation_expected=True,
        )
        for p in pairs
    ]


class Scorer:
    """The product's scorer, with what the corpus says of each source."""

    def __init__(self) -> None:
        self.index = SourceIndex.load(load_sources().rows)
        self.facts = SourceFacts(read_pairs(pair_files()).pairs)

    def score(self, asked: Sequence[GoldenQuestion], said: Sequence[str]) -> list[dict[str, Any]]:
        out = []
        for q, text in zip(asked, said, strict=True):
            cited = cites.read(text, q, self.index)
            sources = dict.fromkeys((*cited.sources, *q.expected_sources))
            support = [self.facts[s] for s in sources if s in self.facts]
            graded = Grader(q).grade(text, support)
            out.append(
                {
                    "id": q.id,
                    "question": q.question,
                    "answer": text,
                    "fact": graded.grade == "correct",
                    "cited": cited.right,
                    "fabricated": bool(graded.confabulated) or cited.fabricated > 0,
                    "missing": list(graded.missing),
                    "confabulated": list(graded.confabulated),
                }
            )
        return out


def shares(results: Results) -> dict[str, str]:
    """k/n, the share and its Wilson interval, of each thing that is measured."""
    out = {}
    for key in MEASURED if results else ():
        p = wilson(sum(r[key] for r in results), len(results))
        out[key] = f"{p.k}/{p.n} = {p.estimate:.0%} [{p.low:.0%}, {p.high:.0%}]"
    return out


def run(
    strategy: Strategy, seed: int, drawn_by: str, base: str, out: Path | None, probes: int
) -> dict[str, Any]:
    drawn = draw_pilot() if drawn_by == "pilot" else draw(int(drawn_by))
    rows = rows_of(strategy, drawn, seed)
    trained = {tuple(words(q)) for q, _ in rows}
    assert not any(tuple(words(p.question)) in trained for p in drawn.unseen)
    model, scorer = Model(strategy, seed, base), Scorer()
    encoded = [model.encode(q, a) for q, a in rows]
    steps = steps_of(len(rows), strategy)
    curve: Results = []
    results: dict[str, Results] = {}

    def ask(name: str, pairs: Sequence[Pair]) -> None:
        asked = questions(pairs)
        texts = [q.question for q in asked]
        said = model.answers(texts)
        results[name] = scorer.score(asked, said)
        for r, p in zip(results[name], model.sure(texts, said), strict=True):
            r["sure"] = round(p, 4)

    def probe(tokens: int, loss: float) -> None:
        ask("unseen", drawn.unseen)
        curve.append({"tokens": tokens, "loss": round(loss, 4), **shares(results["unseen"])})
        print(json.dumps(curve[-1]), flush=True)
        if out:  # a run that is cut off leaves what it has found
            _write(out / "curve.json", curve)
            _write(out / "answers.json", results)

    marks = {max(1, round(steps * (n + 1) / probes)): probe for n in range(probes)}
    tokens = model.fit(encoded, strategy, seed, marks)
    ask("seen", drawn.seen)
    ask("held_out_families", held_out_wordings(drawn, rows))
    patterns = {pattern(p, q) for p in drawn.train for q, a in rows if a == p.answer}
    for pair, r in zip(drawn.unseen, results["unseen"], strict=True):
        r["new_pattern"] = pattern(pair, pair.question) not in patterns
        r["fields"] = about(pair).fields
    summary = {
        "strategy": asdict(strategy),
        "seed": seed,
        "draw": drawn_by,
        "rows": len(rows),
        "steps": steps,
        "tokens": tokens,
        "minutes_converted": round(tokens / QUIET_TOKENS_S / 60, 1),
        **{name: shares(found) for name, found in results.items()},
        "unseen_new_pattern": shares([r for r in results["unseen"] if r["new_pattern"]]),
        "unseen_known_pattern": shares([r for r in results["unseen"] if not r["new_pattern"]]),
        "curve": curve,
    }
    if out:
        _write(out / "summary.json", summary)
        _write(out / "answers.json", results)
    return summary


def _write(path: Path, found: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--strategy", default="forms-20", choices=list(STRATEGIES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw", default="0", help="a number, or pilot")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--probes", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(argv)
    strategy = STRATEGIES[args.strategy]
    changes: dict[str, Any] = {}
    for text in args.set:
        key, _, value = text.partition("=")
        with contextlib.suppress(ValueError):
            value = json.loads(value)
        changes[key] = tuple(value) if isinstance(value, list) else value
    strategy = replace(strategy, **changes)
    found = run(strategy, args.seed, args.draw, args.base, args.out, args.probes)
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
