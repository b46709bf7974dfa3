"""What was learned and what was forgotten from one probe to the next, fact by fact. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Names of facts. learned: right now and not at the probe before.  forgotten: right then and not
    now.  never: right at no probe so far.
    """

    learned: tuple[str, ...]
    forgotten: tuple[str, ...]
    never: tuple[str, ...]


def change(probes: Sequence[Mapping[str, bool]]) -> Change:
    """probes: fact → answered rightly, one mapping a probe, the oldest first; at least one.

    Before the first probe nothing counts as right.
    """
    now, before = probes[-1], probes[-2] if len(probes) > 1 else {}
    return Change(
        tuple(f for f, right in now.items() if right and not before.get(f, False)),
        tuple(f for f, right in now.items() if not right and before.get(f, False)),
        tuple(f for f in now if not any(p.get(f, False) for p in probes)),
    )
