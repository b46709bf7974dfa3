"""`qa logs`: a job's output from its mirror, or as it comes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

if TYPE_CHECKING:
    from remote.segments import Seam
    from tui.desk.workbench import Workbench

LINE_CAP = 1 << 19  # of a longer line the beginning is shown; the mirror has all of it
READ = 1 << 18
CATCH_UP_S = 30.0


def logs(
    job_id: Annotated[str, typer.Argument(help="job id, its beginning or last part")],
    host: Annotated[str, typer.Option(envvar="QA_HOST", help="host the job is on")] = "sandbox",
    follow: Annotated[bool, typer.Option(help="until the job has ended")] = False,
    since: Annotated[int, typer.Option(min=0, help="from this byte of the newest segment")] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="only what is mirrored here")] = False,
) -> None:
    """Print a job's log as far as it is on the host; --follow: go on until the job has ended.

    Where the host cannot be reached: what is mirrored here, and a word about its age.
    Where the log was cut short or replaced on the host, a line says so between the parts.
    """
    from tui.cli.named import mirrored, named, opened
    from tui.cli.show import say

    with opened(host) as bench:
        mirror = None
        if follow:
            job = bench.job_dir(named(bench, job_id))
            mirror = bench.following.follow(job.id)
        else:
            if not offline:
                _catch_up(bench, job_id)
            job = mirrored(bench, job_id)
            row = bench.following.row(job)
            if row.age_s is not None and row.age_s > 5:
                say(f"as of {row.age_s:.0f} s ago")
        reader = Reader(job.path, since)
        while True:
            ended = mirror is None or mirror.done.wait(0.1)
            for line in reader.lines():
                _print(line)
            if ended:
                break
            sys.stdout.flush()
        for line in reader.rest():
            _print(line)
        sys.stdout.flush()
        if mirror is not None and mirror.error is not None:
            raise mirror.error


def _catch_up(bench: Workbench, name: str) -> None:
    """Bring the mirror to where the host's file is now; a host that is away leaves it as it is."""
    from core.errors import NotFound, RouteError
    from tui.cli.named import named
    from tui.cli.show import say

    try:
        job_id = named(bench, name)
        job = bench.job_dir(job_id)
        state = job.state()
        if state is not None and not state.active:
            return  # an ended job is mirrored to its last line
        there = bench.line.route().helper().call("stat", path=f"jobs/{job_id}/output.log")
        mirror, size = bench.following.follow(job_id), (there or {}).get("size", 0)
        until = time.monotonic() + CATCH_UP_S
        while not mirror.done.wait(0.02) and time.monotonic() < until:
            if (
                job.output.exists()
                and job.output.stat().st_size >= size
                and job.state_path.exists()
            ):
                return
    except NotFound:
        return  # `mirrored` says so
    except RouteError as e:
        say(f"{e.what}; this is what is mirrored here")


def _print(line: bytes) -> None:
    from tui import clean

    print(clean.line(line.decode("utf-8", "replace"), 100_000))


class Reader:
    """The lines of a mirrored log over its seams, in pieces: no line is ever held whole."""

    def __init__(self, folder: Path, since: int = 0) -> None:
        from remote.segments import segments

        self._folder = folder
        self._todo = segments(folder, "output.log")[:-1] if since == 0 else []
        self._newest = folder / "output.log"
        self._file: BinaryIO | None = None
        self._since = since
        self._pending = b""
        self._told = 0 if since == 0 else len(self._seams())

    def lines(self) -> Iterator[bytes]:
        """All whole lines that are there and were not given yet."""
        while self._todo:
            yield from self._read_file(self._todo.pop(0))
            yield from self._seam()
        while True:
            if self._file is None:
                if not self._newest.exists():
                    return
                self._file = open(self._newest, "rb")  # noqa: SIM115  held while it grows
                self._file.seek(self._since)
                self._since = 0
            yield from self._drain(self._file)
            if self._is_newest(self._file):
                return
            yield from self._drain(self._file)  # what came between the two looks
            self._file.close()
            self._file = None
            yield from self._seam()

    def rest(self) -> Iterator[bytes]:
        """A last line without its newline."""
        if self._pending:
            yield self._pending
            self._pending = b""
        for seam in self._seams("capped"):
            yield seam.line.encode()

    def _read_file(self, path: Path) -> Iterator[bytes]:
        with open(path, "rb") as f:
            yield from self._drain(f)

    def _drain(self, file: BinaryIO) -> Iterator[bytes]:
        while data := file.read(READ):
            *whole, last = data.split(b"\n")
            for piece in whole:
                yield (self._pending + piece)[:LINE_CAP]
                self._pending = b""
            self._pending = (self._pending + last)[:LINE_CAP]

    def _seam(self) -> Iterator[bytes]:
        if self._pending:
            yield self._pending
            self._pending = b""
        found = self._seams()[self._told :]
        for seam in found[:1]:
            self._told += 1
            yield seam.line.encode()

    def _seams(self, *only: str) -> list[Seam]:
        from remote.segments import seams

        all_of_it = seams(self._folder, "output.log")
        return [s for s in all_of_it if (s.why in only if only else s.why != "capped")]

    def _is_newest(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._newest.stat())
        except FileNotFoundError:
            return True  # just being turned over
