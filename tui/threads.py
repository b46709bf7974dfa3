"""Where blocking calls of the desk run: a few daemon threads.

Not the event loop's own executor: that one is joined when the app ends, so a connection attempt that
hangs would keep the operator waiting after `q`.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most `size` threads, started when needed, reused, never waited for."""

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result, or its error. Cancelling stops the waiting, not the call."""
        future: Future[T] = Future()
        self._work.put((future, call))
        if not self._idle.acquire(blocking=False) and self._count < self._size:
            self._count += 1
            threading.Thread(target=self._loop, daemon=True, name=f"desk-{self._count}").start()
        return await asyncio.wrap_future(future)

    def _loop(self) -> None:
        while True:
            future, call = self._work.get()
            # RuntimeError: the loop that waited is gone, nobody wants the answer
            with contextlib.suppress(RuntimeError):
                if future.set_running_or_notify_cancel():
                    try:
                        result = call()
                    except BaseException as error:
                        future.set_exception(error)
                    else:
                        future.set_result(result)
            self._idle.release()
