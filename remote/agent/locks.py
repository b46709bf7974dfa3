"""One job per accelerator: an flock whose descriptor the job inherits.

Because the job holds the descriptor too, the lock outlives a runner that was killed. The files lie in
the work folder, or, where that is on a network file system (flock is not dependable there), on the
node itself.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time

from remote.agent import mounts
from remote.agent.problem import Problem, check_id

# Not the login's runtime folder first: it is emptied at log-out, while jobs go on.
ON_NODE = ("/tmp", "/var/tmp", "$XDG_RUNTIME_DIR")


def locks_dir(workdir: str) -> str:
    """QA_LOCKS, else `locks` in the work folder, else a private folder on this node."""
    path = os.environ.get("QA_LOCKS") or (
        "" if mounts.is_network(workdir) else os.path.join(workdir, "locks")
    )
    if path:
        os.makedirs(path, 0o700, exist_ok=True)
        return path
    return _on_node(workdir)


def _on_node(workdir: str) -> str:
    import hashlib  # it loads OpenSSL, and the helper's start needs none

    tops = [os.path.expandvars(top) for top in ON_NODE]
    tops = [top for top in tops if os.path.isdir(top)]
    local = [top for top in tops if not mounts.is_network(top)]
    top = os.path.join((local or tops or ["/tmp"])[0], "access-qa-%d" % os.getuid())
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
    path = _path(folder, name)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held_by = _wait_for_name(fd)
            os.close(fd)
            raise busy(name, held_by) from None
        if _is_at(fd, path):
            break
        os.close(fd)  # tidied away between open and lock: take the new one
    os.ftruncate(fd, 0)
    os.pwrite(fd, job_id.encode(), 0)
    return fd


def busy(name: str, holder: str) -> Problem:
    what = "%s is held by job %s" % (name, holder)
    return Problem("busy", what, holder=holder, accelerator=name)


def holder(folder: str, name: str) -> str:
    """Who was last written down as the holder; "" if nobody."""
    try:
        with open(_path(folder, name), "rb") as f:
            return f.read(200).decode("ascii", "replace")
    except OSError:
        return ""


def _path(folder: str, name: str) -> str:
    return os.path.join(folder, check_id(name) + ".lock")


def _wait_for_name(fd: int) -> str:
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
