"""A desk that keeps what it answers, and the growth of the job files it hands out."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from core.errors import QAError
from core.jobdir import EVENTS, OUTPUT, SPEC, STATE, JobDir
from tui.desk.api import Desk
from tui.desk.read_only import part_of
from tui.recording.codec import encode
from tui.recording.tape import Tape

OFTEN_S = 0.5  # restless answers are kept twice a second
LOOK_S = 0.25
CHUNK = 1 << 20
FILES = (SPEC, STATE, EVENTS, OUTPUT)
RESTLESS = frozenset({"link", "reading", "host.devices"})  # their ages change at every call
UNKEPT = frozenset({"connect", "close"})  # a login is nobody's business


class Recorder:
    """Begins a recording at once. `desk(inner)` gives the desk to use instead."""

    def __init__(self, path: Path, host: str, *, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._began = clock, clock()
        self.tape = Tape(path, {"began": self._began, "host": host})
        self._last: dict[str, tuple[float, Any]] = {}
        self._guard = threading.Lock()
        self._sizes: dict[Path, int] = {}
        self._jobs: dict[str, Path] = {}
        self._stop = threading.Event()
        self._looker = threading.Thread(target=self._look_on, name="recording-jobs", daemon=True)
        self._looker.start()

    def desk(self, inner: Desk) -> Desk:
        return cast("Desk", RecordingDesk(self, inner, Desk))

    def close(self) -> None:
        self._stop.set()
        self._looker.join(5)
        self._look()
        self.tape.close()

    # -- answers

    def keep(self, call: str, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        """Put an answer on the tape if it is another one than before."""
        if isinstance(answer, JobDir):
            self._jobs[answer.id] = answer.path
        try:
            said = [encode([a for a in args if not callable(a)]), encode(kwargs)]
            value = encode(answer)
        except TypeError:
            return  # e.g. an iterator, which a screen reads once
        key, now = f"{call} {said}", self._clock() - self._began
        with self._guard:
            at, before = self._last.get(key, (-1e9, _NOTHING))
            if before == value or (call in RESTLESS and now - at < OFTEN_S):
                return
            self._last[key] = (now, value)
        self.tape.put({"t": round(now, 3), "call": call, "args": said, "value": value})

    # -- files of jobs

    def _look_on(self) -> None:
        while not self._stop.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        for name, folder in list(self._jobs.items()):
            for file in FILES:
                self._grow(f"{name}/{file}", folder / file, whole=file in (SPEC, STATE))

    def _grow(self, name: str, path: Path, *, whole: bool) -> None:
        try:
            info = path.stat()
            mark = info.st_mtime_ns if whole else info.st_size
            at = self._sizes.get(path, 0)
            if mark == at:
                return
            start = 0 if whole or mark < at else at  # replaced, or cut short: from its beginning
            with open(path, "rb") as f:
                f.seek(start)
                while data := f.read(CHUNK):
                    self._put(name, start, data)
                    start = f.tell()
            self._sizes[path] = mark if whole else start
        except OSError:
            pass  # not there yet

    def _put(self, name: str, at: int, data: bytes) -> None:
        now = round(self._clock() - self._began, 3)
        packed = base64.b85encode(data).decode()
        self.tape.put({"t": now, "file": name, "at": at, "data": packed})


_NOTHING = object()


class RecordingDesk:
    """Passes every call on and keeps its answer; sub-desks under their own names, `host.view`."""

    def __init__(self, recorder: Recorder, inner: Any, protocol: type, name: str = "") -> None:
        self._recorder, self._inner, self._protocol, self._name = recorder, inner, protocol, name
        self._parts: dict[str, RecordingDesk] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        part = part_of(self._protocol, name)
        if part is not None:
            if name not in self._parts:
                self._parts[name] = RecordingDesk(self._recorder, found, part, f"{name}.")
            return self._parts[name]
        if not callable(found) or name.startswith("_") or name in UNKEPT:
            return found
        return partial(self._call, name, found)

    def _call(self, name: str, found: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        full = self._name + name
        try:
            answer = found(*args, **kwargs)
        except QAError as problem:
            self._recorder.keep(full, args, kwargs, problem)
            raise
        self._recorder.keep(full, args, kwargs, answer)
        return answer


def usable(path: Path) -> Path:
    """Where a recording may be made: a new file in a folder that is there, or is made."""
    path = path.expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
