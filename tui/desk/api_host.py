"""What the Host screen may ask: the way to the host, what it is fit for, its devices, its tunnels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from tui.desk.api import Gauge
from tui.desk.marks import writes


@dataclass(frozen=True, slots=True)
class Setting:
    """One resolved setting. origin: the file or rule it was found in; "" where the row above has it."""

    label: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class HostKey:
    """One line of a known_hosts file that speaks of a hop. kind: key, authority or revoked."""

    hop: str
    name: str
    kind: Literal["key", "authority", "revoked"]
    key_type: str
    fingerprint: str
    where: str


@dataclass(frozen=True, slots=True)
class HostView:
    """Found without connecting. hops: their titles, the first from this machine first."""

    title: str
    hops: tuple[str, ...]
    settings: tuple[Setting, ...]
    keys: tuple[HostKey, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator or the CPU. past: (Unix seconds, share busy or None), oldest first."""

    gauge: Gauge
    index: int
    past: tuple[tuple[float, float | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """Who uses an accelerator. memory: bytes, None where the driver does not tell."""

    pid: int
    name: str
    memory: int | None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One thing looked at on the host. outcome: pass, warn, fail or info."""

    id: str
    title: str
    outcome: str
    detail: str
    consequence: str = ""
    try_next: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A preflight. at: Unix seconds."""

    at: float
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True, slots=True)
class TunnelRow:
    """port: on the host's loopback.  address: here.  open: connections now; bytes each way so far."""

    port: int
    address: str
    open: int
    served: int
    sent: int
    received: int
    error: str = ""


class HostDesk(Protocol):
    """devices, processes, checked, tunnels: instant."""

    def view(self) -> HostView: ...
    def devices(self) -> tuple[Device, ...]: ...
    def processes(self) -> tuple[Process, ...]: ...
    def checked(self) -> Checked | None: ...
    def check(self) -> Checked: ...
    @writes
    def fix(self) -> str: ...  # id of the job that makes the environment
    def tunnels(self) -> tuple[TunnelRow, ...]: ...
    @writes
    def open_tunnel(self, port: int, local: int = 0) -> TunnelRow: ...
    @writes
    def close_tunnel(self, port: int) -> None: ...
    def close(self) -> None: ...
