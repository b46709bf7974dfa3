"""Data up, artifacts down: by content, so that what is there already does not travel again.

Many files go as one stream; each appears under its name only when whole and of the right hash. A cut
transfer is repeated and goes on where it stopped; a new version of a large file sends what differs.
"""

from __future__ import annotations

from remote.sync.code import fetch_artifacts, push_code
from remote.sync.down import plan_pull, pull
from remote.sync.items import HASH_S, MAX_BYTES, Change, Moved, Plan, tree, usable_name
from remote.sync.progress import Progress, Transfer, rated
from remote.sync.up import plan_push, push

__all__ = [
    "HASH_S",
    "MAX_BYTES",
    "Change",
    "Moved",
    "Plan",
    "Progress",
    "Transfer",
    "fetch_artifacts",
    "plan_pull",
    "plan_push",
    "pull",
    "push",
    "push_code",
    "rated",
    "tree",
    "usable_name",
]
