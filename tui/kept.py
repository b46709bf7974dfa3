"""Files the app leaves for its operator in the state folder, under their time, never written over."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from core import locations
from core.errors import EnvironmentProblem


def keep(folder: str, stem: str, ending: str, text: str, what: str) -> Path:
    """Write `<state>/<folder>/<stem>.<ending>`, or `<stem>-2…` where that name is taken.

    what: for the message, as in "the note".  Raises EnvironmentProblem.
    """
    from core.jobdir import write_atomic

    place = locations.state_dir() / folder
    path = place / f"{stem}.{ending}"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for n in count(2):
            if not path.exists():
                break
            path = place / f"{stem}-{n}.{ending}"
        write_atomic(path, text.encode("utf-8", "replace"))
    except OSError as e:
        raise EnvironmentProblem(
            f"{path}: {what} could not be written", why=str(e), try_next="free some space"
        ) from e
    return path
