"""The one line from this desk to its host: logged in once, shared by everything, back by itself.

The connection is held by a link process, which is started on demand and outlives this one.
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
    from remote.linking.link_route import LinkRoute
    from remote.readings import Reading, Readings
    from remote.sandbox import Sandbox

SANDBOX = "sandbox"
PATIENCE_S = 20.0  # for a link that is just coming back; a command has nothing else to do


class Line:
    """Route, launcher and readings of one host. Thread-safe; `link` and `gauge` never block.

    Where a program of this user has logged in to the host today, nobody is asked for anything.
    prompter: a command's, who is asked whenever the line connects; a link that is just coming back is
    waited for. A line without one (the app's) asks in `log_in`.
    """

    def __init__(self, host_name: str, prompter: Prompter | None = None) -> None:
        self.host_name = host_name
        self._prompter = prompter
        self._patience_s = PATIENCE_S if prompter is not None else 0.0
        self._opening = threading.Lock()
        self._sandbox: Sandbox | None = None
        self._host: Host | None = None
        self._route: LinkRoute | None = None
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

    def route(self) -> LinkRoute:
        """A route that is up: made on first use, brought back if it was lost. Raises RouteError."""
        found = self._route
        if found is not None and self._ready(found):
            return found
        with self._opening:
            found = self._route
            if found is None or not self._ready(found):
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

    def _ready(self, route: LinkRoute) -> bool:
        """Up, and set up from here: another program may have brought the link up."""
        return route.alive and self._readings is not None

    def log_in(self, prompter: Prompter) -> None:
        """Connect now, asking the operator through `prompter`; nobody is asked afterwards.

        A link that is lost later comes back by itself only where no person is needed.
        """
        usual, self._prompter = self._prompter, prompter
        try:
            self.route()
        finally:
            self._prompter = usual

    def _connect(self) -> LinkRoute:
        route = self._route
        if route is None:
            from remote.linking.spawning import prepare

            if self._host is None and self.host_name != SANDBOX:
                prepare(self.host_name)  # it loads while hosts.yaml is read
            from remote.linking.link_route import LinkRoute

            self._route = route = LinkRoute(
                self._known_host(), self._patience_s
            )  # `link` tells of it
            route.keep_up()
        if self._prompter is not None:
            route.open(self._prompter)
        else:
            route.ensure()
        if self._readings is None:
            self.use_environment()
            self._read(route)
        return route

    def _known_host(self) -> Host:
        from remote.linking.spawning import dismiss, spare
        from remote.shared.owner import socket_named

        try:
            return self.host()
        except QAError:  # what was loaded for it is not needed
            dismiss(spare(socket_named(self.host_name).with_suffix(".log")))
            raise

    def _read(self, route: LinkRoute) -> None:
        from remote.readings import Readings

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
        state = status.state
        if state == "off":  # the link process is just being started, or could not be
            state = "connecting" if self._busy else "failed" if error else "off"
        error = status.error or (error if state == "failed" else None)
        return Link(
            state,
            tuple(Hop(h.name, h.rtt_ms) for h in status.hops),
            None if status.last_heard is None else max(0.0, now - status.last_heard),
            error.what if error else "",
            error.try_next if error else "",
            status.needs_you,
            None if status.retry_at is None else max(0.0, status.retry_at - now),
        )

    @property
    def readings(self) -> Readings | None:
        """The host's devices, as they come in; None before the first connection."""
        return self._readings

    def gauge(self) -> Gauge | None:
        reading = self._readings.latest() if self._readings is not None else None
        return None if reading is None else gauge_of(reading)

    def close(self) -> None:
        """Leave the connection and stop the sandbox's servers. Jobs on the host go on."""
        if self._readings is not None:
            self._readings.stop()
        if self._route is not None:
            self._route.close()
        if self._sandbox is not None:
            self._sandbox.stop()


def gauge_of(reading: Reading) -> Gauge:
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


def known_hosts_names() -> list[str]:
    """Host names an operator may give: those of hosts.yaml, and the sandbox."""
    from remote.hosts import load_hosts

    return [SANDBOX, *load_hosts().names()]


def check_host_name(name: str) -> None:
    """Refuse a host nobody knows (hosts.yaml, aliases of the SSH configuration) before any screen."""
    if name != SANDBOX:
        from remote.hosts import load_hosts

        load_hosts().get(name)
