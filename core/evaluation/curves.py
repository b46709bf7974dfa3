"""How recall, fabrication and refusal went while an adapter was trained, as its training left it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SUMMARY = "summary.json"  # beside the adapter
NAMES = ("step", "recall", "fabricated", "refusal")


def of_training(adapter: Path | None) -> list[dict[str, float]]:
    """Points {step, recall, fabricated, refusal}; [] if the training was not probed, or its summary is
    not beside the adapter.
    """
    if adapter is None:
        return []
    try:
        points: Any = json.loads((adapter.parent / SUMMARY).read_text("utf-8")).get("curves")
    except (OSError, ValueError, AttributeError):
        return []
    found = points if isinstance(points, list) else []
    return [
        {k: float(p[k]) for k in NAMES if type(p.get(k)) in (int, float)}
        for p in found
        if isinstance(p, Mapping) and type(p.get("step")) in (int, float)
    ]
