"""Jobs at the desk: what the host lists beside what is mirrored, and what can be done with one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import QAError, RouteError
from core.jobdir import ARTIFACTS, JobDir
from tui.desk.api_work import About, Artifact, Listed, Why

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

TAIL = 256 << 10  # bytes of the log in which a failure is looked for
FAILED = ("failed", "stopped", "lost")


class WorkbenchWork:
    """Implements `tui.desk.api_work.WorkDesk`. Thread-safe."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def listed(self) -> Listed:
        """Asks the host only over a connection that is up: a list never waits for a login."""
        from tui.desk.job_list import asked

        known = self._bench.following.rows
        if self._bench.link().state != "up":
            return Listed(tuple(known()))
        try:
            return Listed(tuple(asked(self._bench)))
        except RouteError as e:
            return Listed(tuple(known()), e.what)

    def about(self, job_id: str) -> About:
        from remote.segments import seams
        from tui.desk.specs import spec_of

        spec, job = spec_of(self._bench, job_id), self._bench.following.dir(job_id)
        state = job.state()
        return About(
            job_id,
            spec.requested_by,
            spec.requested_at,
            " ".join(spec.command),
            tuple(flat(spec.settings)),
            tuple((str(i.get("name", "")), str(i.get("path", ""))) for i in spec.inputs),
            job.output,
            why_failed(job) if state is not None and state.status in FAILED else None,
            self._became(job_id),
            tuple(s.line for s in seams(job.path)),
        )

    def _became(self, job_id: str) -> str:
        from core.registry import records

        found = records.list(self._bench.registry(), limit=10_000)
        return next((v.model_version for v in found if v.train_job == job_id), "")

    def artifacts(self, job_id: str) -> tuple[Artifact, ...]:
        """What the host lists; without a link what is mirrored. Raises NotFound, RouteError."""
        folder = self._bench.following.dir(job_id).path / ARTIFACTS
        if self._bench.link().state != "up":
            return tuple(Artifact(n, s, True) for n, s in sorted(_files(folder)))
        from remote.sync import usable_name

        path = f"jobs/{job_id}/{ARTIFACTS}"
        rows = self._bench.line.route().helper().call("listing", path=path)
        found = []
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and type(row.get("size")) is int:
                name, size = usable_name(row.get("name")), int(row["size"])
                here = folder / name
                found.append(Artifact(name, size, here.is_file() and here.stat().st_size == size))
        return tuple(found)

    def fetch(self, job_id: str, name: str) -> Path:
        """Copy one artifact here. Raises NotFound, RouteError, DiskFull."""
        from remote.sync import fetch_artifacts

        into = self._bench.following.dir(job_id).path
        fetch_artifacts(self._bench.line.route(), job_id, into, [name])
        return into / ARTIFACTS / name

    def kill(self, job_id: str) -> None:
        """End it at once, without a checkpoint. Raises NotFound, RouteError."""
        self._bench.line.launcher().stop(job_id, kill=True)

    def rerun(self, job_id: str) -> str:
        from tui.desk.again import rerun

        return rerun(self._bench, job_id, queue=True)

    def resume(self, job_id: str) -> str:
        from tui.desk.again import resume

        return resume(self._bench, job_id, queue=True)

    def remove(self, job_id: str) -> tuple[str, ...]:
        """On the host; what is mirrored here stays. Raises JobActive, Refused, NotFound."""
        from tui.desk.removing import remove

        return tuple(remove(self._bench, job_id))


def why_failed(job: JobDir) -> Why | None:
    """By the end of its log, then by its state's reason; None where nothing known is found."""
    from core.explain import explain

    lines, first = tail(job.output)
    state = job.state()
    reasons = [state.reason] if state is not None and state.reason else []
    try:
        found = explain([*lines, *reasons])
    except QAError:  # a rules file that is wrong: the job's own words still stand
        return None
    if found is None:
        return None
    number = None if found.number >= len(lines) or first is None else first + found.number
    return Why(found.what, found.try_next, found.line, number)


def tail(log: Path) -> tuple[list[str], int | None]:
    """(the last lines of a log, the number of the first of them counted from 0)."""
    try:
        with open(log, "rb") as f:
            start = max(0, os.fstat(f.fileno()).st_size - TAIL)
            before = 0
            for _ in range(start // (1 << 20)):
                before += f.read(1 << 20).count(b"\n")
            before += f.read(start - f.tell()).count(b"\n")
            lines = f.read(TAIL).decode("utf-8", "replace").split("\n")
    except OSError:
        return [], None
    return lines, before


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names; those that are empty are left out.

    Of a list of settings each has its name, or its number from 1.
    """
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, list) and any(isinstance(x, Mapping) for x in value):
            value = _by_name(value)
        if isinstance(value, Mapping):
            yield from flat(value, name + ".")
        elif isinstance(value, list):
            if value:
                yield name, ", ".join(map(str, value))
        elif value is not None and value != "":
            yield name, str(value)


def _by_name(settings: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for n, one in enumerate(settings, 1):
        names = [one.get(key) for key in ("name", "rule", "id")] if isinstance(one, Mapping) else []
        name = next((str(name) for name in names if name), str(n))
        found[f"{name}.{n}" if name in found else name] = one
    return found


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path.stat().st_size
