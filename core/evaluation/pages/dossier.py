"""Everything the report may draw. Only `scores` is needed; whatever else is missing is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Dossier:
    """scores: a scores.json.  version: the fields of `core.registry.records.Version`.

    snapshot, evaluation, approvals, releases, decision: the registry's rows as plain mappings,
    newest first.  flips: `compare_scores` of the previous version against this one; flips_from: that
    version's name.  curves: rows {step, recall, fabricated, refusal}; loss: (step, loss).
    opinions: of people and of a judge, see `core.evaluation.opinions`.
    audit_head: of the registry's audit chain.  made_at: ISO 8601, UTC; when the page is made.
    """

    scores: Mapping[str, Any]
    version: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    approvals: Rows = ()
    releases: Rows = ()
    decision: Mapping[str, Any] = field(default_factory=dict)
    live_in: Sequence[str] = ()
    flips: Mapping[str, Any] = field(default_factory=dict)
    flips_from: str = ""
    curves: Rows = ()
    loss: Sequence[tuple[float, float]] = ()
    opinions: Mapping[str, Any] = field(default_factory=dict)
    audit_head: str = ""
    made_at: str = ""
