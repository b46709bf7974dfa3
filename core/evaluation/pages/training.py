"""The section over the training: recall, fabrication and refusal as they went, where it was probed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.fields import mapping, number, rows, share
from core.evaluation.pages.model import Block, Curves, Para, Picture, Section, Table, line

CURVES = (("recall", "recall"), ("fabricated", "fabricated"), ("refusal", "refusals"))


def training(d: Dossier) -> Iterator[Section]:
    """Recall, fabrication and refusal as the training went on, where it was probed."""
    points = rows(d.scores.get("curves")) or list(d.curves)
    series = []
    for key, title in CURVES:
        found = [(number(p.get("step")), _curve_value(p.get(key))) for p in points]
        line_ = tuple((x, y) for x, y in found if x is not None and y is not None)
        if line_:
            series.append((title, line_))
    if not series and len(d.loss) < 2:
        return
    blocks: list[Block] = []
    if series:
        once = all(len(xs) == 1 for _, xs in series)
        text = "; ".join(
            f"{title} {share(xs[0][1])} %"
            if once
            else f"{title} from {share(xs[0][1])} to {share(xs[-1][1])} %"
            for title, xs in series
        )
        how = "Probed once in the training" if once else "Probed while it was trained"
        blocks.append(Para(line(f"{how}: {text}.")))
        drawing = Curves("While training, per cent", tuple(series), tuple(d.loss))
        blocks.append(Picture(drawing, f"Curves over training steps: {text}"))
        table = _curve_table(points)
        if table is not None:
            blocks.append(table)
    else:
        first, last = d.loss[0][1], d.loss[-1][1]
        text = f"loss from {first:.2f} to {last:.2f} in {d.loss[-1][0]:,.0f} steps"
        blocks.append(
            Para(line(f"Training {text}. It was not probed on the way: how recall, fabrication and"
                      " refusal developed is not known."))
        )  # fmt: skip
        blocks.append(Picture(Curves("", (), tuple(d.loss)), f"Training curve: {text}"))
    yield Section("Over the training", tuple(blocks), brief=bool(series))


def _curve_value(value: object) -> float | None:
    """A number or a measure, 0..1."""
    x = number(mapping(value).get("estimate") if isinstance(value, Mapping) else value)
    return x if x is not None and 0 <= x <= 1 else None


def _curve_table(points: list[Mapping[str, Any]], most: int = 12) -> Table | None:
    every = max(1, -(-len(points) // most))
    chosen = [*points[:-1:every], points[-1]]
    body = tuple(
        (
            line(f"{number(p.get('step')) or 0:,.0f}"),
            *(line(share(_curve_value(p.get(k)))) for k, _ in CURVES),
        )
        for p in chosen
        if number(p.get("step")) is not None
    )
    return Table(("step", *(t for _, t in CURVES)), body, numeric=0) if body else None
