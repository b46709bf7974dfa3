"""Promotion: an evaluated version goes live on the strength of its gates, or of a typed reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core.errors import QAError, Refused
from core.registry import approvals, deployments, evaluations, records
from core.registry.deployments import OUT_OF_USE, Switch, known_environment, live_row, switch
from core.registry.records import Deployment, need_reason
from core.registry.store import Registry, clean

if TYPE_CHECKING:
    from core.registry.rules import Rules


class AnyLive:
    """Default of `expected_live`: whatever is live."""


ANY: Final = AnyLive()


@dataclass(frozen=True, slots=True)
class Judged:
    """The gates' verdict at this moment, and what it was formed from.

    scores_sha256: of the scores that were judged.  gates: one row each, as in scores.json.
    hashes: name → SHA-256 of what else went in (gates_sha256, golden_sha256).
    """

    verdict: str
    scores_sha256: str
    gates: tuple[Mapping[str, Any], ...] = ()
    reasons: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Allowed:
    scores: evaluations.Head
    verdict: str
    current: sqlite3.Row | None


def why_not_promote(
    reg: Registry,
    version: str,
    environment: str,
    gates_verdict: str | None = None,
    override_reason: str | None = None,
    *,
    expected_live: str | AnyLive | None = ANY,
    judged: Judged | None = None,
    rules: Rules | None = None,
    who: str | None = None,
) -> QAError | None:
    """What `promote` with these values would raise (apart from a missing reason), or None.

    gates_verdict None: the verdict of the newest evaluation, whatever it is.
    """
    try:
        may_promote(
            reg, version, environment, gates_verdict, override_reason,
            expected_live=expected_live, judged=judged, rules=rules, who=who or reg.operator,
        )  # fmt: skip
    except QAError as e:
        return e
    return None


def promote(
    reg: Registry,
    version: str,
    environment: str,
    who: str,
    reason: str,
    gates_verdict: str | None,
    override_reason: str | None = None,
    *,
    expected_live: str | AnyLive | None = ANY,
    judged: Judged | None = None,
    rules: Rules | None = None,
    evidence: Mapping[str, str] | None = None,
) -> Deployment:
    """Make an evaluated version live in an environment, in place of what is live there.

    judged: the gates as evaluated at this moment, on the scores that are still the newest. Without
    it, the verdict stored with the newest evaluation counts, which must be `gates_verdict` if that
    is given. Anything but GO needs an override_reason, which is kept and shown.
    expected_live: the version (or None) the operator saw live; another one means "look again".
    rules: approvals and the order of environments; None asks for neither.
    evidence: further names and hashes to keep with the promotion.
    Raises NotFound, UsageError (no such environment), Refused with the reason.
    """
    need_reason(reason, "a promotion")
    with reg.writing():
        allowed = may_promote(
            reg, version, environment, gates_verdict, override_reason,
            expected_live=expected_live, judged=judged, rules=rules, who=who,
        )  # fmt: skip
        scores, before = allowed.scores, allowed.current
        gates = judged.gates if judged else evaluations.gates_of(reg, scores.id)
        to = Switch(
            kind="promotion",
            model_version=version,
            environment=environment,
            who=who,
            reason=reason,
            returns_to=None if before is None else before["id"],
            verdict=allowed.verdict,
            override=None if allowed.verdict == "GO" else clean(override_reason or ""),
            evaluation_id=scores.id,
            scores_sha256=scores.scores_sha256,
            gates=gates,
            evidence=_evidence(reg, version, scores, judged) | dict(evidence or {}),
        )
        new_id = switch(reg, to, before)
    return deployments.get(reg, new_id)


def may_promote(
    reg: Registry,
    version: str,
    environment: str,
    gates_verdict: str | None,
    override_reason: str | None,
    *,
    expected_live: str | AnyLive | None,
    judged: Judged | None,
    rules: Rules | None,
    who: str,
) -> _Allowed:
    """Every precondition of a promotion. Raises what `promote` raises."""
    known_environment(environment)
    status = records.status_of(reg, version)
    current = live_row(reg, environment)
    now_live = None if current is None else current["model_version"]
    if not isinstance(expected_live, AnyLive) and expected_live != now_live:
        raise Refused(
            f"{environment} changed under you: {now_live or 'nothing'} is live there now",
            why=f"you saw {expected_live or 'nothing'} live",
            try_next="look again, then decide",
        )
    if now_live == version:
        raise Refused(f"{version} is already live in {environment}")
    if status in OUT_OF_USE:
        hint = "evaluate it first" if status == "candidate" else "choose another version"
        raise Refused(f"{version} is {status}", why="only evaluated versions go live",
                      try_next=hint)  # fmt: skip
    scores = evaluations.latest_head(reg, version)
    if scores is None:
        raise Refused(f"{version} has no scores", try_next="evaluate it first")
    verdict = _verdict(version, scores, gates_verdict, judged)
    if rules is not None:
        _keeps_to(reg, version, environment, scores.scores_sha256, rules, who)
    if verdict != "GO" and not (override_reason or "").strip():
        reasons = judged.reasons if judged else evaluations.reasons_of(reg, scores.id)
        raise Refused(
            f"the gates say {verdict} for {version}",
            why="; ".join(clean(r) for r in reasons),
            try_next="mend what the gates name, or type an override reason, which stays on record",
        )
    return _Allowed(scores, verdict, current)


def _verdict(
    version: str, scores: evaluations.Head, gates_verdict: str | None, judged: Judged | None
) -> str:
    if judged is not None and judged.scores_sha256 != scores.scores_sha256:
        raise Refused(
            f"the scores of {version} changed under you",
            why="it was evaluated again while its gates were judged",
            try_next="look again, then decide",
        )
    verdict = judged.verdict if judged is not None else scores.verdict
    if gates_verdict is not None and gates_verdict != verdict:
        raise Refused(
            f"the verdict on {version} is {verdict}, not {gates_verdict}",
            why="it was evaluated again, or the gates changed, since you looked",
            try_next="look again, then decide",
        )
    return verdict


def _keeps_to(
    reg: Registry, version: str, environment: str, scores_sha256: str, rules: Rules, who: str
) -> None:
    if environment == "production" and rules.production_needs_staging:
        sql = "SELECT 1 FROM deployments WHERE model_version = ? AND environment = 'staging'"
        if reg.one(sql, (version,)) is None:
            raise Refused(
                f"{version} has never been live in staging",
                why="production_needs_staging in configs/release.yaml; no override answers it",
                try_next=f"qa versions promote {version} --to staging --confirm {version}",
            )
    needed = rules.approvals_needed(environment)
    objection = approvals.missing(reg, version, environment, scores_sha256, needed, who)
    if objection is not None:
        raise objection


def _evidence(
    reg: Registry, version: str, scores: evaluations.Head, judged: Judged | None
) -> dict[str, str]:
    """Names and hashes of everything the decision rested on, apart from what is missing."""
    row = reg.one(
        "SELECT v.dataset_version, s.manifest_hash, v.adapter_sha256, v.base_model,"
        " json_extract(v.reproducibility, '$.chat_template_sha256')"
        " FROM versions AS v JOIN snapshots AS s USING (dataset_version) WHERE v.model_version = ?",
        (version,),
    )
    assert row is not None
    found = {
        "scores_sha256": scores.scores_sha256,
        "golden_sha256": scores.golden_sha256,
        "dataset_version": row[0],
        "manifest_sha256": row[1],
        "adapter_sha256": row[2],
        "base_model": row[3],
        "chat_template_sha256": row[4],
        **(judged.hashes if judged else {}),
    }
    return {name: str(value) for name, value in found.items() if value}
