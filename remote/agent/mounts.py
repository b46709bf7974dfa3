"""Which kind of file system a path lies on: locks are dependable only on a local one."""

from __future__ import annotations

import os
import re

NETWORK = frozenset(
    "nfs nfs4 cifs smb3 smbfs afs 9p lustre gpfs beegfs ceph panfs pvfs2 orangefs wekafs".split()
)
LOCAL_FUSE = frozenset(["fuse.fuse-overlayfs"])


def kind(path: str, mounts: str | None = None) -> str:
    """The type of the mount that holds `path`, as in /proc/mounts; "" where that cannot be told."""
    if mounts is None:
        try:
            with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as f:
                mounts = f.read()
        except OSError:
            return ""
    path = os.path.realpath(path)
    best, found = -1, ""
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), words[1])
        below = path == point or path.startswith(point.rstrip("/") + "/")
        if below and len(point) >= best:  # a later mount on the same point hides the earlier
            best, found = len(point), words[2]
    return found


def is_network(path: str, mounts: str | None = None) -> bool:
    """True for file systems of other machines, and for FUSE ones nothing is known about."""
    name = kind(path, mounts)
    return name in NETWORK or (name.startswith("fuse.") and name not in LOCAL_FUSE)
