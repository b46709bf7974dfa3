"""Releasing: judging by the gates of this moment, promoting, rolling back, returning, approving."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import QAError, Refused, UsageError
from tui.desk.api import Say
from tui.desk.launching import operator
from tui.desk.version_views import (
    ENVIRONMENTS,
    HEADLINE,
    at,
    card,
    compare,
    detail,
    headline,
    history,
    live_versions,
    rows,
)

if TYPE_CHECKING:
    from core.registry import Registry
    from core.registry.precheck import Probe
    from core.registry.promotion import Judged
    from core.registry.releases import Order, Recovered, Released
    from core.registry.rules import Rules
    from core.registry.serving_hooks import Serving

__all__ = [
    "ENVIRONMENTS",
    "HEADLINE",
    "approve",
    "at",
    "card",
    "compare",
    "detail",
    "headline",
    "history",
    "judge_now",
    "live_versions",
    "promote",
    "recover",
    "return_",
    "roll_back",
    "rows",
    "take_out",
    "why_not_approve",
    "why_not_promote",
    "why_not_return",
    "why_not_roll_back",
]

ANYTHING = "*"
"""As `expected_live`: whatever is live. "" stands for nothing."""


def judge_now(reg: Registry, model_version: str) -> Judged | None:
    """The gates of configs/gates.yaml on the newest stored scores; None if there are no scores.

    Raises NotFound, SettingsError.
    """
    from core.registry import evaluations, versions

    versions.status_of(reg, model_version)
    head = evaluations.latest_head(reg, model_version)
    if head is None:
        return None
    known = _judged.get((head.scores_sha256, _gates_sha256()))
    if known is None:
        newest = evaluations.latest(reg, model_version)
        assert newest is not None
        known = _judge(newest.scores, newest.scores_sha256, newest.golden_sha256)
        if len(_judged) > 500:
            _judged.clear()
        _judged[head.scores_sha256, _gates_sha256()] = known
    return known


_judged: dict[tuple[str, str], Judged] = {}  # both hashes name their content


def _judge(scores: Mapping[str, Any], scores_sha256: str, golden_sha256: str | None) -> Judged:
    from core.evaluation.gates import load_gates
    from core.evaluation.rejudge import reasons, rejudge
    from core.registry.promotion import Judged

    hashes = {"gates_sha256": _gates_sha256()}
    if golden_sha256:
        hashes["golden_sha256"] = golden_sha256
    try:
        verdict, results = rejudge(scores, load_gates())
    except UsageError as e:
        return Judged("UNDECIDED", scores_sha256, (), (e.what,), hashes)
    gates = tuple(r.as_dict() for r in results)
    return Judged(verdict, scores_sha256, gates, reasons(results), hashes)


def _gates_sha256() -> str:
    try:
        return hashlib.sha256((locations.configs() / "gates.yaml").read_bytes()).hexdigest()
    except OSError:
        return ""


def _rules() -> Rules:
    from core.registry.rules import load_rules

    path = locations.configs() / "release.yaml"
    try:
        return _read_rules(str(path), path.stat().st_mtime_ns)
    except FileNotFoundError:
        return load_rules(path)  # says what is missing


@lru_cache(maxsize=4)
def _read_rules(path: str, changed_at: int) -> Rules:
    from pathlib import Path

    from core.registry.rules import load_rules

    return load_rules(Path(path))


def _rules_or_defaults(say: Say) -> Rules:
    """A broken file must not keep anybody from going back; only promotions insist on it."""
    from core.errors import SettingsError
    from core.registry.rules import Rules

    try:
        return _rules()
    except SettingsError as e:
        say(f"release rules: the defaults count, {e.what}")
        return Rules.model_validate({})


def _words(error: QAError | None) -> str | None:
    """A reason in a line. The gates' own sentences are on the decision page, not in here."""
    if error is None:
        return None
    return f"{error.what}: {error.why}" if 0 < len(error.why) <= 120 else error.what


# ── promote ─────────────────────────────────────────────────────────────────────────────────────


def why_not_promote(reg: Registry, model_version: str, environment: str) -> str | None:
    """None if the gates of now and the rules let it through; else the reason."""
    from core.registry import versions

    try:
        judged, rules = judge_now(reg, model_version), _rules()
    except QAError as e:
        return _words(e)
    return _words(
        versions.why_not_promote(
            reg, model_version, environment, judged=judged, rules=rules, who=operator()
        )
    )


