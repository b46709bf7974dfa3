"""Several runs of `benchmarks.research_extraction` as one: shares, curve, and what silence would buy.

    python -m benchmarks.research_pool DIR… [--json]

Runs of one draw ask the same questions, so their answers are not independent: beside the Wilson
interval over all answers stands one from drawing whole questions again (2,000 times, seed 0).

The trade-off: an answer whose least probable token is below a bound is withheld. For each bound the
share answered, and of all questions the shares right, rightly cited and fabricated.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.research_extraction import MEASURED, Results
from core.evaluation.statistics import wilson

BOUNDS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
AGAIN = 2000


def pooled(runs: Sequence[Results]) -> dict[str, str]:
    """k/n, the share, its Wilson interval and the one over questions, of each thing measured."""
    by_question: dict[str, Results] = defaultdict(list)
    for run in runs:
        for answer in run:
            by_question[answer["id"]].append(answer)
    groups, rng = list(by_question.values()), random.Random(0)
    drawn = [rng.choices(groups, k=len(groups)) for _ in range(AGAIN)]
    found = {}
    for key in MEASURED:
        p = wilson(sum(a[key] for g in groups for a in g), sum(map(len, groups)))
        again = sorted(sum(a[key] for g in one for a in g) / sum(map(len, one)) for one in drawn)
        low, high = again[round(0.025 * AGAIN)], again[round(0.975 * AGAIN) - 1]
        found[key] = (
            f"{p.k}/{p.n} = {p.estimate:.1%} Wilson [{p.low:.0%}, {p.high:.0%}]"
            f" questions [{low:.0%}, {high:.0%}]"
        )
    return found


def tradeoff(answers: Results) -> list[dict[str, float]]:
    """Of all questions: answered, fact, cited and fabricated, when the less sure are withheld."""
    rows = []
    for bound in BOUNDS:
        kept = [a for a in answers if a["sure"] >= bound]
        shares = {key: round(sum(a[key] for a in kept) / len(answers), 4) for key in MEASURED}
        rows.append({"bound": bound, "answered": round(len(kept) / len(answers), 4), **shares})
    return rows


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("dirs", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    runs = [json.loads((d / "answers.json").read_text()) for d in args.dirs]
    found: dict[str, Any] = {
        name: pooled([r[name] for r in runs])
        for name in ("unseen", "seen", "held_out_families")
        if all(name in r for r in runs)
    }
    unseen: Results = [a for r in runs for a in r["unseen"]]
    for name, new in (("unseen_new_pattern", True), ("unseen_known_pattern", False)):
        parts = [[a for a in r["unseen"] if a.get("new_pattern") is new] for r in runs]
        if all(parts):
            found[name] = pooled(parts)
    found["tradeoff"] = tradeoff(unseen)
    found["curves"] = {d.name: json.loads((d / "curve.json").read_text()) for d in args.dirs}
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    for name, shares in found.items():
        if isinstance(shares, dict) and name != "curves":
            print(name, *(f"  {key}: {said}" for key, said in shares.items()), sep="\n")
    for row in found["tradeoff"]:
        print(" ".join(f"{key} {value:.2f}" for key, value in row.items()))
    for run, points in found["curves"].items():
        print(run, *(f"  {p}" for p in points), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
