"""The host as the desk sees it: settings and keys on file, preflight, devices, tunnels."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from core.errors import NotFound
from tui.desk.api_host import (
    Checked,
    Device,
    FindingRow,
    HostKey,
    HostView,
    Process,
    Setting,
    TunnelRow,
)

if TYPE_CHECKING:
    from remote.hosts import Host
    from remote.tunnels import Tunnel
    from tui.desk.workbench import Workbench

KINDS = {"": "key", "@cert-authority": "authority", "@revoked": "revoked"}


class WorkbenchHost:
    """Implements `tui.desk.api_host.HostDesk`. Thread-safe."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._checked: Checked | None = None
        self._tunnels: dict[int, Tunnel] = {}
        self._guard = threading.Lock()

    def view(self) -> HostView:
        from remote.spots import spots
        from remote.ways.host_shown import rows

        host = self._bench.line.host()
        return HostView(
            host.title,
            tuple(spot.title for spot in spots(host)),
            tuple(Setting(*row) for row in rows(host)),
            host_keys(host),
            host.notes,
        )

    def devices(self) -> tuple[Device, ...]:
        from tui.desk.line import gauge_of

        readings = self._bench.line.readings
        if readings is None:
            return ()
        return tuple(
            Device(
                gauge_of(r),
                r.index,
                tuple((p.at, p.utilisation) for p in readings.past(r.kind, r.index)),
            )
            for r in readings.all()
        )

    def processes(self) -> tuple[Process, ...]:
        readings = self._bench.line.readings
        found = readings.processes() if readings is not None else ()
        return tuple(Process(p.pid, p.name, p.memory) for p in found)

    def checked(self) -> Checked | None:
        return self._checked

    def check(self) -> Checked:
        """Look at the host now; takes seconds. Raises RouteError."""
        from remote.preflight import preflight

        route = self._bench.line.route()
        self._bench.line.use_environment()  # it may have been made since
        found = preflight(route, index=True, torch=True)
        rows = tuple(
            FindingRow(f.id, f.title, f.outcome, f.detail, f.consequence, f.try_next) for f in found
        )
        self._checked = Checked(time.time(), rows)
        return self._checked

    def fix(self) -> str:
        """Start the job that makes the Python environment of the jobs; its id."""
        from tui.desk import environment

        return environment.start(self._bench)

    def tunnels(self) -> tuple[TunnelRow, ...]:
        with self._guard:
            found = list(self._tunnels.items())
        return tuple(_row(port, tunnel) for port, tunnel in sorted(found))

    def open_tunnel(self, port: int, local: int = 0) -> TunnelRow:
        """Raises UsageError (no port), PortTaken; opened twice it is the one that is there."""
        from remote.tunnels import Tunnel

        with self._guard:
            if port not in self._tunnels:
                self._tunnels[port] = Tunnel(self._bench.line.route, port, local)
            return _row(port, self._tunnels[port])

    def close_tunnel(self, port: int) -> None:
        """Raises NotFound."""
        with self._guard:
            tunnel = self._tunnels.pop(port, None)
        if tunnel is None:
            raise NotFound(
                f"no tunnel of this app leads to port {port}",
                try_next="those of `qa tunnel` end with Ctrl-C where they were started",
            )
        tunnel.close()

    def close(self) -> None:
        with self._guard:
            tunnels, self._tunnels = list(self._tunnels.values()), {}
        for tunnel in tunnels:
            tunnel.close()


def host_keys(host: Host) -> tuple[HostKey, ...]:
    """The lines of the known_hosts files that speak of a hop of this host, in the files' order."""
    from remote.spots import spots
    from remote.trust import known_hosts
    from remote.trust.host_keys import HostKeys

    found = []
    for spot in spots(host):
        keys = HostKeys.of(spot)
        for entry in keys.entries:
            name = next((n for n in keys.names if known_hosts.matches(entry.patterns, n)), None)
            if name is not None:
                found.append(
                    HostKey(
                        spot.title,
                        name,
                        KINDS[entry.marker],  # type: ignore[arg-type]
                        entry.key_type,
                        known_hosts.fingerprint(entry.blob),
                        entry.where,
                    )
                )
    return tuple(found)


def _row(port: int, tunnel: Tunnel) -> TunnelRow:
    error = tunnel.error.what if tunnel.error is not None else ""
    return TunnelRow(
        port, tunnel.address, tunnel.open, tunnel.served, tunnel.sent, tunnel.received, error
    )
