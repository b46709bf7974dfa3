"""The one line from this desk to its host: logged in once, shared by everything, back by itself.

Importing this module costs nothing; paramiko comes with the first connection of our own.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from core import locations
from core.errors import QAError
from tui.desk.api import Gauge, Hop, Link

if TYPE_CHECKING:
    from remote.auth import Prompter
    from remote.hosts import Host
    from remote.launch import Launcher
    from remote.readings import Readings
    from remote.route import Route
    from remote.sandbox import Sandbox
    from remote.shared_route import SharedRoute
    from remote.sharing import Sharing

SANDBOX = "sandbox"


class Line:
    """Route, launcher and readings of one host. Thread-safe; `link` and `gauge` never block.

    Where another process of this user holds a connection to the host, that one is used, and nobody is
    asked for anything. Else the line makes its own, and serves it to the others.
    """

    def __init__(self, host_name: str, prompter: Prompter | None = None) -> None:
        self.host_name = host_name
        self._prompter = prompter
        self._opening = threading.Lock()
        self._sandbox: Sandbox | None = None
        self._host: Host | None = None
        self._own: Route | None = None
        self._route: Route | SharedRoute | None = None
        self._sharing: Sharing | None = None
        self._readings: Readings | None = None
        self._error: QAError | None = None
        self._busy = False

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

    def route(self) -> Route | SharedRoute:
        """A route that is up: made on first use, brought back if it was lost. Raises RouteError."""
        found = self._route
        if found is not None and found.alive:
            return found
        with self._opening:
            found = self._route
            if found is None or not found.alive:
                self._busy = True
                try:
                    found = self._connect()
                    self._error = None
                except QAError as e:
                    self._error = e
                    raise
                finally:
                    self._busy = False
            return found

    def log_in(self, prompter: Prompter) -> None:
        """Connect now, asking the operator through `prompter`; nobody is asked afterwards.

        A link that is lost later comes back by itself only where no person is needed.
        """
        self._prompter = prompter
        try:
            self.route()
        finally:
            self._prompter = None

    def _connect(self) -> Route | SharedRoute:
        from remote.sharing import attach

        host = self.host()
        shared = attach(host) if self._sharing is None else None  # that socket would be ours
        if shared is not None:
            self._route = shared
        else:
            self._route = self._own = self._opened(host)
        self.use_environment()
        self._read(self._route)
        return self._route

    def _opened(self, host: Host) -> Route:
        """Our own connection, open, kept up and served to other processes of this user."""
        from remote.auth import NoPrompter
        from remote.route import Route
        from remote.sharing import Sharing

        route = self._own or Route(host)
        if self._own is None or self._prompter is not None:
            route.ask_through(self._prompter or NoPrompter())
            self._route = self._own = route  # what `link` tells of while it opens
            try:
                route.open()
            finally:
                route.ask_through(NoPrompter())
        else:
            route.ensure()
        route.keep_up()
        if self._sharing is None:
            sharing = Sharing(route)
            self._sharing = sharing if sharing.start() else None
        return route

    def _read(self, route: Route | SharedRoute) -> None:
        from remote.readings import Readings

        if self._readings is not None:
            self._readings.stop()
        self._readings = Readings(route)
        self._readings.start()

    def use_environment(self) -> None:
        """Jobs run with the Python that `qa doctor --fix` made on the host, where it did."""
        from dataclasses import replace

        from tui.desk.environment import interpreter

        route = self._route
        assert route is not None and self._host is not None
        helper = route.helper()
        if helper.call("stat", path=interpreter()):
            python = f"{helper.call('hello')['workdir']}/{interpreter()}"
            self._host = route.host = replace(self._host, python=python)

    def launcher(self) -> Launcher:
        """The host's own way of running jobs: directly, or through Slurm."""
        from remote.launchers import launcher_for

        return launcher_for(self.route())

    def link(self) -> Link:
        route, error = self._route, self._error
        if route is None:
            return Link(
                "failed" if error else "connecting" if self._busy else "off",
                error=error.what if error else "",
                try_next=error.try_next if error else "",
            )
        status, now = route.status(), time.monotonic()
        error = status.error or (error if status.state == "failed" else None)
        return Link(
            status.state,
            tuple(Hop(h.name, h.rtt_ms) for h in status.hops),
            None if status.last_heard is None else max(0.0, now - status.last_heard),
            error.what if error else "",
            error.try_next if error else "",
            status.needs_you,
            None if status.retry_at is None else max(0.0, status.retry_at - now),
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
            reading.power_limit_w,
            reading.clock_mhz,
            reading.ecc_errors,
            reading.throttle,
        )

    def close(self) -> None:
        """Close the connection and stop the sandbox's servers. Jobs on the host go on."""
        if self._readings is not None:
            self._readings.stop()
        if self._sharing is not None:
            self._sharing.stop()
        for route in {self._own, self._route} - {None}:  # ours may stand by while another is used
            route.close()  # type: ignore[union-attr]
        if self._sandbox is not None:
            self._sandbox.stop()


def known_hosts_names() -> list[str]:
    """Host names an operator may give: those of hosts.yaml, and the sandbox."""
    from remote.hosts import load_hosts

    return [SANDBOX, *load_hosts().names()]


def check_host_name(name: str) -> None:
    """Refuse a host nobody knows (hosts.yaml, aliases of the SSH configuration) before any screen."""
    if name != SANDBOX:
        from remote.hosts import load_hosts

        load_hosts().get(name)
