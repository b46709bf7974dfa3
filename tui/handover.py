"""The handover note: what ran, what changed, what is open, as Markdown for whoever comes next.

`note` is a pure function of a Shift; tui.desk.handing_over gathers it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import locations
from core.jobdir import ACTIVE
from tui import clean, kept
from tui.desk.api import ItemRow, JobRow, Link, UnknownRow
from tui.notices import Notice
from tui.present import words

FOLDER = "handover"
MOST = 40  # rows of one list


@dataclass(frozen=True, slots=True)
class Change:
    """One decision of the audit. at: ISO 8601, UTC."""

    at: str
    who: str
    action: str
    subject: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Shift:
    """What a note tells. at, since: Unix seconds.  jobs: all that are known.  changes: since then, oldest
    first.  gates: model version → its gates that do not pass, as lines.
    """

    at: float
    since: float
    who: str
    host: str
    link: Link
    live: Mapping[str, str]
    jobs: Sequence[JobRow] = ()
    changes: Sequence[Change] = ()
    unknown: Sequence[UnknownRow] = ()
    gates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    items: Sequence[ItemRow] = ()
    decision: str = ""


def note(shift: Shift, *, problems: Sequence[Notice] = ()) -> str:
    """problems: errors the app told in this session."""
    out = [
        f"# Handover {_moment(shift.at)}",
        "",
        f"By {_md(shift.who)}, for everything since {_moment(shift.since)}."
        f" Host {_md(shift.host)}: {_link(shift.link)}.",
        "",
        "## Live",
        *_list(
            (f"{_md(environment)}: {_md(version)}" for environment, version in shift.live.items()),
            "no version is live",
        ),
        "",
        "## What ran",
        *_list((_ran(j) for j in _since(shift.jobs, shift.since)), "no job"),
        "",
        "## What changed",
        *_list((_changed(c) for c in shift.changes), "nothing was decided"),
        "",
        "## What is open",
        *_list(_open(shift), "nothing"),
    ]
    if problems:
        out += ["", "## What went wrong at this desk", *_list(_problem(p) for p in problems)]
    return "\n".join(out) + "\n"


def _open(shift: Shift) -> Iterable[str]:
    for job in shift.jobs:
        if job.status in ACTIVE:
            yield _running(job)
    for version, lines in shift.gates.items():
        for line in lines:
            yield f"{_md(version)}: {_md(line)}"
    if shift.unknown:
        some = ", ".join(f"{_md(u.source_id)} ({u.occurrences} ×)" for u in shift.unknown[:5])
        more = f" and {len(shift.unknown) - 5} more" if len(shift.unknown) > 5 else ""
        n = len(shift.unknown)
        yield f"{n} unknown {'source' if n == 1 else 'sources'}: {some}{more}"
    left = [i for i in shift.items if i.state not in ("done", "warned")]
    if left:
        done = len(shift.items) - len(left)
        yield f"pilot: {done} of {len(shift.items)} items done, next: {_md(left[0].title)}"
        for item in left:
            if item.state == "failed":
                said = item.evidence[0].summary if item.evidence else ""
                yield f"pilot: {_md(item.title)} failed{': ' + _md(said) if said else ''}"
    elif shift.items and not shift.decision:
        yield "pilot: every item is done, GO or NO-GO is not decided"


def _since(jobs: Sequence[JobRow], since: float) -> list[JobRow]:
    """Those that ran at some time since then, oldest first."""
    ran = [
        j
        for j in jobs
        if (j.status in ACTIVE and j.started_at is not None)
        or max(j.ended_at or 0.0, j.started_at or j.submitted_at or 0.0) >= since
    ]
    return sorted(ran, key=lambda j: j.started_at or j.submitted_at or 0.0)


def _ran(job: JobRow) -> str:
    parts = [f"{_md(job.id)} ({_md(job.routine)}): {_md(job.status)}"]
    if job.exit_code not in (None, 0):
        parts.append(f"exit {job.exit_code}")
    if job.reason:
        parts.append(_md(job.reason))
    if job.started_at is not None:
        parts.append(f"started {_moment(job.started_at)}")
        if job.ended_at is not None:
            parts.append(f"ran {words.duration(job.ended_at - job.started_at)}")
    if job.note:
        parts.append(f"“{_md(job.note)}”")
    return ", ".join(parts)


def _running(job: JobRow) -> str:
    share = "" if job.progress is None else f", {words.percent(job.progress)}"
    left = "" if job.eta_s is None else f", {words.duration(job.eta_s)} left"
    behind = f", behind {_md(job.waiting_for)}" if job.waiting_for else ""
    return f"job {_md(job.id)} is {_md(job.status)} on {_md(job.host)}{share}{left}{behind}"


def _changed(change: Change) -> str:
    why = f": {_md(change.why)}" if change.why else ""
    return (
        f"{_moment(change.at)} {_md(change.who)}, {_md(change.action)} {_md(change.subject)}{why}"
    )


def _problem(notice: Notice) -> str:
    first = notice.text.partition("\n")[0]
    said = ": ".join(x for x in (notice.title, first) if x)
    return f"{_moment(notice.at)} {_md(said)}"


def _link(link: Link) -> str:
    if link.state == "up":
        last = link.hops[-1].rtt_ms if link.hops else None
        return f"the link is up, {words.milliseconds(last)}"
    if link.state == "lost":
        return f"the link is lost, last heard {words.ago(link.age_s)} ago"
    return {"failed": "no route", "connecting": "connecting"}.get(link.state, "not connected")


def _list(rows: Iterable[str], empty: str = "") -> list[str]:
    found = [f"- {row}" for row in rows]
    if len(found) > MOST:
        found = [*found[:MOST], f"- … and {len(found) - MOST} more"]
    return found or ([f"- {empty}"] if empty else [])


def _md(value: str) -> str:
    """One line that Markdown shows as it is."""
    said = clean.line(value, 300)
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in said)


def _moment(at: object) -> str:
    """Local time: the note outlives the screen and its way to write moments."""
    return words.moment(at, way="local")


# where notes are kept


def keep(text: str, at: float) -> Path:
    """Store a note under its date in the state folder. Raises EnvironmentProblem."""
    stamp = time.strftime("%Y-%m-%d-%H%M", time.localtime(at))
    return kept.keep(FOLDER, stamp, "md", text, "the note")


def last_written() -> float | None:
    """When the newest note was kept, Unix seconds."""
    folder = locations.state_dir() / FOLDER
    return max((p.stat().st_mtime for p in folder.glob("*.md")), default=None)
