"""The link process itself: route, keeper and socket, until nobody has used them for long enough."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from remote.linking.ahead import Ahead
from remote.linking.definition import Definition
from remote.route import Route
from remote.shared.owner import Sharing
from remote.spots import spots

LOOK_S = 1.0
GRACE_S = 5.0  # without a client: the first one is on its way, or the next command of a script


def serve(definition: Definition, report: Callable[[dict[str, Any]], None], ahead: Ahead) -> None:
    """Report {"ready"} or {"taken"} and, ready, hold the link until it is not wanted any more.

    Raises EnvironmentProblem where no socket can be made.
    """
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    ahead.greet(spots(definition.host)[0])
    _keep_memory_to_ourselves()  # before there is a key in it
    route = Route(definition.host, first=ahead.take)
    route.on_lost.append(lambda: note("lost"))
    route.on_up.append(lambda: note("up"))
    sharing = Sharing(route, definition.socket, leave=over.set, of=definition.version)
    if not sharing.start():
        report({"taken": 1})
        return
    with contextlib.suppress(OSError):
        os.ftruncate(2, 0)  # the log of the one before
    note(f"holds the link to {definition.host.name}")
    report({"ready": 1})
    for later in ("remote.shared.channel", "remote.keeper"):  # while the client makes its way here
        import_module(later)
    try:
        while not over.wait(LOOK_S) and not _unwanted(definition, route, sharing):
            pass
    finally:
        sharing.stop()
        route.close()
        note("ended")


def _unwanted(definition: Definition, route: Route, sharing: Sharing) -> bool:
    """Has nobody used it for so long, or could nobody reach it? A login that failed is not kept."""
    worth = 0.0 if route.status().state in ("off", "failed") else definition.host.link_hours * 3600
    return sharing.idle_s > max(GRACE_S, worth) or not sharing.reachable


def note(what: str) -> None:
    """Into the log. Nothing that anybody typed ever comes here."""
    print(
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {what}", file=sys.stderr, flush=True
    )


def _keep_memory_to_ourselves() -> None:
    """Decrypted keys are in it: no core files, and where the kernel can, no other process looks in."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
