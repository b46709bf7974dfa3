"""A desk that answers from a recording, as of a moment that runs, stands or is moved."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from core.errors import NotFound, QAError, ReadOnlyMode, UsageError
from core.jobdir import JobDir
from tui.desk.api import Desk, Link
from tui.desk.marks import is_write
from tui.desk.read_only import part_of
from tui.recording import tape
from tui.recording.codec import decode, encode, job_name, odd

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
FILES_S = 0.1


class Player:
    """A whole recording in memory, but for the bytes of job files, which it writes below `jobs`.

    began, length: Unix seconds of its beginning, seconds it lasts.  Thread-safe.
    """

    def __init__(
        self, path: Path, jobs: Path, *, speed: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        head, entries = tape.read(path)
        self.began, self.host = _number(head.get("began")), str(head.get("host") or "recorded")
        self.jobs = jobs
        self.speed = speed
        self._answers: dict[str, list[tuple[float, Any]]] = {}
        self._files: list[tuple[float, str, int, bytes]] = []
        self.length = 0.0
        for entry in entries:
            self._load(entry)
        self._clock, self._anchor, self._at = clock, clock(), 0.0
        self._paused = False
        self._written = 0
        self._guard = threading.RLock()
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write_on, name="replay", daemon=True)
        self._write_files()
        self._writer.start()

    def _load(self, entry: dict[str, Any]) -> None:
        at = _number(entry.get("t"))
        self.length = max(self.length, at)
        if isinstance(entry.get("call"), str):
            args = entry.get("args")
            row = (at, entry.get("value"))
            self._answers.setdefault(f"{entry['call']} {args}", []).append(row)
        elif isinstance(entry.get("file"), str):
            folder, _, name = entry["file"].partition("/")
            try:
                data = base64.b85decode(str(entry.get("data")))
            except (ValueError, binascii.Error):
                raise odd("bytes that are none") from None
            path = f"{job_name(folder)}/{job_name(name)}"
            self._files.append((at, path, int(_number(entry.get("at"))), data))

    # -- the moment

    @property
    def moment(self) -> float:
        """Seconds since the recording began, at most its length."""
        with self._guard:
            ran = 0.0 if self._paused else (self._clock() - self._anchor) * self.speed
            return min(self.length, self._at + ran)

    @property
    def paused(self) -> bool:
        return self._paused

    def now(self) -> float:
        """Unix seconds of the recorded moment."""
        return self.began + self.moment

    def pause(self) -> None:
        """Stand still, or go on."""
        with self._guard:
            self._hold()
            self._paused = not self._paused

    def seek(self, moment: float) -> None:
        with self._guard:
            self._at, self._anchor = min(self.length, max(0.0, moment)), self._clock()
        self._write_files()

    def faster(self, steps: int = 1) -> None:
        """To the next speed; a negative number is slower."""
        with self._guard:
            self._hold()
            here = min(range(len(SPEEDS)), key=lambda n: abs(SPEEDS[n] - self.speed))
            self.speed = SPEEDS[min(len(SPEEDS) - 1, max(0, here + steps))]

    def _hold(self) -> None:
        self._at, self._anchor = self.moment, self._clock()

    # -- answers

    def answer(self, call: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What was answered last before the moment, else first after it. Raises what was raised,
        NotFound where it was never asked."""
        said = [encode([a for a in args if not callable(a)]), encode(kwargs)]
        rows = self._answers.get(f"{call} {said}") or ()
        if not rows:
            raise NotFound(
                "this was never looked at while it was recorded",
                try_next="go on with another screen or row",
            )
        n = bisect_right(rows, self.moment, key=lambda row: row[0])
        value = decode(rows[max(0, n - 1)][1], self.jobs)
        if isinstance(value, QAError):
            raise value
        return value

    # -- files of jobs

    def _write_on(self) -> None:
        while not self._stop.wait(FILES_S):
            self._write_files()

    def _write_files(self) -> None:
        """Bring the job files to the moment; when it was moved back, from their beginning."""
        with self._guard:
            wanted = bisect_right(self._files, self.moment, key=lambda row: row[0])
            if wanted < self._written:
                for name in {f[1] for f in self._files[: self._written]}:
                    (self.jobs / name).unlink(missing_ok=True)
                self._written = 0
            for _, name, at, data in self._files[self._written : wanted]:
                path = self.jobs / name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with open(path, "r+b" if path.exists() and at else "wb") as f:
                    f.seek(at)
                    f.write(data)
            self._written = wanted

    def close(self) -> None:
        self._stop.set()
        self._writer.join(5)

    def desk(self) -> Desk:
        return cast("Desk", ReplayDesk(self, Desk))


class ReplayDesk:
    """Implements the desk's Protocol, and by it every sub-desk. Nothing can be changed."""

    def __init__(self, player: Player, protocol: type, name: str = "") -> None:
        self._player, self._protocol, self._name = player, protocol, name
        self.host_name = player.host

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        part = part_of(self._protocol, name)
        if part is not None:
            return ReplayDesk(self._player, part, f"{name}.")
        if is_write(self._protocol, name):
            return partial(self._refuse, name)
        return partial(self._answer, name)

    def connect(self, prompter: object = None) -> None:
        """A recording needs no way to the host."""

    def close(self) -> None:
        """The player is closed by whoever made it."""

    def job_dir(self, job_id: str) -> JobDir:
        return JobDir(self._player.jobs / job_name(job_id))

    def link(self) -> Link:
        """As recorded; before the first answer there was none yet."""
        try:
            found: Link = self._player.answer("link", (), {})
        except NotFound:
            return Link("off")
        return found

    def _answer(self, name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._player.answer(self._name + name, args, kwargs)
        except NotFound:
            nothing = NEVER_ASKED.get(self._name + name)
            if nothing is None:
                raise
            return nothing()

    def _refuse(self, name: str, *args: Any, **kwargs: Any) -> None:
        raise ReadOnlyMode(
            f"{name.strip('_').replace('_', ' ')}: this is a recording",
            why="what is shown has happened; nothing can be changed in it",
            try_next="qa app opens the desk itself",
        )


NEVER_ASKED: dict[str, Callable[[], Any]] = {
    # small values that screens pull several times a second: they are not worth an error
    "reading": lambda: None,
    "host.devices": tuple,
    "host.processes": tuple,
    "host.checked": lambda: None,
    "host.tunnels": tuple,
    "data.moving": lambda: None,
    "lists.place": lambda: None,
    "lists.stamp": lambda: 0,
}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise odd("a time that is none")
    return float(value)


def speed_of(text: str) -> float:
    """`4`, `4x`, `0.5`. Raises UsageError."""
    try:
        speed = float(text.lower().removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0.05 <= speed <= 1000:
        raise UsageError(f"{text!r} is no speed", try_next="a number such as 4, or 0.5")
    return speed
