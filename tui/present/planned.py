"""The plan of a training as a page: memory, cost, lint, preflight, and what would run."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from core.errors import QAError, UsageError
from tui import clean
from tui.desk.api_plans import LintRow, PlanView, PreflightView, RecipeRow, Wish
from tui.present import past, words
from tui.present.words import text

LABEL = 10
SHAPES = {"error": ("✘", "bad"), "warning": ("▲", "warn"), "note": ("·", "dim")}
VERDICTS = {
    "PASS": ("✔ fits", "ok"),
    "TIGHT": ("▲ tight", "warn"),
    "NO": ("✘ does not fit", "bad"),
    "UNKNOWN": ("◌ free memory not known", "unsure"),
}
OUT = {"PASS": ("✔", "ok"), "TIGHT": ("▲", "warn"), "NO": ("✘", "bad")}
PARTS = (
    ("█", "accent"),
    ("▓", "warn"),
    ("▒", "unsure"),
    ("░", "accent"),
    ("▓", "ok"),
    ("▒", "dim"),
)
_WRAPS = Console(width=200)  # only measures; nothing is written to it


def recipe_row(row: RecipeRow, width: int) -> Text:
    if row.problem:
        return words.fit(text(("✘ ", "bad"), clean.line(row.name, 40)), width)
    return words.join(
        text("  ", clean.line(row.name, 40)), text((clean.line(row.profile, 14), "dim")), width
    )


def page(
    plan: PlanView, preflight: PreflightView | QAError | None, width: int, *, why: bool
) -> Text:
    """preflight: None while it is being looked at.  why: with reasons and sources."""
    out = text()
    for part in (
        _head(plan, width),
        _memory(plan, width),
        _cost(plan, width),
        _lint(plan, width, why),
        _preflight(preflight, width),
        _end(plan, width),
    ):
        for line in part:
            out.append("\n" if out.plain else "")
            out.append_text(line)
    return out


def waiting(wish: Wish) -> Text:
    return text((f"working out what {clean.line(wish.recipe, 60)} would take …", "dim"))


def problem(error: QAError, width: int) -> Text:
    """Why there is no plan."""
    out = text()
    out.append(words.hang(f"✘ {clean.block(error.what, 800, 10)}", width, 0), "bad")
    out.append(words.hang(clean.block(error.why, 800, 10), width, 2) if error.why else "", "dim")
    if error.try_next:
        out.append(words.hang("try: " + clean.block(error.try_next, 800, 10), width, 2))
    return out


def rows_at_fault(preflight: PreflightView | QAError | None) -> bool:
    """The real tokenizer has found what no training may begin with; one that is amiss on this machine
    says nothing of the host's."""
    if isinstance(preflight, QAError):
        return isinstance(preflight, UsageError)
    return preflight is not None and any(f.severity == "error" for f in preflight.findings)


def verb(plan: PlanView, preflight: PreflightView | QAError | None = None) -> str:
    """What y does now."""
    if plan.blocking:
        return f"not before {', '.join(plan.blocking)}"
    if rows_at_fault(preflight):
        return "not before the rows are mended"
    return "puts it in line" if plan.busy else "starts it"


def _head(p: PlanView, width: int) -> Iterator[Text]:
    kind = "smoke run (1 epoch, 20 rows)" if p.wish.smoke else "full training"
    profile = f" ({clean.line(p.profile, 20)})" if p.profile else ""
    head = text((clean.line(p.wish.recipe, 40) + profile, "strong"), "   ")
    head.append(kind, "warn" if p.wish.smoke else "")
    yield words.fit(head, width)
    share = p.trainable / p.parameters if p.parameters else 0.0
    counts = f"{clean.line(p.base, 60)}, {share:.1%} of {_amount(p.parameters)} parameters trained"
    if p.blocking:
        rules = ", ".join(p.blocking)
        said = text(
            ("✘ ", "bad"), f"not before {rules} {'is' if len(p.blocking) == 1 else 'are'} mended"
        )
        said.append(" or accepted with a reason", "dim")
        yield from _row("start", said, width)
    yield from _row("model", text(counts), width)
    if p.pairs:
        data = text(
            f"{clean.line(p.data, 60)}",
            (
                f"  {p.pairs:,} pairs, {p.facts:,} facts in {p.per_fact:.1f} wordings,"
                f" {p.deferrals:.0%} defer",
                "dim",
            ),
        )
        yield from _row("data", data, width)
    for override in p.wish.overrides:
        yield from _row("override", text((clean.line(override, 100), "accent")), width)
    yield text()


def _memory(p: PlanView, width: int) -> Iterator[Text]:
    said, role = VERDICTS.get(p.verdict, VERDICTS["UNKNOWN"])
    amount = (
        f"{words.gib(p.peak)} of {words.gib(p.free)} GiB" if p.free else f"{words.gib(p.peak)} GiB"
    )
    right = text((f"  {amount}  ", "strong"), (said, role))
    yield from _row(
        "memory", Text.assemble(_stack(p, max(8, width - LABEL - right.cell_len)), right), width
    )
    yield from _legend(p, width)
    for note in p.notes:
        yield from _row("", text((clean.line(note, 300), "dim")), width)
    for n, way in enumerate(p.ways_out, 1):
        shape, colour = OUT.get(way.verdict, ("◌", "unsure"))
        line = text(
            (f"{shape} ", colour), f"{words.gib(way.peak)} GiB  {clean.line(way.text, 200)}"
        )
        line.append("  " + " ".join(clean.line(s, 80) for s in way.settings), "accent")
        yield from _row("ways out" if n == 1 else "", line, width)


