"""One thread that writes, and one connection for each thread that reads.

    with Writer() as writer:
        version = writer.run(lambda reg: versions.register(reg, …))
        writer.submit(lambda reg: sources.note_unknown(reg, "doc:x"))      # a Future

What is handed in is done in that order, one after the other; each call is whole by itself, as it is
on any registry. So no two writers of one program ever wait for each other's lock.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from core.errors import Cancelled
from core.registry.opening import open_registry
from core.registry.store import Registry

T = TypeVar("T")
_Work = tuple[Future[Any], Callable[[Registry], Any]]


class Writer:
    """The registry is opened with the first call. Safe to use from any thread."""

    def __init__(
        self, path: Path | None = None, *, operator: str | None = None, how: str | None = None
    ) -> None:
        self._path, self._operator, self._how = path, operator, how
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._reg: Registry | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, act: Callable[[Registry], T]) -> Future[T]:
        """Its result or its error comes with the Future. Raises Cancelled after `close`."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise Cancelled("the registry's writer is closed")
            if self._thread is None:
                # A daemon: whoever waits has not been told that it is done, so an end of the program
                # in the middle loses nothing that was promised.
                self._thread = threading.Thread(
                    target=self._work, name="registry-writer", daemon=True
                )
                self._thread.start()
            self._queue.put((future, act))
        return future

    def run(self, act: Callable[[Registry], T]) -> T:
        """Wait for it. Not from within a call that the writer is doing."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("the writer would wait for itself")
        return self.submit(act).result()

    def interrupt(self) -> None:
        """Stop the statement that is running; its call ends in Cancelled and is rolled back."""
        reg = self._reg
        if reg is not None:
            with suppress(sqlite3.ProgrammingError):  # closed in the meantime
                reg.interrupt()

    def close(self) -> None:
        """Do what was handed in, then end. May be called twice."""
        with self._lock:
            first, self._closed = not self._closed, True
            thread = self._thread
        if first and thread is not None:
            self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _work(self) -> None:
        try:
            while (work := self._queue.get()) is not None:
                future, act = work
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    result = act(self._registry())
                except BaseException as e:
                    future.set_exception(e)
                else:
                    future.set_result(result)
        finally:
            if self._reg is not None:
                self._reg.close()

    def _registry(self) -> Registry:
        if self._reg is None:
            self._reg = open_registry(self._path, operator=self._operator, how=self._how)
        return self._reg


class Readers:
    """A connection for each thread that asks, closed with its thread."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._local = threading.local()
        self._all: weakref.WeakSet[Registry] = weakref.WeakSet()

    def registry(self) -> Registry:
        """This thread's connection."""
        found: Registry | None = getattr(self._local, "registry", None)
        if found is None:
            found = self._local.registry = open_registry(self._path)
            self._all.add(found)
        return found

    def interrupt(self) -> None:
        """Stop what any of them is reading; it ends in Cancelled."""
        for reg in tuple(self._all):
            with suppress(sqlite3.ProgrammingError):
                reg.interrupt()
