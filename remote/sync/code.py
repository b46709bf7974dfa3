"""Transfers of a fixed kind: our own code up, what a job left down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from core import jobdir, locations
from core.errors import UsageError
from remote.agent.arriving import sha256_of
from remote.helper_client import Carrier
from remote.sync.down import pull
from remote.sync.progress import Progress
from remote.sync.up import push


def push_code(route: Carrier, root: Path | None = None) -> str:
    """The `core` package onto the host; returns the absolute folder for PYTHONPATH.

    The folder is named by the hash of its content: jobs that run keep the code they began with.
    """
    root = root or locations.project_root()
    paths = sorted(p for p in (root / "core").rglob("*.py") if "__pycache__" not in p.parts)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_of(str(path))}\n".encode())
    folder = f"code/{digest.hexdigest()[:16]}"
    push(route, [(p, f"{folder}/{p.relative_to(root).as_posix()}") for p in paths])
    return f"{route.helper().call('hello')['workdir']}/{folder}"


def fetch_artifacts(
    route: Carrier,
    job_id: str,
    into: Path,
    names: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """What a job left, into `artifacts/` of its mirror directory `into`.

    names: only these files or folders, e.g. ["adapter", "summary.json"].
    """
    if "/" in job_id:
        raise UsageError(f"{job_id!r} is not a job id", try_next="qa jobs list")
    folder = f"jobs/{job_id}/{jobdir.ARTIFACTS}"
    return pull(route, folder, into / jobdir.ARTIFACTS, progress, names=names)
