"""The way to a host from one entry of hosts.yaml or from the OpenSSH configuration, each value with
the place it was found at.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from remote.hops import Jump, LoginOptions
from remote.ways.ssh_config import Resolved, resolve

DEFAULT = "default"
# What an entry with `ssh: ALIAS` leaves to the alias.
OF_THE_WAY = (
    *("address", "port", "user", "jump", "jumps", "identity_file", "certificate_file"),
    "host_key_alias",
)


@dataclass(frozen=True, slots=True)
class Way:
    """The part of a `remote.hosts.Host` that says how it is reached."""

    address: str
    port: int
    user: str
    jumps: tuple[Jump, ...]
    identity_file: Path | None = None
    host_key_alias: str | None = None
    login: LoginOptions | None = None
    known_hosts_also: tuple[Path, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def from_entry(settings: Any, origin: Path, lines: dict[tuple[str | int, ...], int]) -> Way:
    """settings: a HostSettings.  lines: of its keys. Raises SettingsError; asks `ssh` for an alias."""
    if settings.ssh is not None:
        return _from_alias_entry(settings, origin, lines)
    user = settings.user or getpass.getuser()
    jumps = settings.jumps if settings.jumps is not None else []
    at: list[tuple[str | int, ...]] = [("jumps", n) for n in range(len(jumps))]
    if settings.jump is not None:
        jumps, at = [settings.jump], [("jump",)]
    mark = _Marker(origin, lines)
    origins = {
        key: mark(settings, key, (key,))
        for key in ("address", "port", "user", "host_key_alias", "identity_file")
    }
    origins["known_hosts_also"] = mark(settings, "known_hosts_also", ("known_hosts_also",))
    made = []
    for n, (jump, where) in enumerate(zip(jumps, at, strict=True)):
        made.append(
            Jump(
                address=jump.address,
                port=jump.port,
                user=jump.user or user,
                identity_file=path(jump.identity_file or settings.identity_file),
                host_key_alias=jump.host_key_alias,
                login=_with_certificate(
                    jump.identity_file or settings.identity_file,
                    jump.certificate_file or settings.certificate_file,
                ),
            )
        )
        for key in ("address", "port", "user", "host_key_alias", "identity_file"):
            found = mark(jump, key, (*where, key))
            inherited = found == DEFAULT and key in ("user", "identity_file")
            origins[f"jumps[{n}].{key}"] = origins[key] if inherited else found
    return Way(
        address=settings.address,
        port=settings.port,
        user=user,
        jumps=tuple(made),
        identity_file=path(settings.identity_file),
        host_key_alias=settings.host_key_alias,
        login=_with_certificate(settings.identity_file, settings.certificate_file),
        known_hosts_also=tuple(Path(p).expanduser() for p in settings.known_hosts_also),
        origins=origins,
    )


REST = (
    "title",
    "known_hosts",
    "workdir",
    "python",
    "env",
    "accelerator",
    "launcher",
    "torch_index",
)


def origins_of_rest(
    settings: Any, origin: Path, lines: dict[tuple[str | int, ...], int]
) -> dict[str, str]:
    """Where the values stand that are no part of the way."""
    mark = _Marker(origin, lines)
    return {key: mark(settings, key, (key,)) for key in REST}


def from_alias(alias: str) -> Way:
    """Raises NotFound, SettingsError."""
    found = resolve(alias)
    origins = dict(found.origins)
    for n, hop in enumerate(found.jumps):
        origins.update({f"jumps[{n}].{key}": where for key, where in hop.origins.items()})
    return Way(
        address=found.hostname,
        port=found.port,
        user=found.user,
        jumps=tuple(_jump(hop) for hop in found.jumps),
        host_key_alias=found.host_key_alias,
        login=found.login,
        known_hosts_also=found.known_hosts,
        origins=origins,
        notes=tuple(dict.fromkeys(n for hop in (*found.jumps, found) for n in hop.notes)),
    )


def _from_alias_entry(settings: Any, origin: Path, lines: dict[tuple[str | int, ...], int]) -> Way:
    both = [key for key in OF_THE_WAY if key in settings.model_fields_set]
    if both:
        line = lines.get((both[0],), 1)
        raise SettingsError(
            f"{origin}:{line}: {both[0]!r} beside 'ssh'",
            why=f"the way is taken from the ssh configuration of {settings.ssh!r}",
            try_next="remove one of the two",
        )
    return from_alias(settings.ssh)


def _jump(hop: Resolved) -> Jump:
    return Jump(
        address=hop.hostname,
        port=hop.port,
        user=hop.user,
        host_key_alias=hop.host_key_alias,
        login=hop.login,
        known_hosts_also=hop.known_hosts,
    )


def _with_certificate(identity: str | None, certificate: str | None) -> LoginOptions | None:
    """None: what identity_file alone means."""
    if not certificate:
        return None
    files = (Path(identity).expanduser(),) if identity else ()
    return LoginOptions(files, (Path(certificate).expanduser(),), identities_only=bool(identity))


def path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


@dataclass(frozen=True, slots=True)
class _Marker:
    origin: Path
    lines: dict[tuple[str | int, ...], int]

    def __call__(self, settings: Any, key: str, at: tuple[str | int, ...]) -> str:
        """`hosts.yaml:7`, or "default" where the file does not speak of it."""
        if key not in settings.model_fields_set:
            return DEFAULT
        return f"{self.origin.name}:{self.lines.get(at, 1)}"
