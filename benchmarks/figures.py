"""One figure of a benchmark, and how it is printed."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`goal` is the largest ratio ours/peer that counts as met (smaller is better)."""

    name: str
    unit: str
    ours: float
    peer_name: str
    peer: float
    goal: float
    samples: int

    @property
    def ratio(self) -> float:
        return self.ours / self.peer if self.peer else float("nan")

    @property
    def met(self) -> bool:
        return self.ratio <= self.goal

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "ratio": round(self.ratio, 4), "met": self.met})

    def as_text(self) -> str:
        word = "met" if self.met else "MISSED"
        return (
            f"{self.name}: {self.ours:.4g} {self.unit}, {self.peer_name} {self.peer:.4g} {self.unit}, "
            f"ratio {self.ratio:.2f} (goal ≤ {self.goal}, {word}, n={self.samples})"
        )


def median(values: list[float]) -> float:
    return statistics.median(values)
