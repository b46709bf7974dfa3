"""Drawings as pictures, by matplotlib: imported when the first one is drawn, needs no display.

    draw(drawing, dark=False) → SVG bytes; None where matplotlib is not installed

Letters become outlines: the picture looks the same everywhere and holds no text of a file. The same
drawing gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.evaluation.pages.fields import SIGNS, one_line
from core.evaluation.pages.model import Bars, Curves, Drawing, Spans

MISSING = (
    "Pictures are left out: matplotlib is not installed (pip install 'access-qa-control[report]')."
)
WIDTH_IN = 7.2
LABEL = 34  # characters


@dataclass(frozen=True, slots=True)
class Colours:
    ink: str
    dim: str
    grid: str
    main: str
    known: Mapping[str, str]
    others: tuple[str, ...]
    ok: str
    bad: str
    unsure: str


LIGHT = Colours(
    "#1c2630", "#5b6875", "#dde3e8", "#0b5c8a",
    {"retrieval": "#d39b57", "base": "#c5ced6", "base+retrieval": "#8d7b62", "previous": "#8fb4cc"},
    ("#a08fb8", "#8fb09a", "#c0a9a0", "#93a1ad"),
    "#1a7f4b", "#b3261e", "#8a6100",
)  # fmt: skip
DARK = Colours(
    "#e4e9ee", "#9aa7b3", "#33404c", "#5ab4ea",
    {"retrieval": "#c08a45", "base": "#55626e", "base+retrieval": "#84724f", "previous": "#3f6f8c"},
    ("#7c6a97", "#64886f", "#8d766d", "#74828f"),
    "#4cc38a", "#ff7b72", "#e0b44c",
)  # fmt: skip


def available() -> bool:
    """Whether pictures can be drawn here."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw(drawing: Drawing, *, dark: bool = False) -> bytes | None:
    """An SVG picture on a clear ground, in colours for light or dark paper."""
    if not available():
        return None
    import matplotlib

    style: Any = {
        "svg.fonttype": "path",
        "svg.hashsalt": "access-qa-control",
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "font.family": ["DejaVu Sans"],
        "font.size": 8.5,
        "axes.unicode_minus": False,
    }
    ink = DARK if dark else LIGHT
    with matplotlib.rc_context(style):
        if isinstance(drawing, Bars):
            figure = _bars(drawing, ink)
        elif isinstance(drawing, Spans):
            figure = _spans(drawing, ink)
        else:
            figure = _curves(drawing, ink)
        return _saved(figure)


def _saved(figure: Any) -> bytes:
    import warnings

    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font lacks becomes a box
        figure.savefig(
            out, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.04,
            metadata={"Date": None, "Creator": None},
        )  # fmt: skip
    return out.getvalue()


def _figure(height_in: float, width_in: float = WIDTH_IN) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def _dress(axes: Any, ink: Colours, title: str = "") -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(ink.grid)
    axes.tick_params(colors=ink.dim, length=0)
    axes.set_axisbelow(True)
    if title:
        axes.set_title(title, loc="left", color=ink.dim, fontsize=8.5)


def _bars(b: Bars, ink: Colours) -> Any:
    """Groups of horizontal bars with their intervals, the first group on top."""
    n = max(1, len(b.series))
    thick = 0.8 / n
    figure = _figure(0.75 + len(b.groups) * max(0.42, 0.155 * n))
    axes = figure.add_subplot()
    _dress(axes, ink, b.title)
    colours = {s: ink.known.get(s, ink.others[i % len(ink.others)]) for i, s in enumerate(b.series)}
    colours[b.main] = ink.main
    for i, series in enumerate(b.series):
        for g, row in enumerate(b.bars):
            bar = row[i]
            if bar is None:
                continue
            y = g - 0.4 + thick * (i + 0.5)
            axes.barh(y, bar.estimate * 100, thick * 0.86, color=colours[series], linewidth=0)
            if bar.estimate == 0:
                axes.plot([0], [y], marker="|", color=colours[series], markersize=4, clip_on=False)
            if bar.low is not None and bar.high is not None:
                axes.plot([bar.low * 100, bar.high * 100], [y, y], color=ink.ink, linewidth=0.7,
                          solid_capstyle="butt", marker="|", markersize=2.6)  # fmt: skip
    axes.set_yticks(range(len(b.groups)), [one_line(g, LABEL) for g in b.groups], color=ink.ink)
    axes.set_ylim(len(b.groups) - 0.5, -0.5)
    _percent_axis(axes, ink)
    from matplotlib.patches import Patch

    handles = [Patch(color=colours[s], label=one_line(s, 24)) for s in b.series]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(5, n), frameon=False,
        labelcolor=ink.ink, handlelength=1, handleheight=1, columnspacing=1.4,
    )  # fmt: skip
    return figure


