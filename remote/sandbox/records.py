"""Which servers run over a sandbox directory: one small file each, believed only while its process lives.

DIR/run/<pid>.json   written when the server listens, removed when it ends
DIR/run/<pid>.sock   takes fault lines; elsewhere if that path is too long for a socket
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from remote.agent import procs
from remote.sandbox.files import Layout, write_private
from remote.sandbox.options import Options

SOCKET_PATH_LIMIT = 100  # bytes; the kernel's is 107 on Linux, 103 on macOS


@dataclass(frozen=True, slots=True)
class Record:
    """One running server. stays: it outlives who started it, and others may attach to it."""

    pid: int
    pid_start: int | None
    boot_id: str
    jump_port: int
    control: str
    stays: bool
    options: Options

    @property
    def alive(self) -> bool:
        return procs.same(self.pid, self.pid_start, self.boot_id)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Record:
        return cls(**{**data, "options": Options(**data["options"])})


def write(layout: Layout, jump_port: int, control: str, stays: bool, options: Options) -> Record:
    """The record of this process."""
    pid = os.getpid()
    record = Record(pid, procs.start_mark(pid), procs.boot_id(), jump_port, control, stays, options)
    write_private(_path(layout, pid), json.dumps(record.as_dict()).encode())
    return record


def remove(layout: Layout, record: Record) -> None:
    """Also the socket, wherever it is."""
    _path(layout, record.pid).unlink(missing_ok=True)
    control = Path(record.control)
    control.unlink(missing_ok=True)
    if control.parent != layout.run:
        with suppress(OSError):
            control.parent.rmdir()


def living(layout: Layout) -> Iterator[Record]:
    """Of the servers that run now, the detached one first. What a killed one left is removed."""
    found = []
    for path in sorted(layout.run.glob("*.json")):
        try:
            record = Record.from_dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # ending just now, or not ours
        if record.alive:
            found.append(record)
        else:
            remove(layout, record)
    yield from sorted(found, key=lambda record: not record.stays)


def attachable(layout: Layout, wanted: Options) -> Record | None:
    """The detached server, if one is up and has what is wanted."""
    for record in living(layout):
        if record.stays and wanted.served_by(record.options):
            return record
    return None


def socket_path(layout: Layout) -> str:
    """For the control socket of this process, in a folder only this user may enter."""
    path = layout.run / f"{os.getpid()}.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        path.unlink(missing_ok=True)
        return str(path)
    return str(Path(tempfile.mkdtemp(prefix="qa-sandbox-")) / "control")


def _path(layout: Layout, pid: int) -> Path:
    return layout.run / f"{pid}.json"
