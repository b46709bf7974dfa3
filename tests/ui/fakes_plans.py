"""What the Train screen is given before a launch, and of the run that is to be beaten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tui.desk.api_plans import (
    Behind,
    Ghost,
    LintRow,
    Missed,
    PlanView,
    PreflightRow,
    PreflightView,
    Price,
    RecipeRow,
    WayOut,
    Wish,
)
from tui.series import Series

GIB = 1024**3
RECIPES = (
    RecipeRow("mistral-7b", "mistralai/Mistral-7B-Instruct-v0.3", ("design", "recommended"),
              "recommended", "the pilot's model"),
    RecipeRow("smollm2-135m", "smollm2-135m", ("recommended", "design"), "recommended", "small"),
    RecipeRow("llama-3.1-70b", "Meta-Llama-3.1-70B", ("design",), "design", "does not fit"),
)  # fmt: skip
PARTS = {
    "weights": 14.5,
    "adapter": 2.7,
    "optimizer": 0.9,
    "activations": 3.1,
    "logits": 1.2,
    "overhead": 1.5,
}
L2 = LintRow(
    "L2", "warning", "lr x alpha / r is 4e-05, below 5e-05", "LoRA wants ten times the learning rate "
    "of full fine-tuning; below this range nothing is learned in a few epochs.",
    "Schulman et al. 2025, LoRA Without Regret", "raise the learning rate", ("train.lr=2e-4",),
)  # fmt: skip
L4 = LintRow(
    "L4", "error", "2.1 wordings per fact, 5 wanted: stored, not extractable",
    "A fact that is seen in one wording is repeated in that wording and not found in another.",
    "Allen-Zhu and Li 2024, Physics of Language Models 3.1", "write more wordings",
)  # fmt: skip


LINT: tuple[LintRow, ...] = (L2,)
PAST = (Missed("", "peak_bytes", 0.04, 6), Missed("", "wall_s", 0.12, 6))


class FakePlans:
    """Implements tui.desk.api_plans.PlansDesk for a FakeDesk. lint, busy, verdict: what plans say."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.lint = LINT
        self.busy = ""
        self.found: PreflightView = PreflightView(
            True, 1458, 1391, "9f2c41ab77d0", 311,
            (PreflightRow("warning", "2 rows have no citation marker", "", "add one",
                          ("line 17: mcp_017",)),),
        )  # fmt: skip

    def recipes(self) -> Sequence[RecipeRow]:
        self.desk._asked("recipes")
        return self.desk.mapped(RECIPES if self.desk.state != "empty" else ())

    def plan(self, wish: Wish) -> PlanView:
        self.desk._asked("plans.plan", wish)
        large = wish.recipe == "llama-3.1-70b"
        ways = (WayOut("the base in 4 bit", ("model.quantise=nf4",), int(45.5 * GIB), "PASS"),)
        lint = () if wish.smoke else tuple(
            LintRow(f.rule, f.severity, f.message, f.reason, f.source, f.fix, f.settings,
                    wish.accept.get(f.rule, "")) for f in self.lint
        )  # fmt: skip
        return self.desk.mapped(PlanView(
            wish, "recommended", f"{wish.recipe}-base", 7_248_000_000, 167_772_160, "gh200", "direct",
            "dataset-2026-11-22-ab12cd34ef00", 1458, 690, 2.1, 0.14,
            tuple((name, int(n * GIB * (6 if large else 1))) for name, n in PARTS.items()),
            int(95.6 * GIB), "NO" if large else "PASS", ways if large else (), (),
            Price(1080.0, 1440.0, 0.4, 671_000_000, 2_680_000_000, 980, 2_150_000,
                  "from 6 runs of mistral-7b on gh200", False),
            lint, PAST, (), self.busy,
            f"qa-train --recipe {wish.recipe}" + "".join(f" --set {s}" for s in wish.overrides),
        ))  # fmt: skip

    def preflight(self, wish: Wish) -> PreflightView:
        self.desk._asked("plans.preflight", wish)
        return self.desk.mapped(self.found)

    def behind(self, job_id: str) -> Behind:
        self.desk._asked("plans.behind", job_id)
        if not job_id.startswith("train-20261122-141530"):
            return Behind(job_id)
        loss = Series()
        for step in range(0, 900, 5):
            loss.append(step, 0.42 + 4.0 * math.exp(-step / 75) + 0.5 * math.exp(-step / 400))
        return Behind(job_id, int(58.1 * GIB), 1080.0, 1440.0, Ghost("access-qa-v1.0.0", loss))
