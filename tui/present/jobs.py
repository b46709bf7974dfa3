"""Rows and facts of jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.text import Text

from core import jobdir
from tui import clean
from tui.desk.api import Gauge, JobRow
from tui.desk.api_work import About, Artifact
from tui.feed import Facts
from tui.present import words
from tui.present.words import text
from tui.widgets.pull_table import InMemory
from tui.widgets.pull_table.columns import Cell, Column


def row(job: JobRow, width: int, *, now: float) -> Text:
    """`● train 20261122-141530-3f9a  62 %` with the age or the progress on the right."""
    shape, role = words.state(job.status)
    if job.status in jobdir.ACTIVE:
        right = text((words.percent(job.progress) if job.progress is not None else "…", role))
    elif job.ended_at is not None:
        right = text((words.ago(max(0.0, now - job.ended_at)) + " ago", "dim"))
    else:
        right = text()
    return words.join(text((f"{shape} ", role), clean.line(job.id)), right, width)


def facts(job: JobRow, seen: Facts, *, now: float, width: int, stale: bool = False) -> Text:
    """The job pane, one fact a line. stale: the host is out of reach, this is the last known."""
    out = text()
    if stale and job.status in jobdir.ACTIVE:
        _line(out, "▲", text(("last known: no link to the host", "warn")))
    _line(out, "state", _state(job))
    if seen.phase or seen.what:
        _line(out, "phase", text(clean.line(seen.phase or seen.what, 60)))
    share = 1.0 if job.status == jobdir.SUCCEEDED else seen.share
    if share is None:
        share = job.progress
    if share is not None:
        room = max(6, min(24, width - 18))
        role = "ok" if job.status == jobdir.SUCCEEDED else words.state(job.status)[1]
        value = Text.assemble(words.bar(share, room, role), f" {words.percent(share):>5}")
        _line(out, "", value)
    if seen.step is not None:
        of = f" of {words.count(seen.max_steps)}" if seen.max_steps else ""
        value = text((words.count(seen.step), "strong"), (of, "dim"))
        if seen.epoch is not None:
            value.append(f"  epoch {seen.epoch:.2f}", "dim")
        _line(out, "step", value)
    if seen.total:
        _line(out, "done", text(f"{words.count(seen.done)} of {words.count(seen.total)}"))
    if seen.loss is not None:
        value = text((words.measured(seen.loss), "strong"))
        if seen.lr is not None:
            value.append(f"  lr {words.measured(seen.lr)}", "dim")
        _line(out, "loss", value)
    if seen.tokens_per_s is not None:
        _line(out, "speed", text(f"{words.count(seen.tokens_per_s)} tokens/s"))
    if seen.memory_bytes is not None:
        _line(out, "memory", text(f"{words.gib(seen.memory_bytes)} GiB"))
    eta = seen.eta_s if seen.eta_s is not None else job.eta_s
    _line(out, "time", _time(job, eta, now))
    if seen.preflight:
        _line(out, "rows", text((clean.line(seen.preflight, 80), "dim")))
    if seen.stop:
        _line(out, "stop", text(clean.line(seen.stop, 200)))
    if seen.warned:
        _line(out, "▲", text((clean.line(seen.warnings[-1], 200), "warn")))
        if seen.warned > 1:
            _line(out, "", text((f"and {seen.warned - 1} more warnings", "dim")))
    if job.status == jobdir.QUEUED:
        place = f"number {job.position} in line" if job.position else "waiting"
        holder = (
            f", {clean.line(job.waiting_for, 60)} has the accelerator" if job.waiting_for else ""
        )
        _line(out, "queue", text(place, (holder, "dim")))
    if job.scheduler_id:
        _line(out, "Slurm", text((clean.line(job.scheduler_id, 40), "dim")))
    if job.seam:
        _line(out, "▲", text((clean.line(job.seam, 300).strip("─ "), "warn")))
    if job.note:
        _line(out, "note", text((clean.line(job.note, 200), "dim")))
    return out


def brief(job: JobRow, seen: Facts, *, now: float, width: int, stale: bool = False) -> Text:
    """The same in two lines, for a narrow terminal."""
    share = 1.0 if job.status == jobdir.SUCCEEDED else seen.share
    first = Text.assemble(
        _state(job), "  ", words.bar(share, 12, words.state(job.status)[1]), end=""
    )
    first.append(f" {words.percent(share)}")
    if seen.step is not None:
        first.append("  step ", "dim")
        first.append(words.count(seen.step), "strong")
        first.append(f"/{words.count(seen.max_steps)}" if seen.max_steps else "", "dim")
    elif seen.total:
        first.append(f"  {words.count(seen.done)}/{words.count(seen.total)}", "dim")
    first.append("  ")
    first.append_text(_time(job, seen.eta_s if seen.eta_s is not None else job.eta_s, now))
    second = text(("▲ last known  " if stale and job.status in jobdir.ACTIVE else "", "warn"))
    second.append_text(text((clean.line(seen.phase or seen.what or job.note, 20), "dim")))
    if seen.loss is not None:
        second.append("  loss ", "dim")
        second.append(words.measured(seen.loss), "strong")
    if seen.lr is not None:
        second.append(f"  lr {words.measured(seen.lr)}", "dim")
    if seen.tokens_per_s is not None:
        second.append(f"  {words.count(seen.tokens_per_s)} tokens/s", "dim")
    if seen.memory_bytes is not None:
        second.append(f"  {words.gib(seen.memory_bytes)} GiB", "dim")
    if seen.warned:
        second.append(f"  ▲ {seen.warned}", "warn")
    return Text("\n").join([words.fit(first, width), words.fit(second, width)])


def gauge(reading: Gauge | None, width: int) -> Text:
    """The host pane: load, memory, heat; grey once it is old."""
    if reading is None:
        return text(("no readings yet: they start with the route", "dim"))
    stale = reading.age_s > 5
    role = "dim" if stale else "accent"
    room = max(6, min(24, width - 18))
    out = text()
    name = clean.line(reading.name, 60) or reading.kind.upper()
    _line(out, reading.kind.upper(), text((name, "dim" if stale else "")))
    load = Text.assemble(
        words.bar(reading.utilisation, room, role), f" {words.percent(reading.utilisation):>5}"
    )
    _line(out, "load", load)
    if reading.memory_total:
        used = (reading.memory_used or 0) / reading.memory_total
        _line(out, "memory", Text.assemble(words.bar(used, room, role), f" {used * 100:>3.0f} %"))
        amount = f"{words.gib(reading.memory_used)} of {words.gib(reading.memory_total)} GiB"
        _line(out, "", text((amount, "dim")))
    rest = []
    if reading.power_w is not None:
        cap = "" if reading.power_limit_w is None else f" of {reading.power_limit_w:.0f}"
        rest.append(f"{reading.power_w:.0f}{cap} W")
    if reading.temperature_c is not None:
        rest.append(f"{reading.temperature_c:.0f} °C")
    if reading.clock_mhz is not None:
        rest.append(f"{reading.clock_mhz:.0f} MHz")
    if rest:
        _line(out, "power", text("  ".join(rest)))
    if reading.throttle:
        _line(out, "▲", text((f"slowed down: {', '.join(reading.throttle)}", "warn")))
    if reading.ecc_errors:
        _line(out, "✘", text((f"{reading.ecc_errors} uncorrected memory errors", "bad")))
    if stale:
        _line(out, "▲", text((f"{words.ago(reading.age_s)} old", "warn")))
    return out


def active_first(jobs: Sequence[JobRow]) -> list[JobRow]:
    """Active jobs first, then by the time they were handed in."""
    return sorted(
        jobs, key=lambda j: (j.status in jobdir.ACTIVE, j.submitted_at or 0.0, j.id), reverse=True
    )


def _line(out: Text, label: str, value: Text) -> None:
    out.append("\n" if out.plain else "")
    out.append(f"{label:<8}", "warn" if label == "▲" else "dim")
    out.append_text(value)


def _state(job: JobRow) -> Text:
    shape, role = words.state(job.status)
    out = text((f"{shape} {clean.line(job.status, 20)}", role))
    if job.exit_code not in (None, 0):
        out.append(f"  exit {job.exit_code}", "dim")
    if job.reason:
        out.append(f"  {clean.line(job.reason, 120)}", "dim")
    return out


def _time(job: JobRow, eta: float | None, now: float) -> Text:
    out = text()
    elapsed = job.elapsed_s
    if elapsed is None and job.started_at is not None:
        elapsed = (job.ended_at if job.ended_at is not None else now) - job.started_at
    if elapsed is not None:
        out.append(words.duration(max(0.0, elapsed)))
    if job.status == jobdir.QUEUED and job.expected_start is not None:
        out.append(f"starts about {words.clock(job.expected_start)}", "dim")
    if job.status in jobdir.ACTIVE and eta is not None:
        out.append("  ETA ", "dim")
        out.append(words.duration(eta), "strong")
    return out if out.plain else text(("–", "dim"))


# -- the Jobs screen


EMPTY = "No job yet: s on screen 3 starts one."
BESIDE = "◆ "  # its log is to be merged with another's


def source(rows: Sequence[JobRow]) -> InMemory[JobRow]:
    """rows: newest first. The running first, then the queued, then those that have ended."""
    placed = sorted(rows, key=lambda j: (j.status not in jobdir.ACTIVE, j.status == jobdir.QUEUED))
    return InMemory(
        placed,
        key=lambda j: j.id,
        said=lambda j: " ".join(
            (j.id, j.routine, j.status, _where(j), j.reason, j.note, words.moment(_began(j)))
        ),
        sorts={
            "job": lambda j: j.id,
            "state": lambda j: (j.status not in jobdir.ACTIVE, j.status),
            "when": lambda j: j.ended_at or _began(j) or 0.0,
            "began": lambda j: _began(j) or 0.0,
            "ran": lambda j: -1.0 if j.elapsed_s is None else j.elapsed_s,
            "exit": lambda j: -1 if j.exit_code is None else j.exit_code,
            "where": _where,
            "why": lambda j: j.reason or j.note,
        },
    )


def columns(
    beside: Callable[[], str | None], now: Callable[[], float]
) -> tuple[Column[JobRow], ...]:
    """beside: the job whose log is to be merged with another's.  now: Unix seconds."""

    def name(job: JobRow) -> Cell:
        shape, role = words.state(job.status)
        mark = (BESIDE, "accent") if job.id == beside() else ("", "")
        return [mark, (f"{shape} ", role), (job.id, "")]

    def when(job: JobRow) -> Cell:
        if job.status in jobdir.ACTIVE:
            share = "…" if job.progress is None else words.percent(job.progress)
            return [(share, words.state(job.status)[1])]
        if job.ended_at is None:
            return ""
        return [(_ended(max(0.0, now() - job.ended_at)), "dim")]

    def quiet(value: Callable[[JobRow], str]) -> Callable[[JobRow], Cell]:
        return lambda job: [(value(job), "dim")]

    def ran(job: JobRow) -> str:
        return "" if job.elapsed_s is None else words.duration(job.elapsed_s)

    return (
        Column("job", "job", name, 0, least=31, most=60),
        Column("state", "state", lambda j: [(j.status, words.state(j.status)[1])], 2, least=9, most=10),
        Column("when", "done", when, 1, least=8, most=12, right=True, descending=True),
        Column("began", "began", quiet(lambda j: words.moment(_began(j))), 3, least=16, descending=True),
        Column("ran", "ran", quiet(ran), 4, least=6, right=True, descending=True),
        Column("exit", "exit", quiet(lambda j: "" if j.exit_code is None else str(j.exit_code)), 6,
               right=True, descending=True),
        Column("where", "where", quiet(_where), 5, least=6, most=24),
        Column("why", "why", quiet(lambda j: j.reason or j.note), 7, least=12, most=60),
    )  # fmt: skip


