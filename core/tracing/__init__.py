"""From an answer back to what may have taught it: version, snapshot, suspect pairs.

Nothing here claims a cause. A model mixes what it has read; what is found are pairs that are worth a
look, each with the reason.
"""

from core.tracing.given import Given, ResponseId, parse
from core.tracing.suspects import Evidence, Reason, Suspect, find_suspects
from core.tracing.trace import Facts, Trace, trace

__all__ = [
    "Evidence",
    "Facts",
    "Given",
    "Reason",
    "ResponseId",
    "Suspect",
    "Trace",
    "find_suspects",
    "parse",
    "trace",
]
