"""One job per accelerator: an flock whose descriptor the job inherits.

Because the job holds the descriptor too, the lock outlives a runner that was killed. The files are
on the node itself (flock on network file systems is not dependable) and outside the login's runtime
folder, which is emptied at log-out.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time

from remote.agent.jobs import Problem, check_id


def locks_dir(workdir: str) -> str:
    """QA_LOCKS, else a private folder below /tmp that belongs to this work folder."""
    if os.environ.get("QA_LOCKS"):
        path = os.environ["QA_LOCKS"]
        os.makedirs(path, 0o700, exist_ok=True)
        return path
    top = "/tmp/access-qa-%d" % os.getuid()
    path = os.path.join(top, hashlib.sha256(os.path.realpath(workdir).encode()).hexdigest()[:12])
    for folder in (top, path):
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        info = os.lstat(folder)
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
            raise Problem("locks", "%s is not a folder of this user" % folder)
    return path


def acquire(folder: str, name: str, job_id: str) -> int:
    """The descriptor of the held lock. Problem("busy", holder=…) if another job has it."""
    path = os.path.join(folder, check_id(name) + ".lock")
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(fd)
            os.close(fd)
            raise Problem(
                "busy", "%s is held by job %s" % (name, holder), holder=holder, accelerator=name
            ) from None
        if _is_at(fd, path):
            break
        os.close(fd)  # tidied away between open and lock: take the new one
    os.ftruncate(fd, 0)
    os.pwrite(fd, job_id.encode(), 0)
    return fd


def _holder(fd: int) -> str:
    for _ in range(20):  # the holder may just be about to write its name
        name = os.pread(fd, 200, 0).decode("ascii", "replace")
        if name:
            return name
        time.sleep(0.01)
    return "unknown"


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
