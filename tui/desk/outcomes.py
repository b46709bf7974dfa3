"""What becomes of a job that has ended: a candidate version, stored scores, its end in the registry.

`settle` may be called by whoever notices first, any number of times: the outcome is stored once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import ChangedUnderYou, NotFound
from core.jobdir import FAILED, LOST, STOPPED, SUCCEEDED, JobDir, JobSpec, JobState
from tui.desk.api import Say

if TYPE_CHECKING:
    from core.registry import Registry
    from tui.desk.workbench import Workbench

STARTING_S = 180.0  # a start may be under way at another thread or desk


def reattach(bench: Workbench) -> None:
    """Take up what went on while nobody was here: follow active jobs, settle those that ended."""
    from core.registry import jobs

    there = take_up(bench, again=True)
    for record in jobs.list(bench.registry()):
        if record.host != bench.host_name or not record.state.active:
            continue
        known = bench.following.dir(record.id).state()
        if known is not None and not known.active:
            settle(bench, record.id)
        elif record.id not in there and _age_s(record.recorded_at) > STARTING_S:
            reason = "the host does not know it: it never started there, or was removed"
            before = known or record.state  # when it began is still known
            lost = replace(before, status=LOST, reason=reason, waiting_for="", position=None)
            _settle_unknown(bench, record.spec, lost)


def take_up(bench: Workbench, *, again: bool = False) -> set[str]:
    """Follow what runs on the host, and catch up with what ended unseen. Ids of all jobs there.

    again: also those whose mirror could not go on.  Raises RouteError, SchedulerDown.
    """
    late, there = [], set()
    for job_id, state in bench.line.launcher().list():
        there.add(job_id)
        if not again and bench.following.knows(job_id):
            continue
        known = bench.following.dir(job_id).state()
        if state.active:
            bench.following.follow(job_id)
        elif known is None or known.active:
            late.append(job_id)
    bench.following.catch_up(late[::-1])  # newest first
    return there


def _settle_unknown(bench: Workbench, spec: JobSpec, state: JobState) -> None:
    from core.registry import jobs

    bench.following.expect(spec)
    bench.following.settle(spec.id, state)
    _decided(bench, lambda reg: _fail_version(reg, spec.id, state))
    bench.write(lambda reg: jobs.update(reg, spec.id, state))


def _age_s(recorded_at: str) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(recorded_at)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def settle(bench: Workbench, job_id: str) -> None:
    """Store the outcome of an ended job. Raises what prevented it; the next connect tries again."""
    from core.registry import points

    job = bench.following.dir(job_id)
    state = job.state()
    if state is None or state.active:
        return
    with bench.settling:
        if state.status == SUCCEEDED:
            spec = job.spec()
            if spec.routine == "train" and not spec.settings.get("smoke"):
                _register(bench, job_id)
            elif spec.routine == "evaluate":
                _keep_scores(bench, job_id)
        elif state.status in (FAILED, STOPPED, LOST):
            _decided(bench, lambda reg: _fail_version(reg, job_id, state))
        bench.write(lambda reg: points.take_events(reg, job_id, job.events))
        bench.write(lambda reg: _ended(reg, job, bench.host_name, state))


def _ended(reg: Registry, job: JobDir, host: str, state: JobState) -> None:
    from core.registry import jobs

    try:
        jobs.update(reg, job.id, state)
    except NotFound:
        jobs.record(reg, job.spec(), host)  # started at another desk
        jobs.update(reg, job.id, state)


def _decided(bench: Workbench, store: Callable[[Registry], None]) -> None:
    """Store an outcome in the registry; again, if another operator decided something meanwhile."""
    for attempt in range(3):
        try:
            bench.decided(store)
            return
        except ChangedUnderYou:
            if attempt == 2:
                raise


def wait(bench: Workbench, job_id: str, say: Say) -> None:
    """Wait until the job has succeeded (JobFailed otherwise); its outcome is stored on return."""
    try:
        bench.following.wait_succeeded(job_id, say)
    finally:
        settle(bench, job_id)


def version_of(bench: Workbench, job_id: str) -> str:
    """The version that a settled training job became. Raises NotFound."""
    from core.registry import versions

    for version in versions.list(bench.registry()):
        if version.train_job == job_id:
            return version.model_version
    raise NotFound(f"no version came of job {job_id}", try_next=f"qa logs {job_id}")


def scores_of(bench: Workbench, job_id: str) -> dict[str, Any]:
    """The scores that a settled evaluation left. Raises NotFound."""
    from core.registry import evaluations

    for evaluation in evaluations.list(bench.registry()):
        if evaluation.job_id == job_id:
            return evaluation.scores
    raise NotFound(f"no scores came of job {job_id}", try_next=f"qa logs {job_id}")


def fetch_result(bench: Workbench, job_id: str, names: list[str]) -> JobDir:
    """Bring named artifacts of an ended job to its mirror, verified by hash."""
    from remote.sync import fetch_artifacts

    job = bench.following.dir(job_id)
    fetch_artifacts(bench.line.route(), job_id, job.path, names)
    return job


def _register(bench: Workbench, job_id: str) -> None:
    """The version a finished training job made, as a candidate; the same job is the same version."""
    from core.registry import versions
    from core.registry.reproducibility import laptop_facts, reproducibility_from

    job = fetch_result(bench, job_id, ["summary.json"])
    summary = json.loads((job.artifacts / "summary.json").read_text("utf-8"))
    spec = job.spec()
    summary |= _held_against(spec, summary)
    # Whatever waits for the host comes first: a rollback must not stand behind it in the writer's queue.
    adapter = bench.launching.job_path(job_id, "artifacts/adapter")
    record = reproducibility_from(summary, spec, laptop_facts(locations.project_root()))

    def store(reg: Registry) -> None:
        versions.register(
            reg,
            base_model=summary["base_model"],
            dataset_version=spec.settings["snapshot"],
            training_config=spec.settings["recipe"],
            created_by=spec.requested_by,
            train_job=job_id,
            adapter_path=adapter,
            adapter_sha256=summary["adapter_sha256"],
            at_least=spec.settings.get("bump"),
            reproducibility=record,
        )

    _decided(bench, store)


def _held_against(spec: JobSpec, summary: dict[str, Any]) -> dict[str, Any]:
    """What was predicted before the start beside what came, for the version's record."""
    from core.training import cost

    predicted = spec.settings.get("predicted")
    found = cost.compare(predicted, summary) if isinstance(predicted, dict) else {}
    return {"predicted_measured": found} if found else {}


