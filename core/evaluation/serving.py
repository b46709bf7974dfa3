"""Latency at the server, as `qa-eval latency` measured it, for the gates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.evaluation.statistics import Proportion, wilson


@dataclass(frozen=True, slots=True)
class Served:
    """One target at one rate (requests a second). seconds: of the answered ones; n: of all sent."""

    target: str
    rate: float
    n: int
    seconds: tuple[float, ...]
    p95: float | None
    low: float | None
    high: float | None

    def within(self, limit_s: float) -> Proportion:
        return wilson(sum(s < limit_s for s in self.seconds), self.n)


def served_at(
    document: Mapping[str, Any] | None, names: Collection[str], rate: float | None = None
) -> Served | None:
    """What was measured of a target with one of these names: at this rate, else at the lowest one.

    document: latency.json, or None. None where nothing of the kind was measured.
    """
    found = [
        r
        for r in (document or {}).get("results") or ()
        if r.get("target") in names and isinstance(r.get("latencies_s"), list)
    ]
    if rate is not None:
        found = [r for r in found if r.get("rate") == rate]
    if not found:
        return None
    r = min(found, key=lambda r: float(r["rate"]))
    p95 = r["latency"]["p95"]
    return Served(
        str(r["target"]),
        float(r["rate"]),
        int(r["n"]),
        tuple(map(float, r["latencies_s"])),
        p95["s"],
        p95["low"],
        p95["high"],
    )
