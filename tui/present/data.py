"""Rows and details of the Data screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tui import clean
from tui.desk.api_data import (
    ContaminationView,
    DiffView,
    FileRow,
    FilesView,
    FrozenRow,
    Moving,
    ProblemRow,
    TallyRow,
)
from tui.present import words
from tui.present.words import text

NO_FILES = "The files are being checked…"
NO_SNAPSHOT = "none yet: f freezes the good rows of all files"
SHOWN = 14  # rows of one table in a detail


def heading(name: str, right: str, width: int) -> Text:
    return words.join(text((name, "title")), text((right, "dim")), width)


def hint(said: str, width: int) -> Text:
    return words.fit(text(("  " + said, "dim")), width)


# -- files and their problems


def file_row(row: FileRow, width: int) -> Text:
    shape, role = (
        ("✘", "bad")
        if row.rejected or (row.problems and not row.rows)
        else ("✔", "ok")
        if row.rows
        else ("○", "dim")
    )
    name = text((f"{shape} ", role), clean.line(row.name, 100))
    if not row.ours:
        name.append("  added", "dim")
    right = text((words.count(row.good), "strong"))
    if row.rejected:
        right.append(f"  {words.count(row.rejected)} rejected", "bad")
    return words.join(name, right, width)


def files_word(view: FilesView) -> str:
    good = sum(f.good for f in view.files)
    rejected = sum(f.rejected for f in view.files)
    return f"{words.count(good)} pairs" + (
        f", {words.count(rejected)} rejected" if rejected else ""
    )


def file_detail(row: FileRow, view: FilesView, width: int) -> Text:
    out = text((clean.line(row.name, 200), "strong"), "\n")
    out.append(words.hang(clean.line(row.path, 400), width, 0), "dim")
    out.append("\n")
    _pairs(out, (("rows", row.rows), ("good", row.good), ("rejected", row.rejected)))
    mine = [p for p in view.problems if p.file == row.name]
    if not mine:
        out.append("\nnothing is wrong with it\n" if not row.problems else "", "dim")
        return out
    out.append("\nproblems\n", "title")
    for p in mine[:40]:
        shape, role = _severity(p)
        head = text((f"{shape} ", role), (f"line {p.line}  ", "dim"), clean.line(p.code, 40))
        out.append_text(words.fit(head, width))
        out.append("\n")
        out.append(words.hang(clean.line(p.what, 300), width, 2), "dim")
    return out


def _severity(row: ProblemRow) -> tuple[str, str]:
    return ("▲", "warn") if row.usable else ("✘", "bad")


def problem_row(row: ProblemRow, width: int) -> Text:
    shape, role = _severity(row)
    where = f"{clean.line(row.file, 60)}:{row.line}"
    left = text((f"{shape} ", role), f"{clean.line(row.code, 24):<18} ")
    left.append(clean.line(row.what, 200), "dim")
    return words.join(left, text((where, "dim")), width) if width > 60 else words.fit(left, width)


def problem_detail(row: ProblemRow, width: int) -> Text:
    shape, role = _severity(row)
    kept = "kept, repaired" if row.usable else "rejected"
    out = text((f"{shape} ", role), (clean.line(row.code, 60), "strong"), (f"  {kept}\n\n", "dim"))
    _pairs(out, (("file", clean.line(row.file, 200)), ("line", row.line)))
    if row.field:
        _pairs(out, (("field", clean.line(row.field, 100)),))
    out.append("\n")
    out.append(words.hang(clean.block(row.what, 1000, 12), width, 0))
    if row.text:
        out.append("\nthe line\n", "title")
        out.append(words.hang(clean.block(row.text, 2000, 60), width, 0), "dim")
    return out


# -- snapshots


def frozen_row(row: FrozenRow, marked: str | None, width: int) -> Text:
    on = row.dataset_version == marked
    shape, role = ("◆", "accent") if on else ("●", "accent") if row.trained else ("○", "dim")
    right = text((words.count(row.pairs), "strong"))
    if width >= 70:  # its name begins with the day
        right.append(f"  {words.moment(row.created_at)}", "dim")
    return words.join(text((f"{shape} ", role), clean.line(row.dataset_version, 80)), right, width)


def frozen_detail(row: FrozenRow, width: int) -> Text:
    out = text((clean.line(row.dataset_version, 120), "strong"), "\n\n")
    _pairs(
        out,
        (
            ("pairs", words.count(row.pairs)),
            ("frozen", words.moment(row.created_at)),
            ("follows", clean.line(row.parent, 80) or "nothing: the first"),
        ),
    )
    trained = ", ".join(words.short_version(v) for v in row.trained[:12]) or "no version yet"
    _pairs(out, (("trained", trained),))
    out.append_text(_breakdown("by domain", row.domains, row.pairs, width))
    out.append_text(_breakdown("by source", row.sources, row.pairs, width))
    out.append("\n")
    hints = "m compares it with another   t contamination   h verifies every hash"
    out.append(words.hang(hints, width, 0), "dim")
    return out


def _breakdown(title: str, counts: Sequence[tuple[str, int]], of: int, width: int) -> Text:
    out = text((f"\n{title}\n", "title"))
    names = [text(clean.line(n, 80)) for n, _ in counts[:SHOWN]]
    label = min(max(width - 40, min(24, width - 22)), max((n.cell_len for n in names), default=8))
    room = max(6, width - label - 16)
    for name, (_, n) in zip(names, counts, strict=False):
        share = n / of if of else 0.0
        out.append_text(words.fit(name, label)).append(" ")
        out.append_text(words.bar(share, room))
        out.append(f" {words.count(n):>7}", "strong")
        out.append(f" {share * 100:>3.0f} %\n", "dim")
    if len(counts) > SHOWN:
        out.append(f"and {len(counts) - SHOWN} more\n", "dim")
    return out


def diff_page(view: DiffView, width: int) -> Text:
    out = text((clean.line(view.a, 80), "dim"), " → ", (clean.line(view.b, 80), "strong"), "\n\n")
    out.append(f"+{words.count(view.added)} added   ", "ok")
    out.append(f"−{words.count(view.removed)} removed   ", "bad")
    out.append(f"~{words.count(view.changed)} changed", "warn")
    rule = "a minor version" if view.share_new > 0.1 else "a patch version, unless the base changes"
    out.append(f"\n{view.share_new * 100:.1f} % new pairs: {rule}\n", "dim")
    out.append_text(_tallies("by domain", view.domains, width))
    out.append_text(_tallies("by entity", view.entities, width))
    if view.facts:
        out.append("\nfacts that are told differently\n", "title")
    for f in view.facts[:30]:
        out.append(f"{clean.line(f.entity, 60)}  {clean.line(f.fact, 60)}\n", "strong")
        out.append(words.hang("− " + clean.line(f.before, 300), width, 2), "bad")
        out.append(words.hang("+ " + clean.line(f.after, 300), width, 2), "ok")
    if len(view.facts) > 30:
        out.append(f"and {len(view.facts) - 30} more: qa snapshots diff --json\n", "dim")
    return out


def _tallies(title: str, rows: Sequence[TallyRow], width: int) -> Text:
    if not rows:
        return text()
    out = text((f"\n{title}\n", "title"))
    for r in rows[:SHOWN]:
        numbers = text(
            (f"{'+' + str(r.added) if r.added else '':>7}", "ok"),
            (f"{'−' + str(r.removed) if r.removed else '':>7}", "bad"),
            (f"{'~' + str(r.changed) if r.changed else '':>7}", "warn"),
        )
        out.append_text(words.join(text(clean.line(r.name, 80)), numbers, min(width, 72)))
        out.append("\n")
    if len(rows) > SHOWN:
        out.append(f"and {len(rows) - SHOWN} more\n", "dim")
    return out


def contamination_page(view: ContaminationView, width: int) -> Text:
    out = text((clean.line(view.dataset_version, 80), "strong"))
    out.append(f" against {view.questions} golden questions\n", "dim")
    out.append_text(_breakdown("what is trained", view.strata, view.questions, width))
    out.append_text(_breakdown("wordings too near", view.wordings, view.questions, width))
    given = sum(n for _, n in view.wordings)
    if given:
        said = (
            f"{given} of {view.questions} questions are trained in their own wording: what the model "
            "scores on them is memory, and the report shows it apart."
        )
        out.append("\n")
        out.append(words.hang(said, width, 0), "warn")
    if view.conflicts:
        out.append("\ntrained with another answer than the golden one\n", "title")
        names = ", ".join(clean.line(c, 40) for c in view.conflicts[:40])
        out.append(words.hang(names, width, 0), "bad")
    if view.alike:
        out.append("\nthe nearest\n", "title")
    for a in view.alike[:40]:
        left = text(f"{clean.line(a.golden_id, 30):<14} ", (clean.line(a.pair_id, 80), "dim"))
        right = text((f"{clean.line(a.test, 24)}  {a.similarity:.2f}", "dim"))
        out.append_text(words.join(left, right, width))
        out.append("\n")
    return out


# -- the transfer


def moving(row: Moving, width: int) -> Text:
    share = row.done / row.total if row.total else 1.0
    left = "" if row.eta is None else f"  {words.duration(row.eta)} left"
    right = f" {share * 100:3.0f} %  {row.rate / 1e6:.1f} MB/s{left}"
    name = text(("● ", "accent"), "to the host  ", (clean.line(row.name, 60), "dim"), " ")
    room = max(6, width // 3)
    return words.join(name, Text.assemble(words.bar(share, room), (right, "dim")), width)


def _pairs(out: Text, rows: Sequence[tuple[str, object]]) -> None:
    for label, value in rows:
        out.append(f"{label:<10}", "dim")
        out.append(f"{value:,}\n" if isinstance(value, int) else f"{value}\n")
