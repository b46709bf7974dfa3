"""Files that commands write: whole or not at all, and a typed error where they cannot be written."""

from __future__ import annotations

import errno
from pathlib import Path

from core.errors import DiskFull, EnvironmentProblem


def write_file(path: Path, text: str) -> None:
    """UTF-8. Raises EnvironmentProblem (DiskFull), naming the file; what was there stays then."""
    from core.jobdir import write_atomic

    try:
        write_atomic(path, text.encode("utf-8", "replace"))
    except OSError as e:
        raise unwritable(path, e) from e


def unwritable(path: Path, e: OSError) -> EnvironmentProblem:
    """What an operator is told of a file that cannot be written."""
    return _told(f"{path}: cannot be written", e)


def refused_by_system(e: OSError) -> EnvironmentProblem:
    """Any other refusal of the system, of a file or not, as a typed error."""
    if e.filename is None:
        return EnvironmentProblem(
            "the system refused", why=e.strerror or str(e), try_next="qa doctor"
        )
    return _told(f"{e.filename}: cannot be used", e)


def _told(what: str, e: OSError) -> EnvironmentProblem:
    why = e.strerror or str(e)
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(what, why=why, try_next="free some space")
    return EnvironmentProblem(
        what, why=why, try_next="name a place that is there and that you may use"
    )
