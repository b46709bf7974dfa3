"""From a host's settings to the hops that are opened, in their order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from remote.hops import LoginOptions
from remote.hosts import Host
from remote.leg import Spot

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def spots(host: Host) -> list[Spot]:
    """The hops of a route, the first from this machine first; no two have the same title."""
    hops = []
    for jump in host.jumps:
        also = host.known_hosts_also if jump.known_hosts_also is None else jump.known_hosts_also
        login, required = _login(jump.login, jump.identity_file)
        name = jump.host_key_alias or jump.address
        hops.append(
            Spot(
                title=f"jump host {name}",
                address=jump.address,
                port=jump.port,
                user=jump.user or host.user,
                alias=jump.host_key_alias,
                login=login,
                required=required,
                known_hosts=host.known_hosts,
                known_hosts_also=also,
            )
        )
    login, required = _login(host.login, host.identity_file)
    hops.append(
        Spot(
            title=f"host {host.name}",
            address=host.address,
            port=host.port,
            user=host.user,
            alias=host.host_key_alias,
            login=login,
            required=required,
            known_hosts=host.known_hosts,
            known_hosts_also=host.known_hosts_also,
        )
    )
    titles = Counter(spot.title for spot in hops)
    return [
        replace(s, title=f"{s.title}:{s.port} ({n})") if titles[s.title] > 1 else s
        for n, s in enumerate(hops, 1)
    ]


def _login(login: LoginOptions | None, identity_file: Path | None) -> tuple[LoginOptions, bool]:
    """(what is offered, whether its files must be there).

    A key named in hosts.yaml is the only one; with none, the agent's and the usual files are offered.
    """
    if login is not None:
        return login, False
    if identity_file is not None:
        return LoginOptions(identity_files=(identity_file,), identities_only=True), True
    return LoginOptions(identity_files=tuple(Path.home() / ".ssh" / n for n in DEFAULT_KEYS)), False
