"""What was said before a training, beside what came: one line a finished run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tui import clean
from tui.present import words

SHOWN = 3  # runs
NAMES = {"peak_bytes": "memory", "wall_s": "time"}


class Figure(Protocol):
    """figure: "peak_bytes" or "wall_s".  error: measured / predicted - 1."""

    @property
    def job_id(self) -> str: ...
    @property
    def figure(self) -> str: ...
    @property
    def predicted(self) -> float: ...
    @property
    def measured(self) -> float: ...
    @property
    def error(self) -> float: ...


class Typical(Protocol):
    """Of one figure on one kind of machine. error: a share."""

    @property
    def machine(self) -> str: ...
    @property
    def figure(self) -> str: ...
    @property
    def error(self) -> float: ...
    @property
    def runs(self) -> int: ...


def typical(found: Sequence[Typical]) -> Iterator[str]:
    """ "typical error of predictions on CPU: memory ±6 % (2 runs), time ±9 % (2 runs)", a line a machine."""
    for machine in dict.fromkeys(one.machine for one in found):
        said = ", ".join(
            f"{NAMES.get(one.figure, one.figure)} ±{one.error:.0%} "
            f"({one.runs} run{'s' if one.runs > 1 else ''})"
            for one in found
            if one.machine == machine
        )
        where = f"on {clean.line(machine, 60)}" if machine else "here"
        yield f"typical error of predictions {where}: {said}"


def rows(held: Sequence[Figure]) -> Iterator[tuple[str, str]]:
    """(job, "memory 3.2 → 4.7 GiB (+47 %)  time 4:42 → 16:35 (+251 %)"), in the order given."""
    by_run: dict[str, dict[str, Figure]] = {}
    for figure in held:
        by_run.setdefault(figure.job_id, {})[figure.figure] = figure
    for job_id, found in list(by_run.items())[:SHOWN]:
        told = []
        if peak := found.get("peak_bytes"):
            said, came = words.gib(peak.predicted), words.gib(peak.measured)
            told.append(f"memory {said} → {came} GiB ({peak.error:+.0%})")
        if wall := found.get("wall_s"):
            said, came = words.duration(wall.predicted), words.duration(wall.measured)
            told.append(f"time {said} → {came} ({wall.error:+.0%})")
        yield job_id, "   ".join(told)
