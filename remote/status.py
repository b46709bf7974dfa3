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
    """last_heard: time.monotonic() of the last bytes from the last hop; None if never.

    needs_you: it is lost and comes back only if somebody logs in.  retry_at: time.monotonic() of the
    next attempt to bring it back without anybody; None if there is none.
    """

    state: State = "off"
    hops: tuple[Hop, ...] = ()
    last_heard: float | None = None
    error: QAError | None = None
    needs_you: bool = False
    retry_at: float | None = None
