"""Brings a lost route up again, where that needs nobody: a key of the agent, a key without passphrase, or
one that was opened before. A password or a second factor is never tried again by itself.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from core.errors import (
    AuthenticationFailed,
    Cancelled,
    HostKeyChanged,
    HostKeyUnknown,
    QAError,
)

FIRST_S, MOST_S = 0.5, 30.0


class Kept(Protocol):
    """What a keeper needs of a route."""

    on_lost: list[Callable[[], None]]
    on_up: list[Callable[[], None]]

    @property
    def alive(self) -> bool: ...
    @property
    def needs_human(self) -> bool: ...
    def ensure(self) -> object: ...


def delay(attempt: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds before attempt 0, 1, 2, …: full jitter under a limit that doubles, at most MOST_S.

    Many laptops on one VPN come back at once; they must not knock at the jump host at once.
    """
    return uniform(0.0, min(MOST_S, FIRST_S * 2.0 ** min(attempt, 16)))


class Keeper:
    """One thread that sleeps while the route is up. needs_you and retry_at may be read at any time."""

    def __init__(
        self, route: Kept, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._route = route
        self._uniform = uniform
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._is_lost = threading.Event()
        self._thread: threading.Thread | None = None
        self.needs_you = False
        self.retry_at: float | None = None
        self.attempts = 0  # since the link was lost

    def start(self) -> None:
        self._route.on_lost.append(self._lost)
        self._route.on_up.append(self._up)
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Gives up; a running attempt ends by itself."""
        self._stop.set()
        self._wake.set()
        self._is_lost.set()
        for calls, own in ((self._route.on_lost, self._lost), (self._route.on_up, self._up)):
            if own in calls:
                calls.remove(own)

    def now(self) -> None:
        """Do not wait any longer: the network is back, say."""
        self._wake.set()

    def _lost(self) -> None:
        self.attempts = 0
        self.needs_you = self._route.needs_human
        self._is_lost.set()

    def _up(self) -> None:
        self.needs_you, self.retry_at = False, None
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._is_lost.wait()
            self._is_lost.clear()
            while not (self._stop.is_set() or self.needs_you or self._route.alive):
                self._wake.clear()
                pause = delay(self.attempts, self._uniform)
                self.retry_at = time.monotonic() + pause
                self._wake.wait(pause)
                self.retry_at = None
                if not self._stop.is_set() and not self._route.alive:
                    self._try()
            if self._stop.is_set():
                return

    def _try(self) -> None:
        self.attempts += 1
        try:
            self._route.ensure()
        except (AuthenticationFailed, HostKeyChanged, HostKeyUnknown, Cancelled):
            self.needs_you = True  # trying again would not change it
        except QAError:
            # An ordinary event: no network yet, no name service, the jump host not up yet.
            self.needs_you = self._route.needs_human
