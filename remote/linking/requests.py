"""What a client may ask of the holder of the link besides channels: to connect, and how it stands."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from remote.linking.prompts import RelayPrompter
from remote.linking.told import tell

if TYPE_CHECKING:
    import threading

    from remote.route import Route

TICK_S = (
    0.5  # how often a status is told where nothing happens, and a client that waits looked after
)
MOST_PATIENCE_S = 60.0
ANSWER_S = 300.0  # servers wait no longer for a login


class Asker(Protocol):
    """The client that asked, as far as it is needed here."""

    stirred: threading.Event  # something has changed about the link

    def say(self, header: dict[str, Any], body: bytes = b"") -> None: ...
    def hear(self, seconds: float) -> bytes: ...
    def gone(self) -> bool: ...


def watch(route: Route, asker: Asker) -> None:
    """Tell how the link stands, at once when it changes, until the client goes."""
    while not asker.gone():
        asker.say({"status": 1}, tell(route))
        asker.stirred.wait(TICK_S)
        asker.stirred.clear()


def connect(route: Route, asked: dict[str, Any], asker: Asker, logging_in: threading.Lock) -> None:
    """Bring the link up: with the client's operator if it says {"ask"}, else without anybody.

    Where it is just coming back by itself, that is waited for within the client's patience. Logins
    take turns, so two programs that start at once cause one.  {"agent"}: the client's ssh-agent; the
    one this process began with may be of a session that has ended.  Raises RouteError, Cancelled.
    """
    if isinstance(asked.get("agent"), str):
        os.environ["SSH_AUTH_SOCK"] = asked["agent"]
    comes_back(route, time.monotonic() + patience_of(asked), asker)
    while not logging_in.acquire(timeout=TICK_S):
        if asker.gone():
            return
    try:
        if asked.get("ask"):
            route.open(RelayPrompter(asker.say, lambda: asker.hear(ANSWER_S)))
        else:
            route.ensure()
    finally:
        logging_in.release()
    route.keep_up()
    asker.say({"ok": 1}, tell(route))


def patience_of(asked: dict[str, Any]) -> float:
    """Seconds the client would wait for the link."""
    value = asked.get("patience")
    return min(float(value), MOST_PATIENCE_S) if isinstance(value, (int, float)) else 0.0


def comes_back(route: Route, until: float, asker: Asker) -> bool:
    """Wait for a link that is being brought back. False where that needs a person, or takes too long."""
    while not route.alive:
        status, now = route.status(), time.monotonic()
        coming = status.state in ("lost", "connecting") and not status.needs_you
        if not coming or now >= until or asker.gone():
            return False
        asker.stirred.wait(min(TICK_S, until - now))
        asker.stirred.clear()
    return True