def promote(
    reg: Registry,
    model_version: str,
    environment: str,
    *,
    override_reason: str | None = None,
    expected_live: str = ANYTHING,
    serving: Serving | None = None,
    probe: Probe | None = None,
    say: Say = lambda text: None,
) -> Released:
    """Make a version live. The gates are evaluated now and stored with it, hashes and all; anything
    but GO needs a typed reason. expected_live: what the operator saw live there ("" nothing).
    """
    from core.registry.orders import Promote
    from core.registry.promotion import ANY

    seen = ANY if expected_live == ANYTHING else expected_live or None
    order = Promote(
        model_version,
        environment,
        operator(),
        override_reason or "the gates say GO",
        judge_now(reg, model_version),
        override_reason,
        seen,
        _rules(),
    )
    return _release(reg, order, serving, probe, say)


# ── back ────────────────────────────────────────────────────────────────────────────────────────


def why_not_roll_back(reg: Registry, environment: str) -> str | None:
    from core.registry import versions

    return _words(versions.why_not_roll_back(reg, environment))


def roll_back(
    reg: Registry,
    environment: str,
    reason: str,
    *,
    expected_live: str | None = None,
    serving: Serving | None = None,
    probe: Probe | None = None,
    say: Say = lambda text: None,
) -> str:
    """Return to the version that was live before. Returns its name."""
    from core.registry.orders import RollBack

    order = RollBack(environment, operator(), reason, expected_live)
    return _release(reg, order, serving, probe, say).deployment.model_version


def why_not_return(reg: Registry, environment: str) -> str | None:
    from core.registry import versions

    return _words(versions.why_not_return(reg, environment, _rules_or_defaults(_quietly).window_s))


def return_(
    reg: Registry,
    environment: str,
    *,
    expected_live: str | None = None,
    serving: Serving | None = None,
    probe: Probe | None = None,
    say: Say = lambda text: None,
) -> str:
    """Undo the last switch inside its window; no reason is asked. Returns the version's name."""
    from core.registry.orders import Return

    window_s = _rules_or_defaults(say).window_s
    order = Return(environment, operator(), window_s, expected_live)
    return _release(reg, order, serving, probe, say).deployment.model_version


def recover(reg: Registry, serving: Serving | None = None) -> tuple[Recovered, ...]:
    """Undo or complete what a killed process left behind."""
    from core.registry import releases

    if not releases.open_releases(reg):
        return ()
    return releases.recover(reg, serving, window_s=_rules_or_defaults(_quietly).window_s)


def _quietly(text: str) -> None:
    pass


def _release(
    reg: Registry, order: Order, serving: Serving | None, probe: Probe | None, say: Say
) -> Released:
    from core.registry import releases
    from core.registry.precheck import local_facts

    rules = _rules_or_defaults(_quietly)
    return releases.release(
        reg,
        order,
        serving=serving,
        probe=probe or local_facts,
        questions=_smoke_questions(rules.smoke_questions) if serving is not None else (),
        window_s=rules.window_s,
        say=say,
    )


def _smoke_questions(count: int) -> tuple[str, ...]:
    """The first questions of the golden set."""
    from core.evaluation.golden import load_golden

    path = locations.configs() / "corpus" / "golden.jsonl"
    if not count or not path.is_file():
        return ()
    return tuple(q.question for q in load_golden(path)[:count])


# ── other decisions ─────────────────────────────────────────────────────────────────────────────


def why_not_approve(reg: Registry, model_version: str, environment: str) -> str | None:
    """Why this operator cannot approve it now, or None."""
    from core.registry import approvals, evaluations, versions
    from core.registry.deployments import OUT_OF_USE

    status = versions.status_of(reg, model_version)
    head = evaluations.latest_head(reg, model_version)
    if status in OUT_OF_USE or head is None:
        return f"{model_version} is {status}: only evaluated versions can be approved"
    who = operator()
    given = approvals.valid(reg, model_version, environment, head.scores_sha256)
    if any(a.who == who for a in given):
        return f"{who} has approved it for {environment} already"
    return None


def approve(reg: Registry, model_version: str, environment: str, reason: str) -> None:
    """Agree, as somebody else than who promotes, to the version with its newest scores."""
    from core.registry import versions

    versions.approve(reg, model_version, environment, operator(), reason)


def take_out(reg: Registry, model_version: str, how: str, reason: str) -> str:
    """how: quarantine, release (from quarantine), archive or fail. Returns the new status."""
    from core.registry import versions

    acts: dict[str, Callable[..., Any]] = {
        "quarantine": versions.quarantine,
        "release": versions.release_from_quarantine,
        "archive": versions.archive,
        "fail": versions.fail,
    }
    if how not in acts:
        raise Refused(f"there is no step {how!r}", try_next=f"one of: {', '.join(acts)}")
    return str(acts[how](reg, model_version, operator(), reason).status)
