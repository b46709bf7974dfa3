"""Is the link alive? Pings, their deadline, and a laptop that slept in between."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import paramiko

from remote.leg import Leg

PING_S = 1.0
DEADLINE_S = 2.8  # without a reply to a ping, nor anything else: 3.8 s at worst after a cut
BUSY_BYTES = 1 << 16  # a sender that still gets rid of this much is not cut off, only slow
SETTLE_S = (0.002, 0.004, 0.008, 0.016)  # between nudges after a login
SLEPT_S = 5.0  # the wall clock ran ahead of the monotonic one by more: the machine was asleep


class Pulse:
    """Watches the open legs of one route. lost: called once with the reason, in a thread of its own."""

    def __init__(self, legs: list[Leg], lost: Callable[[str], None]) -> None:
        self._legs = legs
        self._lost = lost
        self._stop = threading.Event()
        self._ping_now = threading.Event()
        self._stirred = threading.Event()  # a transport ended, a ping was sent
        self._sent = [(leg.meter.sent, time.monotonic()) for leg in legs]
        self._skew = time.time() - time.monotonic()
        for leg in legs:
            leg.transport.stirred = self._stirred

    def start(self) -> None:
        for work in (self._ping, self._watch):
            threading.Thread(target=work, name="link", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        self._ping_now.set()
        self._stirred.set()

    def _settle(self) -> None:
        """A server tells its host keys just after the login: acknowledged, they are not in the way of the
        answer to the first command.
        """
        for pause in SETTLE_S:
            self._stop.wait(pause)
            for leg in self._legs:
                with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                    leg.nudge()

    def _ping(self) -> None:
        self._settle()
        legs = self._legs
        while not self._stop.is_set() and all(leg.transport.is_active() for leg in legs):
            for leg in legs:
                try:
                    leg.ping()
                except (paramiko.SSHException, EOFError, OSError):
                    return  # the watcher sees it too
            self._ping_now.wait(PING_S)
            self._ping_now.clear()

    def _watch(self) -> None:
        """Sleeps until the next deadline could pass, or something stirs."""
        while not self._stop.is_set():
            why, wait = self._look(time.monotonic())
            if why:
                self._lost(why)
                return
            self._stirred.wait(wait)
            self._stirred.clear()

    def _look(self, now: float) -> tuple[str, float]:
        """(the hop whose answer stays out, or that hung up, else ""; seconds until the next look)."""
        self._notice_sleep(now)
        wait = PING_S
        for i, leg in enumerate(self._legs):
            if not leg.transport.is_active():
                return f"{leg.spot.title} closed the connection", 0.0
            sent, since = self._sent[i]
            if leg.meter.sent - sent > BUSY_BYTES:
                since = now
                self._sent[i] = (leg.meter.sent, now)
            if leg.asked is None:
                continue
            left = max(leg.asked, leg.meter.heard, since) + DEADLINE_S - now
            if left <= 0:
                return f"{leg.spot.title} has not answered for {DEADLINE_S:.0f} s", 0.0
            wait = min(wait, left)
        return "", wait

    def _notice_sleep(self, now: float) -> None:
        """The monotonic clock stands still while the machine sleeps, so a ping must be new to count."""
        skew = time.time() - now
        if skew - self._skew > SLEPT_S:
            self._ping_now.set()
        self._skew = skew