def _spans(s: Spans, ink: Colours) -> Any:
    """Each gate's interval and estimate; the side of the target that fails is shaded."""
    figure = _figure(0.55 + 0.36 * len(s.rows))
    axes = figure.add_subplot()
    _dress(axes, ink, s.title)
    colours = {"PASS": ink.ok, "FAIL": ink.bad, "UNDECIDED": ink.unsure}
    for y, (_, verdict, bar, target, at_least) in enumerate(s.rows):
        colour = colours.get(verdict, ink.dim)
        good = (target * 100, 100) if at_least else (0, target * 100)
        axes.barh(y, good[1] - good[0], 0.62, left=good[0], color=ink.ok, alpha=0.16, linewidth=0)
        axes.plot([target * 100] * 2, [y - 0.31, y + 0.31], color=ink.dim, linewidth=1)
        if bar.low is not None and bar.high is not None:
            axes.plot([bar.low * 100, bar.high * 100], [y, y], color=colour, linewidth=3.4,
                      solid_capstyle="butt", alpha=0.55)  # fmt: skip
        axes.plot([bar.estimate * 100], [y], "o", color=colour, markersize=5.5, clip_on=False)
    labels = [f"{one_line(r[0], LABEL)}  {SIGNS.get(r[1], '·')}" for r in s.rows]
    axes.set_yticks(range(len(s.rows)), labels, color=ink.ink)
    axes.set_ylim(len(s.rows) - 0.5, -0.5)
    _percent_axis(axes, ink)
    return figure


def _curves(c: Curves, ink: Colours) -> Any:
    both = bool(c.series) and len(c.loss) > 1
    figure = _figure(2.5 if c.series else 1.9)
    grid = figure.add_gridspec(1, 2 if both else 1, width_ratios=[3, 2] if both else [1])
    if c.series:
        axes = figure.add_subplot(grid[0])
        _dress(axes, ink, c.title)
        colours = {"recall": ink.main, "fabricated": ink.bad, "refusals": ink.unsure}
        dashes = {"recall": "-", "fabricated": "--", "refusals": ":"}
        for name, points in c.series:
            xs, ys = [p[0] for p in points], [p[1] * 100 for p in points]
            axes.plot(xs, ys, dashes.get(name, "-"), color=colours.get(name, ink.dim),
                      label=one_line(name, 24), linewidth=1.8,
                      marker="o" if len(xs) < 25 else "", markersize=3)  # fmt: skip
        axes.set_ylim(-3, 103)
        axes.grid(axis="y", color=ink.grid, linewidth=0.6)
        axes.set_xlabel("step", color=ink.dim)
        axes.legend(frameon=False, labelcolor=ink.ink, fontsize=8, loc="best")
    if len(c.loss) > 1:
        axes = figure.add_subplot(grid[-1])
        _dress(axes, ink, "Training loss")
        axes.plot([p[0] for p in c.loss], [p[1] for p in c.loss], color=ink.dim, linewidth=1.1)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=ink.grid, linewidth=0.6)
        axes.set_xlabel("step", color=ink.dim)
    return figure


def _percent_axis(axes: Any, ink: Colours) -> None:
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20), [f"{x} %" for x in range(0, 101, 20)])
    axes.grid(axis="x", color=ink.grid, linewidth=0.6)
