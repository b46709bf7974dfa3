"""Doing a job again: from the start, or from where it stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import NotFound, UsageError
from core.jobdir import SUCCEEDED, JobSpec, new_job_id
from tui.desk.jobs import submit
from tui.desk.launching import ROUTINES, now, operator
from tui.desk.specs import spec_of

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

AGAIN_OF = "again_of"  # settings: id of the job this one repeats or goes on from
RESUME_FROM = "resume_from"  # settings of a training: a folder of checkpoints on the host


def rerun(bench: Workbench, job_id: str, *, queue: bool = False) -> str:
    """Start a job anew with the same settings and inputs, and with this desk's code. Its id.

    Raises NotFound (no such job, or an input that is not on the host any more), AcceleratorBusy.
    """
    old = spec_of(bench, job_id)
    settings = {k: v for k, v in old.settings.items() if k != RESUME_FROM}
    return _submit(bench, old, {**settings, AGAIN_OF: job_id}, queue)


def resume(bench: Workbench, job_id: str, *, queue: bool = False) -> str:
    """Go on with an ended job, as a new one: a training from its last whole checkpoint, an
    evaluation with the answers that are there. The new job's id.

    Raises UsageError (still active, succeeded, of a kind that cannot be resumed), NotFound (no
    checkpoint, no such job), AcceleratorBusy.
    """
    state = bench.line.launcher().state(job_id)
    if state.active:
        raise UsageError(
            f"job {job_id} is still active ({state.status})",
            try_next=f"stop it first: qa jobs stop {job_id}",
        )
    if state.status == SUCCEEDED:
        raise UsageError(
            f"job {job_id} has succeeded: there is nothing to go on with",
            try_next=f"qa jobs rerun {job_id}",
        )
    old = spec_of(bench, job_id)
    if old.routine == "train":
        more: dict[str, Any] = {RESUME_FROM: _checkpoints(bench, old)}
    elif old.routine == "evaluate":
        more = {}  # every answer it had given is among those that evaluations on the host share
    else:
        raise UsageError(
            f"a job of the kind {old.routine!r} cannot be resumed",
            try_next=f"run it again from the start: qa jobs rerun {job_id}",
        )
    return _submit(bench, old, {**old.settings, **more, AGAIN_OF: job_id}, queue)


def _submit(bench: Workbench, old: JobSpec, settings: dict[str, Any], queue: bool) -> str:
    _check_inputs(bench, old)
    if old.routine in ROUTINES:
        new = bench.launching.spec(old.routine, settings, old.inputs, old.note)
        new = replace(new, accelerator=old.accelerator, grace_s=old.grace_s, nodes=old.nodes)
        new = replace(new, processes=old.processes, starter=old.starter)
    else:
        ident = new_job_id(old.routine)
        new = replace(old, id=ident, settings=settings, requested_by=operator(), requested_at=now())
    return submit(bench, new, queue=queue)


def _check_inputs(bench: Workbench, spec: JobSpec) -> None:
    paths = [i["path"] for i in spec.inputs]
    if not paths:
        return
    found = bench.line.route().helper().call("sha256", paths=paths, timeout=300.0)
    for entry, digest in zip(spec.inputs, found, strict=True):
        if digest != entry["sha256"]:
            was = "is not on the host any more" if digest is None else "has changed on the host"
            raise NotFound(
                f"the input {entry['name']!r} of {spec.id} {was}",
                why=entry["path"],
                try_next="start the work anew, which places its inputs again",
            )


def _checkpoints(bench: Workbench, spec: JobSpec) -> str:
    """The folder with the newest whole checkpoint: of the job, or of the one it went on from."""
    from remote.launch import checkpoints_of

    folder = bench.launching.job_path(spec.id, "checkpoints")
    looked = [folder]
    if checkpoints_of(bench.line.route(), folder):
        return folder
    before = spec.settings.get(RESUME_FROM)  # it ended before it could save one of its own
    if isinstance(before, str) and checkpoints_of(bench.line.route(), before):
        return before
    raise NotFound(
        f"job {spec.id} left no whole checkpoint",
        why=f"looked in {', '.join([*looked, *([before] if isinstance(before, str) else [])])}",
        try_next=f"run it again from the start: qa jobs rerun {spec.id}",
    )
