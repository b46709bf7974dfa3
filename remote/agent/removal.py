"""Removing a job's directory: only below workdir/jobs, only of ended jobs, never through a link."""

from __future__ import annotations

import os
import shutil
from typing import Any

from remote.agent import jobs
from remote.agent.problem import Problem, check_id

TRASH = ".removed-"


def remove(workdir: str, job_id: Any) -> None:
    """Gone under its name at once, then file by file. Problem: no_job, active, bad_name."""
    top = os.path.join(workdir, "jobs")
    path = os.path.join(top, check_id(job_id))
    if os.path.islink(path):
        raise Problem("bad_name", "%s is a link, not a job directory" % path)
    if not os.path.isdir(path):
        raise Problem("no_job", "no job %s on this host" % job_id)
    state = jobs.truth(path)
    if state.get("status") not in jobs.ENDED or jobs.living(path, state):
        status = state.get("status")
        raise Problem("active", "job %s is still active (%s)" % (job_id, status), status=status)
    os.rename(path, os.path.join(top, "%s%s.%d" % (TRASH, job_id, os.getpid())))
    for name in os.listdir(top):  # those of a removal that was cut short, too
        if name.startswith(TRASH):
            drop(os.path.join(top, name))


def drop(path: str) -> None:
    """Links below are unlinked, not followed."""
    shutil.rmtree(path, ignore_errors=True)
