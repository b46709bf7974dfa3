"""How the link stands: small frozen values a screen may read at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.errors import QAError

State = Literal["off", "connecting", "up", "lost", "failed"]


@dataclass(frozen=True, slots=True)
class Hop:
    """rtt_ms: round trip from here to that hop, through the ones before it; None if not known."""

    name: str
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """last_heard: time.monotonic() of the last bytes from the last hop; None if never."""

    state: State = "off"
    hops: tuple[Hop, ...] = ()
    last_heard: float | None = None
    error: QAError | None = None
