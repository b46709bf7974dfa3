"""Several batches answered at once, each by a thread that waits for no other.

A step of a small model is hundreds of short products. Threads that share each of them wait for each
other each time; threads that have a batch of their own do not, and torch lets go of Python's lock while
it computes. They share the weights, and this process's memory and signals: there is no worker process to
lose. What they find is handed to the thread that asked.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

Batch = TypeVar("Batch")
Found = TypeVar("Found")
Wanted = Callable[[], None]
"""Asked between two layers: raises where nobody waits for the answers any more."""


class NotWanted(BaseException):
    """Not an Exception, so that no library swallows it."""


class SideBySide:
    """threads: batches at the same time.  each: torch's threads for every one of them."""

    def __init__(self, threads: int, each: int = 1) -> None:
        self.threads, self.each = threads, each
        self.running = False

    def answered(
        self, answer: Callable[[Batch, Wanted], Iterator[Found]], batches: Iterable[Batch]
    ) -> Iterator[tuple[Batch, Found]]:
        """What `answer` yields of the batches, as it comes; whoever is free takes the next batch.

        Raises what `answer` raised, after all that was found before it. However it ends, by an error,
        a signal or because no more is asked for, no thread goes on behind it.
        """
        import torch

        todo: SimpleQueue[Batch] = SimpleQueue()
        for batch in batches:
            todo.put(batch)
        found: SimpleQueue[tuple[Batch, Found] | BaseException | None] = SimpleQueue()
        stop = threading.Event()

        def wanted() -> None:
            if stop.is_set():
                raise NotWanted

        def taken() -> Iterator[Batch]:
            with contextlib.suppress(Empty):
                while True:
                    yield todo.get_nowait()

        def work() -> None:
            try:
                torch.set_num_threads(self.each)
                for batch in taken():
                    for some in answer(batch, wanted):
                        found.put((batch, some))
                        wanted()
            except NotWanted:
                found.put(None)
            except BaseException as e:
                found.put(e)
            else:
                found.put(None)

        workers = [threading.Thread(target=work) for _ in range(self.threads)]
        failed: BaseException | None = None
        try:
            self.running = True
            for worker in workers:
                worker.start()
            left = len(workers)
            while left:
                one = found.get()
                if isinstance(one, tuple):
                    yield one
                    continue
                left -= 1
                if one is not None and failed is None:
                    failed = one
                    stop.set()  # the others hand over what they have, and end
        finally:
            stop.set()
            try:
                for worker in workers:
                    if worker.ident is not None:
                        worker.join()
            finally:  # a second ctrl+c comes while the first one waits
                torch.set_num_threads(torch.get_num_threads())  # what new threads begin with
                self.running = False
        if failed is not None:
            raise failed
