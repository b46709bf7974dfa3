"""Files the app leaves for its operator in the state folder, under their time, never written over."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TextIO

from core import in_use, locations
from core.errors import EnvironmentProblem


@dataclass(slots=True)
class Growing:
    """out: where to write.  path: the file, once it is whole."""

    out: TextIO
    path: Path


def keep(folder: str, stem: str, ending: str, text: str, what: str) -> Path:
    """Write `<state>/<folder>/<stem>.<ending>`, or `<stem>-2…` where that name is taken.

    what: for the message, as in "the note".  Raises EnvironmentProblem.
    """
    with growing(folder, stem, ending, what) as file:
        file.out.write(text)
    return file.path


@contextmanager
def growing(folder: str, stem: str, ending: str, what: str) -> Iterator[Growing]:
    """The same for what is written bit by bit: the file appears whole at the end, or not at all.

    An error inside leaves nothing; those of the disk become EnvironmentProblem.
    """
    place = locations.state_dir() / folder
    path = place / f"{stem}.{ending}"
    tmp = place / f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}.tmp"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with in_use.turn(place):
            in_use.remove_unused(place.glob(".*.tmp"))  # of an app that was killed
            fd = in_use.hold(tmp, new=True)
        with open(fd, "w", encoding="utf-8", errors="replace", newline="") as out:
            file = Growing(out, path)
            yield file
            out.flush()
            os.fsync(out.fileno())
            for n in count(2):
                try:
                    os.link(tmp, file.path)  # unlike a rename, it never takes another's place
                    break
                except FileExistsError:
                    file.path = place / f"{stem}-{n}.{ending}"
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        raise EnvironmentProblem(
            f"{path}: {what} could not be written",
            why=e.strerror or str(e),
            try_next="free some space" if full else f"see that {place} can be written",
        ) from e
    finally:
        with suppress(OSError):
            tmp.unlink(missing_ok=True)