def _began(job: JobRow) -> float | None:
    return job.started_at or job.submitted_at


def _where(job: JobRow) -> str:
    return f"Slurm {job.scheduler_id}" if job.scheduler_id else job.host


STOPPING = (
    "It writes a checkpoint first and ends then; it can be resumed.",
    "Each writes a checkpoint first and ends then; they can be resumed.",
)
KILLING = (
    "It ends at once, without a checkpoint: the steps since the last one are lost.",
    "They end at once, without a checkpoint: the steps since the last one are lost.",
)
REMOVING = (
    "Its folder on the host goes, checkpoints too. Log and results mirrored here stay.",
    "Their folders on the host go, checkpoints too. Log and results mirrored here stay.",
)


def named(some: Sequence[JobRow], said: str, left: int) -> Text:
    """What is asked before something is done to jobs. left: marked ones that it does not fit."""
    names = [clean.line(job.id, 80) for job in some[:8]]
    out = text(("\n".join(names), "strong"))
    if len(some) > len(names):
        out.append(f"\nand {len(some) - len(names)} more", "strong")
    out.append(f"\n{said}")
    if left:
        ended = some and some[0].status in jobdir.ACTIVE
        why = "have ended" if ended else "have not ended"
        out.append(f"\n{left} marked that {why} stay as they are.", "warn")
    return out


