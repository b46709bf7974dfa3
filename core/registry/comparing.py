"""Two versions side by side: configuration, data and figures. Per question: core/evaluation/compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.registry import bumps, records
from core.registry.bumps import Change
from core.registry.store import Registry

Differences = dict[str, list[Any]]
"""Dotted key → [value in a, value in b], where they differ."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """b against a. data: from a's snapshot to b's."""

    a: str
    b: str
    base_model: Differences
    config: Differences
    metrics: Differences
    reproducibility: Differences
    data: Change


def compare(reg: Registry, a: str, b: str) -> Comparison:
    """Raises NotFound. Snapshots are read only where the two were trained on different ones."""
    one, two = records.get(reg, a), records.get(reg, b)
    return Comparison(
        a,
        b,
        differences({"base_model": one.base_model}, {"base_model": two.base_model}),
        differences(one.training_config, two.training_config),
        differences(one.eval_metrics, two.eval_metrics),
        differences(one.reproducibility, two.reproducibility),
        bumps.change_between(reg, one.dataset_version, two.dataset_version),
    )


def differences(a: Mapping[str, Any], b: Mapping[str, Any], at: str = "") -> Differences:
    """What two settings differ in; a missing key counts as None."""
    out: Differences = {}
    for key in sorted({*a, *b}):
        x, y, name = a.get(key), b.get(key), f"{at}{key}"
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            out |= differences(x, y, f"{name}.")
        elif x != y:
            out[name] = [x, y]
    return out
