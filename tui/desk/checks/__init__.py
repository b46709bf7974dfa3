"""What each checklist item does when the operator presses enter on it. One module a week."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.desk.api import Say
from tui.desk.checks import week1, week2, week3, week4
from tui.desk.checks.found import Found

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

__all__ = ["CHECKS", "Found"]

CHECKS: dict[str, Callable[[Workbench, Say], Found]] = {
    "create-repo": week1.create_repo,
    "setup-env": week1.setup_env,
    "gpu-visible": week1.gpu_visible,
    "load-base": week1.load_base,
    "extract-compute": week2.extract_compute,
    "extract-software": week2.extract_software,
    "sync": week2.sync,
    "data-loader": week2.data_loader,
    "golden-set": week2.golden_set,
    "first-training": week3.first_training,
    "full-training": week3.full_training,
    "metrics": week3.metrics,
    "qa-eval": week4.qa_eval,
    "compare-base": week4.compare_base,
    "document": week4.document,
    "go-no-go": week4.go_no_go,
}
