"""What becomes of a job that has ended: a candidate version, stored scores, its end in the registry.

`settle` may be called by whoever notices first, any number of times: the outcome is stored once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import NotFound, QAError
from core.jobdir import SUCCEEDED, JobDir
from tui.desk.api import Say
from tui.desk.launching import sha256_file

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def reattach(bench: Workbench) -> None:
    """Take up what went on while nobody was here: follow active jobs, settle those that ended."""
    from core.registry import jobs

    for job_id, state in bench.line.launcher().list():
        known = bench.following.dir(job_id).state()
        if state.active or known is None or known.active:
            bench.following.follow(job_id)
    for record in jobs.list(bench.registry()):
        if record.host == bench.host_name and record.state.active:
            known = bench.following.dir(record.id).state()
            if known is not None and not known.active:
                settle(bench, record.id)


def settle(bench: Workbench, job_id: str) -> None:
    """Store the outcome of an ended job. Raises what prevented it; the next connect tries again."""
    from core.registry import jobs

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
        try:
            jobs.update(bench.registry(), job_id, state)
        except NotFound:
            jobs.record(bench.registry(), job.spec(), bench.host_name)  # started at another desk
            jobs.update(bench.registry(), job_id, state)


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

    job = fetch_result(bench, job_id, ["summary.json"])
    summary = json.loads((job.artifacts / "summary.json").read_text("utf-8"))
    spec = job.spec()
    reg = bench.registry()
    versions.register(
        reg,
        base_model=summary["base_model"],
        dataset_version=spec.settings["snapshot"],
        training_config=spec.settings["recipe"],
        created_by=spec.requested_by,
        train_job=job_id,
        adapter_path=bench.launching.job_path(job_id, "artifacts/adapter"),
        adapter_sha256=summary["adapter_sha256"],
        reproducibility={"code": spec.env.get("PYTHONPATH", "").rsplit("/", 1)[-1],
                         "pins_sha256": _pins(), "inputs": spec.inputs, **summary},
    )  # fmt: skip


def _pins() -> str | None:
    try:
        return sha256_file(locations.project_root() / "constraints.txt")
    except QAError:
        return None


def _keep_scores(bench: Workbench, job_id: str) -> None:
    """Bring the scores of a finished evaluation home; count the unknown sources it cited once."""
    from core.registry import evaluations, sources

    names = ["scores.json", "report.md"]
    job = fetch_result(bench, job_id, names)
    scores: dict[str, Any] = json.loads((job.artifacts / "scores.json").read_text("utf-8"))
    reg = bench.registry()
    version = job.spec().settings["version"]
    last = evaluations.latest(reg, version)
    if last is not None and last.job_id == job_id:
        return
    evaluations.save(reg, version, scores, job_id)
    for row in scores["questions"]:
        for marker in row["markers"] if row["system"] == "tuned" else ():
            if marker["class"] in ("unknown_entity", "unknown_domain"):
                source_id = marker["text"].removeprefix("<<SRC:").removesuffix(">>")
                sources.note_unknown(reg, source_id, model_version=version, example=row["question"])
