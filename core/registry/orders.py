"""What can be asked of `releases.release`: a promotion, a rollback, a return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.registry import promotion
from core.registry import rollback as back
from core.registry.deployments import Kind
from core.registry.promotion import ANY, AnyLive, Judged
from core.registry.records import Deployment, need_reason
from core.registry.store import Registry

if TYPE_CHECKING:
    from core.registry.rules import Rules


@dataclass(frozen=True, slots=True)
class Promote:
    """As promotion.promote."""

    version: str
    environment: str
    who: str
    reason: str
    judged: Judged | None = None
    override: str | None = None
    expected_live: str | AnyLive | None = ANY
    rules: Rules | None = None
    gates_verdict: str | None = None

    @property
    def kind(self) -> Kind:
        return "promotion"

    def target(self, reg: Registry) -> str:
        need_reason(self.reason, "a promotion")
        promotion.may_promote(
            reg, self.version, self.environment, self.gates_verdict, self.override,
            expected_live=self.expected_live, judged=self.judged, rules=self.rules, who=self.who,
        )  # fmt: skip
        return self.version

    def act(self, reg: Registry, evidence: Mapping[str, str]) -> Deployment:
        return promotion.promote(
            reg, self.version, self.environment, self.who, self.reason, self.gates_verdict,
            self.override, expected_live=self.expected_live, judged=self.judged, rules=self.rules,
            evidence=evidence,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RollBack:
    """As rollback.rollback."""

    environment: str
    who: str
    reason: str
    expected_live: str | None = None

    @property
    def kind(self) -> Kind:
        return "rollback"

    def target(self, reg: Registry) -> str:
        need_reason(self.reason, "a rollback")
        current, to = back.may_roll_back(reg, self.environment)
        back.unchanged(current, self.expected_live)
        return str(to["model_version"])

    def act(self, reg: Registry, evidence: Mapping[str, str]) -> Deployment:
        return back.rollback(
            reg, self.environment, self.who, self.reason, expected_live=self.expected_live,
            evidence=evidence,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Return:
    """As rollback.return_."""

    environment: str
    who: str
    window_s: float
    expected_live: str | None = None
    reason: str = "return inside the window"

    @property
    def kind(self) -> Kind:
        return "return"

    def target(self, reg: Registry) -> str:
        current, to = back.may_return(reg, self.environment, self.window_s)
        back.unchanged(current, self.expected_live)
        return str(to["model_version"])

    def act(self, reg: Registry, evidence: Mapping[str, str]) -> Deployment:
        return back.return_(
            reg, self.environment, self.who, self.window_s, expected_live=self.expected_live,
            evidence=evidence,
        )  # fmt: skip
