"""The one line from this desk to its host: opened once, reopened when lost, shared by everything.

Importing this module costs nothing; paramiko comes with the first `open()`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from core import locations
from core.errors import QAError, UsageError
from tui.desk.api import Gauge, Hop, Link

if TYPE_CHECKING:
    from remote.auth import Prompter
    from remote.hosts import Host
    from remote.launch import DirectLauncher
    from remote.readings import Readings
    from remote.route import Route
    from remote.sandbox import Sandbox

SANDBOX = "sandbox"


class Line:
    """Route, launcher and readings of one host. Thread-safe; `link` and `gauge` never block."""

    def __init__(self, host_name: str, prompter: Prompter | None = None) -> None:
        self.host_name = host_name
        self._prompter = prompter
        self._opening = threading.Lock()
        self._sandbox: Sandbox | None = None
        self._host: Host | None = None
        self._route: Route | None = None
        self._readings: Readings | None = None
        self._state: str = "off"
        self._error: QAError | None = None

    def host(self) -> Host:
        """The host's settings; starts the sandbox if that is the host."""
        if self._host is None:
            if self.host_name == SANDBOX:
                from remote.sandbox import Sandbox

                self._sandbox = Sandbox(locations.state_dir() / "sandbox")
                self._host = self._sandbox.start()
            else:
                from remote.hosts import load_hosts

                self._host = load_hosts().get(self.host_name)
        return self._host

    def route(self) -> Route:
        """A route that is up: opened on first use, reopened if it was lost. Raises RouteError."""
        with self._opening:
            if self._route is not None and self._route.alive:
                return self._route
            self._state, self._error = "connecting", None
            try:
                self._open()
            except QAError as e:
                self._state, self._error = "failed", e
                raise
            self._state = "up"
            assert self._route is not None
            return self._route

    def log_in(self, prompter: Prompter) -> None:
        """Open the route now, asking the operator through `prompter`; nobody is asked afterwards.

        For the app: passwords and second factors are typed on the plain terminal, before the screens
        take it over.
        """
        from remote.auth import NoPrompter

        self._prompter = prompter
        try:
            self.route()
        finally:
            self._prompter = NoPrompter()
            if self._route is not None:
                self._route.ask_through(self._prompter)

    def _open(self) -> None:
        host = self.host()
        if self._route is None:
            from remote.auth import NoPrompter
            from remote.route import Route

            self._route = Route(host, self._prompter or NoPrompter())
            self._route.open()
        else:
            self._route.reopen()
        if self._readings is not None:
            self._readings.stop()
        from remote.readings import Readings

        self._readings = Readings(self._route)
        self._readings.start()

    def launcher(self) -> DirectLauncher:
        from remote.launch import DirectLauncher

        return DirectLauncher(self.route())

    def link(self) -> Link:
        if self._route is None or self._state in ("connecting", "failed"):
            error = self._error
            return Link(
                "failed" if error else "connecting" if self._state == "connecting" else "off",
                error=error.what if error else "",
                try_next=error.try_next if error else "",
            )
        status = self._route.status()
        heard = status.last_heard
        return Link(
            status.state,
            tuple(Hop(h.name, h.rtt_ms) for h in status.hops),
            None if heard is None else max(0.0, time.monotonic() - heard),
            status.error.what if status.error else "",
            status.error.try_next if status.error else "",
        )

    def gauge(self) -> Gauge | None:
        reading = self._readings.latest() if self._readings is not None else None
        if reading is None:
            return None
        return Gauge(
            reading.kind,
            reading.name,
            reading.utilisation,
            reading.memory_used,
            reading.memory_total,
            reading.power_w,
            reading.temperature_c,
            max(0.0, time.time() - reading.at),
        )

    def close(self) -> None:
        """Close the route and stop the sandbox's servers. Jobs on the host go on."""
        if self._readings is not None:
            self._readings.stop()
        if self._route is not None:
            self._route.close()
        if self._sandbox is not None:
            self._sandbox.stop()
        self._state = "off"


def known_hosts_names() -> list[str]:
    """Host names an operator may give: those of hosts.yaml, and the sandbox."""
    from remote.hosts import load_hosts

    return [SANDBOX, *(h.name for h in load_hosts())]


def check_host_name(name: str) -> None:
    """Refuse a host nobody knows before any screen is drawn."""
    if name == SANDBOX:
        return
    known = known_hosts_names()
    if name not in known:
        raise UsageError(f"no host {name!r}", try_next=f"one of: {', '.join(known)}")
