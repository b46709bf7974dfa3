"""Python's cycle collector, stopped where hundreds of thousands of objects are made and kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No cycle collection inside; nested uses and a collector that was off already are left alone.

    Graded answers hold no cycles, yet every few hundred new ones make the collector walk all that
    are kept: a quarter of the time of scoring 100,000 answers.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
