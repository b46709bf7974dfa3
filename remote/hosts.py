"""GPU hosts by name, from `configs/hosts.yaml`. Plain values; imports no SSH library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import NotFound, SettingsError
from remote.hops import Jump, LoginOptions

if TYPE_CHECKING:
    from remote.slurm.settings import SlurmSettings
    from remote.ways.host_ways import Way

SANDBOX = "sandbox"  # reserved: that host is made by remote.sandbox
WORKDIR = "~/access-qa"  # of a host that only the OpenSSH configuration knows


@dataclass(frozen=True, slots=True)
class Host:
    """One GPU host and the way to it.

    jumps: the first hop from this machine first.
    address, port: as the last *jump host* resolves them (as this machine does when there is none).
    known_hosts: read, and added to when the operator accepts a key.  known_hosts_also: only read.
    workdir: absolute, or `~/…` of the remote user.  python: the interpreter jobs and agent run on.
    environment: "production" where what is done reaches users; the app's frame says so.
    env: added to every job.  accelerator: the lock a job holds while it runs.  torch_index: where
    `qa doctor --fix` gets torch from.  link_hours: how long the connection is kept while nothing uses it.
    origins: where each value was found, by field (`user`, `jumps[0].port`).  notes: what the operator
    should know about how they were found.
    """

    name: str
    title: str
    address: str
    port: int
    user: str
    jumps: tuple[Jump, ...]
    identity_file: Path | None
    known_hosts: Path
    workdir: str
    python: str = "python3"
    env: dict[str, str] = field(default_factory=dict)
    accelerator: str = "gpu0"
    launcher: str = "direct"
    slurm: SlurmSettings | None = None
    host_key_alias: str | None = None
    known_hosts_also: tuple[Path, ...] = ()
    torch_index: str = ""
    environment: str = ""
    login: LoginOptions | None = None
    link_hours: float = 8.0
    origins: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def jump(self) -> Jump | None:
        """The first jump host, or None."""
        return self.jumps[0] if self.jumps else None


@dataclass(frozen=True, slots=True)
class Hosts:
    """The entries of one hosts file, by name, and every alias of the OpenSSH configuration.

    makers: what gives an entry; one with `ssh: ALIAS` asks `ssh` only when it is wanted.
    """

    origin: Path
    makers: dict[str, Callable[[], Host]]

    def names(self) -> list[str]:
        """Of the file's entries, in their order."""
        return list(self.makers)

    def get(self, name: str) -> Host:
        """An entry, else the host of that alias. Raises NotFound with the nearest name; SettingsError."""
        if name in self.makers:
            return self.makers[name]()
        from remote.ways import ssh_config

        try:
            return alias_host(name)
        except NotFound:
            pass
        aliases = ssh_config.aliases()
        import difflib

        near = difflib.get_close_matches(name, [*self.makers, *aliases, SANDBOX], 1)
        known = ", ".join([*sorted([*self.makers, SANDBOX]), *aliases[:10]])
        raise NotFound(
            f"no host named {name!r} in {self.origin}, nor in the ssh configuration",
            try_next=f"did you mean {near[0]!r}?" if near else f"one of: {known}",
        )

    def __iter__(self) -> Iterator[Host]:
        return (make() for make in self.makers.values())

    def __len__(self) -> int:
        return len(self.makers)


def load_hosts(path: Path | None = None) -> Hosts:
    """Read hosts.yaml. Raises SettingsError with file, line and nearest key."""
    from core import settings  # pydantic: only when a file is really read
    from remote.ways.hosts_file import HostSettings

    path = path or locations.configs() / "hosts.yaml"
    data, lines = settings.read_yaml(path)
    if not isinstance(data, dict) or not isinstance(data.get("hosts"), dict):
        raise SettingsError(
            f"{path}: no mapping 'hosts'", try_next="begin the file with `hosts:` and one entry"
        )
    makers: dict[str, Callable[[], Host]] = {}
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
        _check_way(parsed, path, str(name), own)
        if parsed.ssh is None:
            made = _host(str(name), parsed, path, own)
            makers[str(name)] = partial(_same, made)
        else:
            makers[str(name)] = partial(_host, str(name), parsed, path, own)
    return Hosts(path, makers)


def _same(host: Host) -> Host:
    return host


def _check_way(s: Any, path: Path, name: str, lines: dict[tuple[str | int, ...], int]) -> None:
    """Either an address or an alias, either `jump` or `jumps`. Raises SettingsError."""
    at = f"{path}:{lines.get((), 1)} ({name})"
    if s.ssh is None and s.address is None:
        raise SettingsError(
            f"{at}: key 'address' is missing",
            try_next="add 'address', or 'ssh' with an alias of your ssh configuration",
        )
    if s.jump is not None and s.jumps is not None:
        raise SettingsError(
            f"{path}:{lines.get(('jumps',), 1)} ({name}): 'jump' and 'jumps'",
            try_next="keep one: 'jumps' takes any number of hops, the first one first",
        )


def alias_host(alias: str) -> Host:
    """A host that only the OpenSSH configuration knows: the way from there, the rest by default.

    Raises NotFound, SettingsError.
    """
    from core import settings
    from remote.ways import host_ways
    from remote.ways.hosts_file import HostSettings

    way = host_ways.from_alias(alias)
    usual = settings.validate({"ssh": alias, "workdir": WORKDIR}, HostSettings, origin=alias)
    return _with_way(alias, usual, way, {})


def _host(name: str, s: Any, origin: Path, lines: dict[tuple[str | int, ...], int]) -> Host:
    from remote.ways import host_ways

    rest = host_ways.origins_of_rest(s, origin, lines)
    return _with_way(name, s, host_ways.from_entry(s, origin, lines), rest)


def _with_way(name: str, s: Any, way: Way, rest: dict[str, str]) -> Host:
    return Host(
        name=name,
        title=s.title or name,
        address=way.address,
        port=way.port,
        user=way.user,
        jumps=way.jumps,
        identity_file=way.identity_file,
        host_key_alias=way.host_key_alias,
        login=way.login,
        known_hosts=Path(s.known_hosts).expanduser()
        if s.known_hosts
        else locations.state_dir() / "known_hosts",
        known_hosts_also=way.known_hosts_also,
        origins={**way.origins, **rest},
        notes=way.notes,
        workdir=s.workdir,
        python=s.python,
        env=dict(s.env),
        accelerator=s.accelerator,
        torch_index=s.torch_index or "",
        environment=s.environment,
        link_hours=s.link_hours,
        launcher=s.launcher,
        slurm=s.slurm.settings() if s.slurm else None,
    )