def _fail_version(reg: Registry, job_id: str, state: JobState) -> None:
    """The version that was in training, if the job made one."""
    from core.registry import versions

    begun = versions.in_training(reg, job_id)
    if begun is not None:
        reason = state.reason or f"exit code {state.exit_code}"
        versions.fail(reg, begun, reg.operator, f"job {job_id} {state.status}: {reason}")


def _keep_scores(bench: Workbench, job_id: str) -> None:
    """Bring the scores of a finished evaluation home; count the unknown sources it cited once."""
    from core.registry import evaluations, sources

    names = ["scores.json", "report.md", "answers"]
    job = fetch_result(bench, job_id, names)
    scores: dict[str, Any] = json.loads((job.artifacts / "scores.json").read_text("utf-8"))
    version = job.spec().settings["version"]

    def store(reg: Registry) -> None:
        if evaluations.of_job(reg, version, job_id):
            return
        with reg.writing():  # both or neither: what was counted once must not be counted again
            evaluations.save(reg, version, scores, job_id)
            for row in scores["questions"]:
                for marker in row["markers"] if row["system"] == "tuned" else ():
                    if marker["class"] in ("unknown_entity", "unknown_domain"):
                        source_id = marker["text"].removeprefix("<<SRC:").removesuffix(">>")
                        sources.note_unknown(
                            reg, source_id, model_version=version, example=row["question"]
                        )

    _decided(bench, store)
