"""Metric points of trainings: loss, learning rate and their like by step, about 20 bytes each.

    points.take_events(reg, job_id, mirror / "events.jsonl")     # what is new in the file
    points.read(reg, job_id, "loss")                             # [(step, value), …]

An observation, not a decision: no audit rows. A run is named after its job.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.jobdir import read_events
from core.registry.store import Registry, clean

SECONDS = "seconds"  # since the first event of the file
LEFT_OUT = frozenset({"t", "step", "max_steps", "eta_s"})  # follow from the others
MAX_KEYS = 1000  # a run with more names is not a training that counts its loss
MAX_NAME = 200
_BATCH = 20_000
_INT64 = 1 << 63

Row = tuple[str, int, float]
"""key, step, value"""


def add(reg: Registry, run: str, rows: Iterable[Row]) -> int:
    """Add points in one transaction; the same key and step again replaces. Returns how many.

    rows: (key, step, value). NaN is kept as such.
    """
    with reg.writing():
        return _add(reg, _run_id(reg, run), rows)


def read(reg: Registry, run: str, key: str) -> list[tuple[int, float]]:
    """(step, value) by step; empty if there are none."""
    sql = (
        "SELECT step, value FROM points WHERE run = (SELECT id FROM point_runs WHERE job_id = ?)"
        " AND key = (SELECT id FROM point_keys WHERE name = ?) ORDER BY step"
    )
    found = reg.rows(sql, (clean(run), _name(key)))
    return [(r[0], math.nan if r[1] is None else r[1]) for r in found]


def keys(reg: Registry, run: str) -> dict[str, int]:
    """key → number of points."""
    sql = (
        "SELECT k.name, count(*) FROM points AS p JOIN point_keys AS k ON k.id = p.key"
        " WHERE p.run = (SELECT id FROM point_runs WHERE job_id = ?) GROUP BY k.name ORDER BY 1"
    )
    return {r[0]: r[1] for r in reg.rows(sql, (clean(run),))}


def runs(reg: Registry) -> tuple[str, ...]:
    """Jobs that have points, newest first."""
    return tuple(r[0] for r in reg.rows("SELECT job_id FROM point_runs ORDER BY id DESC"))


def take_events(reg: Registry, job_id: str, path: Path) -> int:
    """Take over the metric events of a mirrored events.jsonl that are not in yet.

    Every number of an event becomes a point at its step; SECONDS is when it was. The place in the
    file is stored in the same transaction, so it may be called again at any time, also for a file
    that still grows. Returns the number of points that came in.
    """
    with reg.writing():
        run = _run_id(reg, job_id)
        taken = int(reg.value("SELECT taken FROM point_runs WHERE id = ?", (run,)))
        events, end = read_events(path, taken)
        if end == taken:
            return 0
        start = _first_time(path)
        count = _add(reg, run, _points(events, start))
        reg.execute("UPDATE point_runs SET taken = ? WHERE id = ?", (end, run))
    return count


def _points(events: Iterable[Mapping[str, Any]], start: float | None) -> Iterator[Row]:
    for event in events:
        step = event.get("step")
        if event["kind"] != "metric" or type(step) is not int or not -_INT64 <= step < _INT64:
            continue
        for key, value in event.items():
            if key not in LEFT_OUT and type(value) in (int, float):
                number = _float(value)
                if number is not None:
                    yield key, step, number
        at = event.get("t")
        if start is not None and isinstance(at, int | float):
            yield SECONDS, step, round(at - start, 3)


def _first_time(path: Path) -> float | None:
    with open(path, "rb") as f:
        line = f.readline(1 << 16)
    try:
        at = json.loads(line)["t"]
    except (ValueError, TypeError, KeyError):
        return None
    return float(at) if isinstance(at, int | float) else None


def _float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _add(reg: Registry, run: int, rows: Iterable[Row]) -> int:
    known: dict[str, int] = {r[0]: r[1] for r in reg.rows("SELECT name, id FROM point_keys")}
    used: set[str] = set()

    def key_id(key: str) -> int | None:
        if key not in used:
            if len(used) >= MAX_KEYS:
                return None
            used.add(key)
        name = _name(key)
        if name not in known:
            sql = "INSERT INTO point_keys (name) VALUES (?) RETURNING id"
            known[name] = int(reg.value(sql, (name,)))
        return known[name]

    ids: dict[str, int | None] = {}
    rest, count = iter(rows), 0
    while batch := list(itertools.islice(rest, _BATCH)):
        for key in {row[0] for row in batch} - ids.keys():
            ids[key] = key_id(key)
        # NaN is stored as NULL by SQLite itself
        stored = [
            (run, number, step, value)
            for key, step, value in batch
            if (number := ids[key]) is not None
        ]
        stored.sort(key=_place)  # neighbours in the tree, one after the other
        reg.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", stored)
        count += len(stored)
    return count


def _place(row: tuple[int, int, int, float]) -> tuple[int, int]:
    return row[1], row[2]


def _run_id(reg: Registry, run: str) -> int:
    name = clean(run)
    found = reg.value("SELECT id FROM point_runs WHERE job_id = ?", (name,))
    if found is None:
        sql = "INSERT INTO point_runs (job_id) VALUES (?) RETURNING id"
        found = reg.value(sql, (name,))
    return int(found)


def _name(key: str) -> str:
    return clean(key)[:MAX_NAME]
