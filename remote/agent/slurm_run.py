"""Our runner on the compute node, in place of the batch shell."""

from __future__ import annotations

import os
import time
from typing import Any

from remote.agent import jobs, slurm, slurm_states
from remote.agent.problem import Problem, check_id
from remote.agent.runner import Runner

EXIT_SIGNAL = 128
NEAR_LIMIT_S = 60.0


def main(workdir: str, what: str) -> int:
    """Run the job directory `what`, or this task's one if `what` is the list of an array.

    The exit code is the job's own, so that Slurm's records agree with ours.
    """
    os.umask(0o077)
    job = _directory(workdir, what)
    note = _note_id(job)
    _set_aside(job, note)
    os.chdir(job)
    runner = NodeRunner(workdir, job, note)
    try:
        runner.start(False)
    except (Problem, OSError) as e:
        print("the job could not be started: %s" % e, flush=True)
        return 1
    if not runner.begun:
        print("the job was run before: nothing is done", flush=True)
        return 0
    runner.attend()
    if runner.goes_back:
        _requeue()
    return _exit_code(jobs.read_state(job) or {})


class NodeRunner(Runner):
    """A runner whose stop may come from Slurm: it then says so, and may go back into the queue."""

    def __init__(self, workdir: str, job: str, note: dict[str, Any]) -> None:
        super().__init__(workdir, job)
        self.note = note
        self.goes_back = False

    def _end(
        self, status: str, *, code: int | None = None, number: int | None = None, reason: str = ""
    ) -> None:
        by_us = os.path.exists(os.path.join(self.job, slurm.STOP))
        if status == "stopped" and self.stop_asked and not by_us:
            row = _as_slurm_sees_it() or {}
            left = float(row.get("end") or float("inf")) - time.time()
            notice = float(self.note.get("signal_s") or 0.0)
            near = row.get("state") == "RUNNING" and left < notice + NEAR_LIMIT_S
            self.goes_back = near and bool(self.note.get("requeue"))
            by = "Slurm asked it to end before its time limit" if near else "Slurm ended it"
            said = row.get("reason")
            reason = "%s%s; %s" % (by, " (%s)" % said if said and said != "None" else "", reason)
        super()._end(status, code=code, number=number, reason=reason)


def _directory(workdir: str, what: str) -> str:
    if os.path.isdir(what):
        return what
    with open(what) as f:
        names = f.read().splitlines()
    return os.path.join(workdir, "jobs", check_id(names[int(os.environ["SLURM_ARRAY_TASK_ID"])]))


def _own_id() -> str:
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return "%s_%s" % (array, task) if array and task else os.environ.get("SLURM_JOB_ID", "")


def _note_id(job: str) -> dict[str, Any]:
    """Our record, with the id in it even where the submission was cut before it came back."""
    note = slurm.read_note(job)
    mine = _own_id()
    if mine and not note.get("job"):
        note = dict(note, job=mine)
        slurm.write_note(job, note)
    return note


def _set_aside(job: str, note: dict[str, Any]) -> None:
    """After a requeue: the state of the earlier run, so that the runner begins anew."""
    again = os.environ.get("SLURM_RESTART_COUNT", "0")
    state = jobs.read_state(job)
    if again == "0" or state is None or note.get("job") != _own_id():
        return
    if state.get("status") in ("succeeded", "failed"):
        return
    path = os.path.join(job, "state.json")
    number = 1
    while os.path.exists("%s.%d" % (path, number)):
        number += 1
    os.rename(path, "%s.%d" % (path, number))
    try:
        os.unlink(os.path.join(job, ".runner"))  # its lock may be held by a node that is gone
    except OSError:
        pass


def _requeue() -> None:
    number = os.environ.get("SLURM_JOB_ID", "")
    try:
        slurm.at({}).call("scontrol", "requeue", number)
    except Problem as e:
        print("it could not be put back into the queue: %s" % e, flush=True)


def _as_slurm_sees_it() -> dict[str, Any] | None:
    number = os.environ.get("SLURM_JOB_ID", "")
    try:
        said = slurm.at({}).call("scontrol", "show", "job", "-o", number, timeout=10.0)
    except Problem:
        return None
    rows = slurm_states.parse_scontrol(said)
    return rows[0] if rows else None


def _exit_code(state: dict[str, Any]) -> int:
    if state.get("exit_code") is not None:
        return int(state["exit_code"])
    if state.get("signal"):
        return EXIT_SIGNAL + int(state["signal"])
    return 0 if state.get("status") == "succeeded" else 1
