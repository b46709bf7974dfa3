"""What a link process is started for, and how a client sees that it is the right one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from remote.hosts import SANDBOX, Host

# What leads to the host. The rest (python, environment, launcher) is the clients' own affair.
_WAY = (
    *("name", "address", "port", "user", "jumps", "identity_file", "host_key_alias", "login"),
    *("known_hosts", "known_hosts_also", "workdir", "link_hours"),
)
_SHARED = ("", "authentication", "linking", "shared", "trust")  # folders of remote/
_SPOKEN = ("remote/agent/frames.py", "core/errors.py")  # in what is said between the two


@dataclass(frozen=True, slots=True)
class Definition:
    """Handed to a new link process through a pipe. version: of the code that started it."""

    host: Host
    socket: Path
    version: str

    @property
    def log(self) -> Path:
        return self.socket.with_suffix(".log")


def define(host: Host, socket: Path) -> Definition:
    """With absolute paths: a link process stands elsewhere than whoever started it."""
    return Definition(_absolute(host), socket.absolute(), version())


@lru_cache(maxsize=1)
def version() -> str:
    """Of the code that link processes and clients share."""
    digest = hashlib.sha256()
    top = Path(__file__).resolve().parent.parent
    shared = [path for folder in _SHARED for path in (top / folder).glob("*.py")]
    for path in sorted((*shared, *(top.parent / name for name in _SPOKEN))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def way(host: Host) -> str:
    """Changes with everything that leads to the host: a changed hosts.yaml must not lead elsewhere."""
    values = asdict(_absolute(host))
    said = json.dumps({key: values[key] for key in _WAY}, default=str, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def link_name(host: Host) -> str:
    """One link for each; every private sandbox has servers, and so a link, of its own."""
    return f"{SANDBOX}:{host.jumps[0].port}" if host.name == SANDBOX else host.name


def _absolute(value: Any) -> Any:
    """The same with every path in it absolute."""
    if isinstance(value, Path):
        return value.absolute()
    if isinstance(value, tuple):
        return tuple(_absolute(v) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _absolute(getattr(value, f.name)) for f in fields(value)})
    return value
