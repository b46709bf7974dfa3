"""A plan as one page: memory, time, lint, and what would be run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from core.training.cost import Cost, typical
from core.training.fit import GIB
from core.training.lint import Finding
from tui.desk.planning import Plan
from tui.present import past, words

WIDTH = 110
SHAPES = {"error": "✘", "warning": "▲", "note": "·"}
VERDICTS = {
    "PASS": "✔ fits",
    "TIGHT": "▲ tight",
    "NO": "✘ does not fit",
    "UNKNOWN": "◌ free memory not known",
}


def page(plan: Plan, *, why: bool = True) -> list[str]:
    """Lines of plain text. why: with reasons and sources."""
    return [
        *_head(plan),
        *_memory(plan),
        *(_cost(plan.cost) if plan.cost else ()),
        *_past(plan),
        *_lint(plan, why),
        *_end(plan),
    ]


def _head(plan: Plan) -> Iterator[str]:
    profile = f" ({plan.recipe.profile})" if plan.recipe.profile else ""
    parts = [f"recipe {plan.recipe_name}{profile}"]
    if plan.lessons:
        parts.append(f"{plan.data}  {plan.lessons.pairs:,} pairs")
    if plan.host:
        parts.append(f"host {plan.host}")
    yield "   ".join(parts)
    trained = plan.trainable / plan.parameters
    counts = (
        f"{_count(plan.parameters)} parameters, {_count(plan.trainable)} trained ({trained:.1%})"
    )
    yield _row("model", f"{plan.base}: {counts}")
    if plan.lessons:
        taught = plan.lessons
        share = taught.unknown_share
        unknown = "" if share is None else f", {share:.0%} of them unknown to the base"
        yield _row(
            "data",
            f"{taught.facts:,} facts{unknown}, {taught.per_fact:.1f} wordings each; "
            f"{taught.deferral_share:.0%} defer; "
            f"rows of {taught.mean_tokens:.0f} tokens, the longest about {taught.longest_tokens}",
        )


def _memory(plan: Plan) -> Iterator[str]:
    fit = plan.fit
    parts = "  ".join(f"{name} {size / GIB:.1f}" for name, size in fit.peak.parts.items())
    of = (
        f" of {fit.memory.free / GIB:.1f} GiB free ({fit.share:.0%})" if fit.memory.free else " GiB"
    )
    yield _row("memory", f"{fit.peak.total / GIB:.1f}{of}   {VERDICTS[fit.verdict]}")
    yield _row("", f"GiB: {parts}")
    yield from (_row("", note) for note in fit.notes)
    for n, option in enumerate(fit.options, 1):
        settings = " ".join(f"--set {s}" for s in option.settings)
        shape = {"PASS": "✔", "TIGHT": "▲", "NO": "✘"}.get(option.verdict, "◌")
        yield from _wrapped(
            "" if n > 1 else "options", f"{n}. {shape} {option.peak / GIB:.1f} GiB  {option.text}"
        )
        yield _row("", f"   {settings}")


def _cost(cost: Cost) -> Iterator[str]:
    hours = f"   GPU hours {cost.gpu_hours:.2g}" if cost.gpu_hours else ""
    disk = f"disk {cost.disk_bytes / 1e9:.2g} GB, {cost.disk_peak_bytes / 1e9:.2g} GB while it runs"
    low, high = words.duration(cost.low_s), words.duration(cost.high_s)
    yield _row("time", f"{low} to {high}   {disk}{hours}")
    yield _row("", f"{cost.basis}; {cost.steps:,} steps, {cost.tokens:,} tokens")


def _past(plan: Plan) -> Iterator[str]:
    lines = list(past.typical(typical(plan.misses)))
    yield from (_row("" if n else "past", line) for n, line in enumerate(lines))
    if lines:
        yield from (_row("", f"{job_id}  {told}") for job_id, told in past.rows(plan.misses))


def _lint(plan: Plan, why: bool) -> Iterator[str]:
    if not plan.findings:
        yield _row("lint", "✔ nothing found")
    for n, finding in enumerate(plan.findings):
        yield from _finding("lint" if n == 0 else "", finding, why)


def _finding(label: str, f: Finding, why: bool) -> Iterator[str]:
    shape = "✎" if f.accepted else SHAPES[f.severity]
    yield from _wrapped(label, f"{shape} {f.rule} {f.message}")
    if f.accepted:
        yield from _wrapped("", f"accepted: {f.accepted}", "     ")
    if why:
        yield from _wrapped("", f"why: {f.reason}", "     ")
        yield from _wrapped("", f"from: {f.source}", "     ")
    if f.fix and not f.accepted:
        settings = " ".join(f"--set {s}" for s in f.settings)
        yield from _wrapped("", f"try: {f.fix}" + (f" ({settings})" if settings else ""), "     ")


def _end(plan: Plan) -> Iterator[str]:
    if plan.blocking:
        rules = list(dict.fromkeys(f.rule for f in plan.blocking))
        yield _row(
            "start",
            f"✘ not before {', '.join(rules)} {'is' if len(rules) == 1 else 'are'} mended or accepted:",
        )
        yield _row("", " ".join(f'--accept {r} "REASON"' for r in rules))
    elif plan.host:
        yield _row(
            "start",
            f"✔ would run qa-train --recipe {plan.recipe_name} on {plan.host} ({plan.launcher})",
        )
    else:
        yield _row("start", "✔ nothing stands against it")


def _row(label: str, text: str) -> str:
    return f"{label:<9}{text}".rstrip()


def _wrapped(label: str, text: str, indent: str = "") -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - 9 - len(indent), break_on_hyphens=False) or [""]
    for n, line in enumerate(lines):
        deeper = indent if n == 0 or indent else "     "
        yield _row(label if n == 0 else "", deeper + line)


def _count(n: int) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.4g} {unit}"
    return str(n)
