"""Job directories on the host: the state file, and the truth about a state.

A state file says what its runner last knew. Whether that still holds is asked of the kernel: see
`truth`. All times are Unix seconds of this machine's clock.
"""

from __future__ import annotations

import errno
import json
import os
import time
from typing import Any

from remote.agent import locks, procs, waiting
from remote.agent.problem import ID, Problem, check_id

__all__ = ["Problem", "check_id"]

ENDED = ("succeeded", "failed", "stopped", "lost")
RUN = ("queued", "starting", "running", "stopping")  # a runner stands behind these
NEVER_STARTED_S = 60.0  # a directory without state after this long was left by a cut launch
SILENT_S = 600.0  # without a heartbeat, on a node that cannot be asked from here
NO_ROOM_BYTES = 64 << 10
SPARE_BYTES = 8192
MAX_STATE = 1 << 20
MARK = "QA_JOB_DIR="  # in the environment of every process of a job


def job_dir(workdir: str, job_id: Any) -> str:
    path = os.path.join(workdir, "jobs", check_id(job_id))
    if not os.path.isdir(path):
        raise Problem("no_job", "no job %s on this host" % job_id)
    return path


def names(workdir: str) -> list[str]:
    """Ids of all job directories, sorted."""
    try:
        return sorted(n for n in os.listdir(os.path.join(workdir, "jobs")) if ID.match(n))
    except FileNotFoundError:
        return []


def list_jobs(workdir: str) -> list[dict[str, Any]]:
    """[{id, state}], oldest first. One that is removed meanwhile is left out."""
    found = []
    for name in names(workdir):
        try:
            found.append({"id": name, "state": truth(os.path.join(workdir, "jobs", name))})
        except FileNotFoundError:
            continue
    return found


def read_spec(job: str) -> dict[str, Any]:
    """{} if there is none that can be read."""
    try:
        with open(os.path.join(job, "spec.json"), "rb") as f:
            spec = json.loads(f.read())
    except (OSError, ValueError):
        return {}
    return spec if isinstance(spec, dict) else {}


def read_state(job: str) -> dict[str, Any] | None:
    """None if the runner has not written one yet."""
    try:
        with open(os.path.join(job, "state.json"), "rb") as f:
            state = json.loads(f.read(MAX_STATE))
    except FileNotFoundError:
        return None
    except ValueError:
        return {"status": "lost", "reason": "state.json is not readable"}
    return state if isinstance(state, dict) else {"status": "lost", "reason": "state.json is odd"}


# -- the truth ----------------------------------------------------------------------------------


def truth(job: str, wait: bool = True) -> dict[str, Any]:
    """The state with a stale "running" found out: `orphan` (runner gone, job alive) or `lost`.

    wait=False: a scheduler that hangs does not hold up the answer about a job that runs.
    """
    if os.path.exists(os.path.join(job, "slurm.json")):
        from remote.agent import slurm  # it builds on this module

        return slurm.truth(job, wait=wait)
    state = read_state(job)
    if state is None:
        age = time.time() - os.stat(job).st_mtime
        if age < NEVER_STARTED_S:
            return {"status": "starting"}
        return {"status": "lost", "reason": "it was never started"}
    if state.get("status") in ENDED:
        return state
    boot = state.get("boot_id")
    if procs.same(state.get("runner_pid"), state.get("runner_pid_start"), boot):
        return _as_it_stands(job, state)
    state = read_state(job) or state  # the runner may have ended in between, with a last word
    if state.get("status") in ENDED:
        return state
    if living(job, state):
        reason = "the runner is gone; the job still runs and holds its accelerator"
        return dict(state, status="orphan", reason=reason)
    return _lost(job, state)


def living(job: str, state: dict[str, Any]) -> list[int]:
    """Processes of the job: its first one, and whatever carries its mark."""
    boot = state.get("boot_id")
    if boot != procs.boot_id():
        return []
    first = state.get("pid")
    found = set(procs.marked(MARK + os.path.abspath(job)))
    if first and procs.same(first, state.get("pid_start"), boot):
        found.add(int(first))
    return sorted(found)


def last_sign(job: str, *also: str) -> float:
    """When the runner last touched its state, or any of the files `also` grew."""
    times = [0.0]
    for name in ("state.json",) + also:
        try:
            times.append(os.stat(os.path.join(job, name)).st_mtime)
        except OSError:
            continue
    return max(times)


def _as_it_stands(job: str, state: dict[str, Any]) -> dict[str, Any]:
    """What the runner cannot keep up to date in its file: its place in the line, a full disk."""
    if state.get("status") == "queued" and state.get("accelerator"):
        folder = locks.locks_dir(os.path.dirname(os.path.dirname(os.path.abspath(job))))
        line = waiting.line(folder, state["accelerator"])
        name = os.path.basename(os.path.abspath(job))
        if name in line:
            holder = locks.holder(folder, state["accelerator"])
            state = dict(state, waiting_for=holder, position=line.index(name) + 1)
    if not state.get("reason") and _no_room(job):
        return dict(state, reason="the host's disk is full: output waits in memory")
    return state


def _no_room(path: str) -> bool:
    info = os.statvfs(path)
    free = info.f_bfree if os.geteuid() == 0 else info.f_bavail
    return free * info.f_frsize < NO_ROOM_BYTES


def _lost(job: str, state: dict[str, Any]) -> dict[str, Any]:
    """Why, and since when: the last sign of life is the best that is known of the end."""
    node, here = state.get("node"), procs.node()
    seen = last_sign(job, "output.log", "events.jsonl")
    when = time.strftime("%H:%M UTC on %Y-%m-%d", time.gmtime(seen))
    if state.get("boot_id") == procs.boot_id():
        if state.get("status") == "queued":
            reason = "its runner was ended while it waited for its turn; it did not run"
        else:
            reason = "runner and job are gone since about %s; exit code unknown" % when
    elif node and node != here:
        # One work folder seen from two nodes: the other's processes cannot be asked after.
        if time.time() - seen < SILENT_S:
            return dict(state, reason="it runs on %s; asked on %s" % (node, here))
        reason = "no sign of life from %s since %s" % (node, when)
    else:
        reason = "lost at %s, host rebooted; exit code unknown" % when
    return dict(state, status="lost", ended_at=seen, reason=reason)


# -- writing ------------------------------------------------------------------------------------


def write_atomic(path: str, data: bytes, spares: tuple[str, ...] = ()) -> None:
    """Replace `path` whole or not at all.

    spares: files that already own blocks. On a full disk the data is written into those of one,
    and the spare is renamed into place: that needs no room.
    """
    tmp = "%s.%d.tmp" % (path, os.getpid())
    try:
        _write_synced(tmp, data, os.O_CREAT | os.O_TRUNC)
    except OSError as e:
        unlink(tmp)
        left = [s for s in spares if os.path.exists(s)]
        if e.errno not in (errno.ENOSPC, errno.EDQUOT) or not left or len(data) > SPARE_BYTES:
            raise
        _write_synced(left[0], data.ljust(SPARE_BYTES, b"\n"), 0)
        tmp = left[0]
    os.rename(tmp, path)


def make_spares(paths: tuple[str, ...]) -> None:
    """Best effort: without room there is none."""
    for path in paths:
        if not os.path.exists(path):
            try:
                _write_synced(path, b"\n" * SPARE_BYTES, os.O_CREAT)
            except OSError:
                unlink(path)


def _write_synced(path: str, data: bytes, flags: int) -> None:
    fd = os.open(path, os.O_WRONLY | flags, 0o600)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