def about(job: JobRow, found: About | None, width: int) -> Text:
    """Why it failed first, then what it is, what it became, what it was given."""
    out = text((clean.line(job.id, 80), "strong"), "\n")
    shape, role = words.state(job.status)
    out.append(f"{shape} {job.status}", role)
    if job.exit_code is not None:
        out.append(f", exit code {job.exit_code}", "dim")
    if job.position is not None:
        out.append(f", {job.position}. in line", "dim")
    out.append("\n")
    for said in (job.reason, job.seam, job.waiting_for and f"waits for {job.waiting_for}"):
        if said:
            out.append(words.hang(clean.line(said, 400), width, 2), "dim")
    if found is None:
        return out
    if found.why is not None:
        out.append(f"\n▲ {clean.line(found.why.what, 200)}\n", "warn")
        out.append(words.hang(clean.line(found.why.try_next, 600), width, 2))
        out.append(words.hang("» " + clean.line(found.why.line, 200), width, 2), "dim")
    out.append("\n")
    for label, value in (
        ("became", words.short_version(found.became) if found.became else ""),
        ("note", clean.line(job.note, 300)),
        ("started by", f"{clean.line(found.requested_by, 40)}  {words.moment(found.requested_at)}"),
        ("scheduler", clean.line(job.scheduler_id, 40)),
    ):
        if value.strip(" –"):
            out.append(f"{label:<11}", "dim")
            out.append(value + "\n")
    for seam in found.seams:
        out.append(f"▲ {clean.line(seam, 200)}\n", "warn")
    if found.settings:
        out.append("\nsettings\n", "title")
        for name, value in found.settings[:200]:
            out.append(f"{clean.line(name, 60)}  ", "dim")
            out.append(clean.line(_from_work_folder(value), 200) + "\n")
    return out


def _ended(s: float) -> str:
    """ "48 m ago": eight cells, so that the whole id stands beside it at 120 columns."""
    if s < 5940:  # 99 minutes
        return f"{s / 60:.0f} m ago"
    return words.ago(max(s, 7200.0)) + " ago"


_WORK_FOLDER = re.compile(r"(?:^|(?<=, ))/[^,]*?/(?=(?:jobs|data|models|answers)/)")


def _from_work_folder(value: str) -> str:
    """Paths begin at the host's work folder; `qa jobs show` has them whole."""
    return _WORK_FOLDER.sub("…/", value)


def artifact_row(found: Artifact) -> Text:
    shape, role = ("✔", "ok") if found.here else ("○", "dim")
    size = f"{found.size / 1e6:,.1f} MB" if found.size >= 1e5 else f"{found.size:,} bytes"
    return text((f"{shape} ", role), clean.line(found.name, 120), (f"   {size}", "dim"))
