"""Being asked to stop: between two steps while training, at once before and after it. Light."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Preempted(BaseException):
    """Stopped by a signal; not an Exception, so that no library swallows it.

    step: optimizer step of the checkpoint written on the way out, None if there was none to write.
    """

    def __init__(self, step: int | None = None) -> None:
        super().__init__(step)
        self.step = step


class StopRequest:
    """asked: a signal came.  stepping: the training loop runs and will look at `asked` itself."""

    def __init__(self) -> None:
        self.asked = False
        self.stepping = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self.stepping:
            raise Preempted()


@contextmanager
def watch() -> Iterator[StopRequest]:
    """SIGTERM and Ctrl-C become a StopRequest. Outside the main thread nothing is watched."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    old = {n: signal.signal(n, stop.handle) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
