"""Looking at the host now and then: jobs that were started elsewhere are followed here too.

Another laptop, or a command beside the open app, starts a job without a word to this desk.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from core.errors import QAError

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

LOOK_S = 5.0


class Looking:
    """One thread that asks only while the link is up, and never brings it up."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Does nothing the second time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="looking", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        from tui.desk import defects
        from tui.desk.outcomes import take_up

        while not self._closed.wait(LOOK_S):
            if self._bench.line.link().state != "up":
                continue
            try:
                take_up(self._bench)
            except QAError:
                continue  # the link, or the scheduler: the status line tells of it
            except Exception as e:  # a thread has nobody to tell
                defects.record(e)
                return
