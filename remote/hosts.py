"""GPU hosts by name, from `configs/hosts.yaml`. Plain values; imports no SSH library."""

from __future__ import annotations

import difflib
import getpass
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import locations
from core.errors import NotFound, SettingsError

SANDBOX = "sandbox"  # reserved: that host is made by remote.sandbox


@dataclass(frozen=True, slots=True)
class Jump:
    """The machine in between. host_key_alias: the name its key is filed under in known_hosts."""

    address: str
    port: int = 22
    user: str = ""
    identity_file: Path | None = None
    host_key_alias: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """One GPU host and the way to it.

    address, port: as the *jump host* resolves them (as this machine does when jump is None).
    known_hosts: read, and added to when the operator accepts a key.  known_hosts_also: only read.
    workdir: absolute, or `~/…` of the remote user.  python: the interpreter jobs and agent run on.
    env: added to every job.  accelerator: the lock a job holds while it runs.
    """

    name: str
    title: str
    address: str
    port: int
    user: str
    jump: Jump | None
    identity_file: Path | None
    known_hosts: Path
    workdir: str
    python: str = "python3"
    env: dict[str, str] = field(default_factory=dict)
    accelerator: str = "gpu0"
    launcher: str = "direct"
    host_key_alias: str | None = None
    known_hosts_also: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Hosts:
    """The entries of one hosts file, by name."""

    origin: Path
    entries: dict[str, Host]

    def get(self, name: str) -> Host:
        """Raises NotFound with the nearest name."""
        if name in self.entries:
            return self.entries[name]
        near = difflib.get_close_matches(name, self.entries, 1)
        known = ", ".join(sorted([*self.entries, SANDBOX]))
        raise NotFound(
            f"no host named {name!r} in {self.origin}",
            try_next=f"did you mean {near[0]!r}?" if near else f"one of: {known}",
        )

    def __iter__(self) -> Iterator[Host]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)


def load_hosts(path: Path | None = None) -> Hosts:
    """Read hosts.yaml. Raises SettingsError with file, line and nearest key."""
    from core import settings  # pydantic: only when a file is really read
    from remote.hosts_file import HostSettings

    path = path or locations.configs() / "hosts.yaml"
    data, lines = settings.read_yaml(path)
    if not isinstance(data, dict) or not isinstance(data.get("hosts"), dict):
        raise SettingsError(
            f"{path}: no mapping 'hosts'", try_next="begin the file with `hosts:` and one entry"
        )
    entries: dict[str, Host] = {}
    for name, entry in data["hosts"].items():
        at = ("hosts", name)
        if name == SANDBOX:
            raise SettingsError(
                f"{path}:{lines.get(at, 1)}: the name {SANDBOX!r} is reserved",
                why="it stands for the embedded jump host and GPU host",
                try_next="give the entry another name",
            )
        own = {loc[2:]: n for loc, n in lines.items() if loc[:2] == at}
        parsed = settings.validate(entry, HostSettings, origin=f"{path} ({name})", lines=own)
        entries[str(name)] = _host(str(name), parsed)
    return Hosts(path, entries)


def _host(name: str, s: Any) -> Host:
    user = s.user or getpass.getuser()
    jump = None
    if s.jump is not None:
        jump = Jump(
            address=s.jump.address,
            port=s.jump.port,
            user=s.jump.user or user,
            identity_file=_path(s.jump.identity_file or s.identity_file),
            host_key_alias=s.jump.host_key_alias,
        )
    return Host(
        name=name,
        title=s.title or name,
        address=s.address,
        port=s.port,
        user=user,
        jump=jump,
        identity_file=_path(s.identity_file),
        known_hosts=_path(s.known_hosts) or locations.state_dir() / "known_hosts",
        known_hosts_also=tuple(Path(p).expanduser() for p in s.known_hosts_also),
        workdir=s.workdir,
        python=s.python,
        env=dict(s.env),
        accelerator=s.accelerator,
        launcher=s.launcher,
        host_key_alias=s.host_key_alias,
    )


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