def _legend(p: PlanView, width: int) -> Iterator[Text]:
    """The parts by name, as many in a line as there is room for."""
    line = text()
    for (name, size), (block, colour) in zip(p.parts, PARTS, strict=False):
        part = text((block, colour), (f" {name} {words.gib(size)}  ", "dim"))
        if line.plain and line.cell_len + part.cell_len > width - LABEL + 2:
            yield from _row("", line, width)
            line = text()
        line.append_text(part)
    yield from _row("", line, width)


def _stack(p: PlanView, width: int) -> Text:
    """One bar of all parts; the light rest is what stays free."""
    whole = max(p.free or 0, p.peak) or 1
    out, done, drawn = text(), 0, 0
    for (_, size), (block, colour) in zip(p.parts, PARTS, strict=False):
        done += size
        cells = round(done / whole * width) - drawn
        out.append(block * cells, colour)
        drawn += cells
    out.append("─" * (width - drawn), "faint")
    return out


def _cost(p: PlanView, width: int) -> Iterator[Text]:
    if p.price is not None:
        c = p.price
        time = text((f"{words.duration(c.low_s)} to {words.duration(c.high_s)}", "strong"))
        hours = f"   GPU hours {c.gpu_hours:.2g}" if c.gpu_hours else ""
        time.append(f"   disk {_gb(c.disk)}, {_gb(c.disk_peak)} while it runs{hours}")
        yield from _row("cost", time, width)
        basis = f"{clean.line(c.basis, 200)}; {c.steps:,} steps, {c.tokens:,} tokens"
        yield from _row("", text(("▲ " if c.assumed else "", "warn"), (basis, "dim")), width)
    lines = list(past.typical(p.past))
    for n, line in enumerate(lines):
        yield from _row("" if n else "past", text((line, "dim")), width)
    if lines:
        for job_id, told in past.rows(p.held):
            yield from _row("", text((f"…{clean.line(job_id, 60)[-11:]}  {told}", "dim")), width)
    yield text()


def _lint(p: PlanView, width: int, why: bool) -> Iterator[Text]:
    if not p.lint:
        yield from _row("lint", text(("✔ ", "ok"), "nothing found"), width)
    for n, found in enumerate(p.lint):
        yield from _finding("lint" if n == 0 else "", found, width, why)
    for promise in p.promises:
        said = text(("▲ ", "warn"), f"not carried out yet: {clean.line(promise, 200)}")
        yield from _row("", said, width)


def _finding(label: str, f: LintRow, width: int, why: bool) -> Iterator[Text]:
    shape, role = ("✎", "dim") if f.accepted else SHAPES.get(f.severity, SHAPES["note"])
    line = text((f"{shape} {f.rule} ", role), clean.line(f.message, 300))
    if f.accepted:
        line.append(f"  accepted: {clean.line(f.accepted, 200)}", "dim")
    elif f.fix:
        line.append(f"  try: {clean.line(f.fix, 200)}", "accent")
        line.append("".join(f" {clean.line(s, 80)}" for s in f.settings), "accent")
    yield from _row(label, line, width, hang=5)
    if why:
        yield from _row("", text((f"     {clean.line(f.reason, 500)}", "dim")), width, hang=5)
        yield from _row("", text((f"     {clean.line(f.source, 200)}", "faint")), width, hang=5)


def _preflight(found: PreflightView | QAError | None, width: int) -> Iterator[Text]:
    yield text()
    if found is None:
        yield from _row("preflight", text(("the tokenizer reads the rows …", "dim")), width)
        return
    if isinstance(found, QAError):
        yield from _row("preflight", text(("✘ ", "bad"), clean.line(found.what, 300)), width)
        return
    if not found.known:
        said = (
            "◌ the tokenizer is not on this machine: looked at on the host, before the first step"
        )
        yield from _row("preflight", text((said, "dim")), width)
        return
    shape, role = (
        ("✘", "bad") if any(f.severity == "error" for f in found.findings) else ("✔", "ok")
    )
    said = f"{found.rows:,} rows, {found.markers:,} markers, longest {found.longest or 0:,} tokens"
    line = text((f"{shape} ", role), said, (f"  template {clean.line(found.template, 12)}", "dim"))
    yield from _row("preflight", line, width)
    for f in found.findings:
        shape, role = SHAPES.get(f.severity, SHAPES["note"])
        line = text((f"{shape} ", role), clean.line(f.text, 300))
        line.append(f"  {', '.join(clean.line(r, 60) for r in f.rows)}" if f.rows else "", "dim")
        line.append(f"  try: {clean.line(f.try_next, 200)}" if f.try_next else "", "accent")
        yield from _row("", line, width, hang=2)


def _end(p: PlanView, width: int) -> Iterator[Text]:
    if p.blocking:
        return
    yield text()
    host = f"on {clean.line(p.host, 40)} ({clean.line(p.launcher, 12)})"
    yield from _row(
        "will run", text((clean.line(p.command, 300), "strong"), (f"  {host}", "dim")), width
    )
    if p.busy:
        wait = f"▲ {clean.line(p.busy, 60)} has the accelerator: it waits in line"
        yield from _row("", text((wait, "warn")), width)


def _row(label: str, value: Text, width: int, hang: int = 0) -> Iterator[Text]:
    """`label     value`, wrapped under itself."""
    room = max(12, width - LABEL)
    lines = value.wrap(_WRAPS, room - hang if hang else room)
    for n, line in enumerate(lines):
        line.rstrip()
        indent = " " * (LABEL + (hang if n else 0))
        yield Text.assemble((f"{label:<{LABEL}}" if n == 0 else indent, "dim"), line, end="")


def _amount(n: int) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return str(n)


def _gb(n: int) -> str:
    return f"{n / 1e9:.2g} GB"
