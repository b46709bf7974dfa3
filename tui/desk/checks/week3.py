"""Week 3, training: one short run to its end, the full run, and metrics that are really there."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING

from core.jobdir import JobDir, read_events
from tui.desk.api import Say
from tui.desk.checks.found import Found
from tui.desk.jobs import start_training
from tui.desk.outcomes import fetch_result, version_of, wait
from tui.desk.specs import find_job

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def first_training(bench: Workbench, say: Say) -> Found:
    """One epoch over a few rows, to its normal end: proves the path, not the model."""
    job_id = start_training(bench, bench.recipe, smoke=True)
    say(f"job {job_id}")
    wait(bench, job_id, say)
    return _trained(bench, job_id)


def full_training(bench: Workbench, say: Say) -> Found:
    """The recipe's epochs over the whole snapshot; what comes out becomes a candidate version."""
    job_id = start_training(bench, bench.recipe)
    say(f"job {job_id}")
    wait(bench, job_id, say)
    version = version_of(bench, job_id)
    say(f"candidate {version}")
    found = _trained(bench, job_id)
    return Found(found.outcome, f"{version}: {found.summary}", found.detail, job_id)


def _trained(bench: Workbench, job_id: str) -> Found:
    job = fetch_result(bench, job_id, ["summary.json"])
    s = json.loads((job.artifacts / "summary.json").read_text("utf-8"))
    return Found(
        "pass",
        f"exit 0, {s['epochs']:g} epochs, {s['steps']} steps, "
        f"loss {s['loss_first']:.2f} → {s['loss_last']:.2f}, {s['wall_s']:.0f} s",
        json.dumps(s, indent=1),
        job_id,
    )


def metrics(bench: Workbench, say: Say) -> Found:
    """Every step of the full run left a metric, none is missing or not a number, and the loss fell."""
    job = find_job(bench, "train", smoke=False)
    steps, losses = _curve(job)
    wanted = max(steps, default=0)
    missing = sorted(set(range(1, wanted + 1)) - set(steps))
    broken = [s for s, x in zip(steps, losses, strict=True) if not math.isfinite(x)]
    if not steps or missing or broken:
        return Found(
            "fail", f"{len(steps)} of {wanted} steps have a metric; {len(broken)} are not numbers",
            f"missing: {missing[:20]}\nnot a number: {broken[:20]}", job.id,
        )  # fmt: skip
    fifth = max(1, len(losses) // 5)
    first, last = sum(losses[:fifth]) / fifth, sum(losses[-fifth:]) / fifth
    wandb = (
        "wandb: a key is set, but runs are recorded locally"
        if os.environ.get("WANDB_API_KEY")
        else ("wandb: not configured here; the local record is the truth")
    )
    summary = f"{len(steps)} steps recorded, loss {first:.2f} → {last:.2f} (means of a fifth)"
    if last >= first:
        return Found("fail", f"{summary}: it did not fall", wandb, job.id)
    return Found("pass", summary, wandb, job.id)


def _curve(job: JobDir) -> tuple[list[int], list[float]]:
    events, _ = read_events(job.events)
    seen = {e["step"]: e["loss"] for e in events if e["kind"] == "metric" and "loss" in e}
    return list(seen), [float(x) for x in seen.values()]
