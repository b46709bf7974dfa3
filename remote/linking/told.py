"""How the link stands, as it travels from the process that holds it to those that use it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core import errors
from core.errors import QAError, RouteError
from remote.agent.frames import FrameError
from remote.helper_client import plain
from remote.status import Hop, LinkStatus

if TYPE_CHECKING:
    from remote.route import Route

WORDS = 700  # characters of a part of an error: it must fit a frame's header
STATES = ("off", "connecting", "up", "lost", "failed")


@dataclass(frozen=True, slots=True)
class Told:
    """at: the teller's monotonic clock, which is ours too: of two the newer counts.

    human: the last login took a person.  ended: somebody ended the link process on purpose.
    """

    status: LinkStatus = field(default_factory=LinkStatus)
    human: bool = False
    at: float = 0.0
    ended: bool = False


def tell(route: Route, *, ended: bool = False) -> bytes:
    """The body of a frame {"status"}. Ages, not times, of what is on another clock elsewhere."""
    at, status = time.monotonic(), route.status()
    said = {
        "at": at,
        "state": status.state,
        "hops": [[hop.name, hop.rtt_ms] for hop in status.hops],
        "heard": status.last_heard,
        "error": error_said(status.error) if status.error else None,
        "needs_you": status.needs_you,
        "retry_at": status.retry_at,
        "human": route.needs_human,
        "ended": ended,
    }
    return json.dumps(said).encode()


def read(body: bytes) -> Told:
    """Raises FrameError."""
    try:
        said = json.loads(body)
        state = said["state"]
        status = LinkStatus(
            state if state in STATES else "lost",
            tuple(Hop(plain(name, 100), _number(rtt)) for name, rtt in said["hops"]),
            _number(said["heard"]),
            error_from(said["error"]) if said["error"] else None,
            said["needs_you"] is True,
            _number(said["retry_at"]),
        )
        return Told(status, said["human"] is True, float(said["at"]), said["ended"] is True)
    except (ValueError, TypeError, KeyError) as e:
        raise FrameError("not a status") from e


def error_said(error: QAError) -> dict[str, str]:
    """For the header of a frame."""
    return {key: value[:WORDS] for key, value in error.as_dict().items()}


def error_from(said: Any) -> QAError:
    """The teller's error as the same of ours."""
    if not isinstance(said, dict):
        return RouteError("the link process refused", try_next="connect again")
    kind = getattr(errors, str(said.get("error")), None)
    known = isinstance(kind, type) and issubclass(kind, QAError)
    words = {key: plain(said.get(key, ""), WORDS) for key in ("why", "try_next")}
    cls: type[QAError] = kind if known else RouteError  # type: ignore[assignment]
    return cls(plain(said.get("what", "refused"), WORDS), **words)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
