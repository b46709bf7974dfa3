"""Job directories on the host: names, the state file, and the truth about a state.

A state file says what its runner last knew. Whether that still holds is asked of the kernel: see
`truth`. All times are Unix seconds of this machine's clock.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from typing import Any

from remote.agent import procs

ENDED = ("succeeded", "failed", "stopped", "lost")
NEVER_STARTED_S = 60.0  # a directory without state after this long was left by a cut launch
SPARE_BYTES = 8192
MAX_STATE = 1 << 20
MARK = "QA_JOB_DIR="  # in the environment of every process of a job

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class Problem(Exception):
    """What the laptop is told: a code it knows, and a sentence."""

    def __init__(self, code: str, what: str, **more: Any) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.more = more

    def as_dict(self) -> dict[str, Any]:
        return dict(self.more, code=self.code, what=self.what)


def check_id(name: Any) -> str:
    if not isinstance(name, str) or not _ID.match(name):
        raise Problem("bad_name", "not a usable name: %.80r" % (name,))
    return name


def job_dir(workdir: str, job_id: Any) -> str:
    path = os.path.join(workdir, "jobs", check_id(job_id))
    if not os.path.isdir(path):
        raise Problem("no_job", "no job %s on this host" % job_id)
    return path


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


def truth(job: str) -> dict[str, Any]:
    """The state with a stale "running" found out: `orphan` (runner gone, job alive) or `lost`."""
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
        return state
    state = read_state(job) or state  # the runner may have ended in between, with a last word
    if state.get("status") in ENDED:
        return state
    if living(job, state):
        reason = "the runner is gone; the job still runs and holds its accelerator"
        return dict(state, status="orphan", reason=reason)
    if boot != procs.boot_id():
        reason = "the host was restarted while it ran; exit code unknown"
    else:
        reason = "runner and job are gone; exit code unknown"
    return dict(state, status="lost", reason=reason)


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


def list_jobs(workdir: str) -> list[dict[str, Any]]:
    """[{id, state}], oldest first."""
    top = os.path.join(workdir, "jobs")
    try:
        names = sorted(n for n in os.listdir(top) if _ID.match(n))
    except FileNotFoundError:
        return []
    return [{"id": n, "state": truth(os.path.join(top, n))} for n in names]


def write_atomic(path: str, data: bytes, spare: str | None = None) -> None:
    """Replace `path` whole or not at all.

    spare: a file that already owns blocks. On a full disk the data is written into those blocks,
    and the spare is renamed into place: that needs no room.
    """
    tmp = "%s.%d.tmp" % (path, os.getpid())
    try:
        _write_synced(tmp, data, os.O_CREAT | os.O_TRUNC)
    except OSError as e:
        _unlink(tmp)
        room = spare is not None and os.path.exists(spare) and len(data) <= SPARE_BYTES
        if e.errno not in (errno.ENOSPC, errno.EDQUOT) or not room:
            raise
        assert spare is not None
        _write_synced(spare, data.ljust(SPARE_BYTES, b"\n"), 0)
        tmp = spare
    os.rename(tmp, path)


def make_spare(path: str) -> None:
    """Best effort: without room there is none."""
    if not os.path.exists(path):
        try:
            _write_synced(path, b"\n" * SPARE_BYTES, os.O_CREAT)
        except OSError:
            _unlink(path)


def _write_synced(path: str, data: bytes, flags: int) -> None:
    fd = os.open(path, os.O_WRONLY | flags, 0o600)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
