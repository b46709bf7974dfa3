"""The resolved route of a host for people and scripts: each hop, each value, where it was found."""

from __future__ import annotations

from typing import Any

from remote.hosts import Host
from remote.leg import Spot
from remote.spots import spots
from remote.trust.known_hosts import lookup_name

_LOGIN = ("identity_files", "certificate_files", "agent", "identities_only", "methods")


def rows(host: Host) -> list[tuple[str, str, str]]:
    """(what, value, origin), the hops first."""
    out: list[tuple[str, str, str]] = []
    for n, spot in enumerate(spots(host)):
        out.append(
            (spot.title, f"{spot.user}@{spot.address}:{spot.port}", _origin(host, n, "address"))
        )
        for key in ("user", "port"):
            out.append((f"  {key}", str(getattr(spot, key)), _origin(host, n, key)))
        name = lookup_name(spot.address, spot.port, spot.alias)
        out.append(("  host key under", name, _origin(host, n, "host_key_alias")))
        for key, values in _login(spot).items():
            out += _several(f"  {key.replace('_', ' ')}", values, _login_origin(host, n, key))
        also = [str(p) for p in spot.known_hosts_also]
        out += _several("  known hosts, read", also, _origin(host, n, "known_hosts_also"))
    out.append(("known hosts, added to", str(host.known_hosts), _own(host, "known_hosts")))
    for key in ("workdir", "python", "accelerator", "launcher", "link_hours"):
        out.append((key, str(getattr(host, key)), _own(host, key)))
    if host.torch_index:
        out.append(("torch index", host.torch_index, _own(host, "torch_index")))
    out += [(f"env {k}", v, _own(host, "env")) for k, v in host.env.items()]
    if host.slurm is not None:
        out += [(f"slurm {k}", v, "hosts.yaml") for k, v in host.slurm.shown()]
    return out


def as_dict(host: Host) -> dict[str, Any]:
    """For `--json`: the same, with types kept and every origin by field."""
    return {
        "name": host.name,
        "title": host.title,
        "hops": [
            {
                "title": spot.title,
                "address": spot.address,
                "port": spot.port,
                "user": spot.user,
                "host_key_name": lookup_name(spot.address, spot.port, spot.alias),
                "identity_files": [str(p) for p in spot.login.identity_files],
                "certificate_files": [str(p) for p in spot.login.certificate_files],
                "agent": spot.login.agent or "SSH_AUTH_SOCK",
                "identities_only": spot.login.identities_only,
                "methods": list(spot.login.methods),
                "known_hosts_also": [str(p) for p in spot.known_hosts_also],
            }
            for spot in spots(host)
        ],
        "known_hosts": str(host.known_hosts),
        "workdir": host.workdir,
        "python": host.python,
        "env": host.env,
        "accelerator": host.accelerator,
        "launcher": host.launcher,
        "link_hours": host.link_hours,
        "slurm": dict(host.slurm.shown()) if host.slurm is not None else None,
        "origins": host.origins,
        "notes": list(host.notes),
    }


def _several(label: str, values: list[str], origin: str) -> list[tuple[str, str, str]]:
    return [("" if n else label, value, "" if n else origin) for n, value in enumerate(values)]


def _login(spot: Spot) -> dict[str, list[str]]:
    """What is offered, in order. A usual key file that is not there is not worth a line."""
    login = spot.login
    usual = len(login.identity_files) > 2
    files = [p for p in login.identity_files if p.exists() or not usual]
    values = {
        "identity_files": [f"{p}{'' if p.exists() else ' (not there)'}" for p in files],
        "certificate_files": [str(p) for p in login.certificate_files],
        "agent": [login.agent or "SSH_AUTH_SOCK"],
        "identities_only": ["yes"] if login.identities_only else [],
        "methods": [", ".join(login.methods)],
    }
    return {key: values[key] for key in _LOGIN}


def _origin(host: Host, hop: int, key: str) -> str:
    if hop < len(host.jumps):
        found = host.origins.get(f"jumps[{hop}].{key}", "")
        inherited = key == "known_hosts_also" and not found
        return _own(host, key) if inherited else found or "default"
    return _own(host, key)


def _own(host: Host, key: str) -> str:
    return host.origins.get(key, "default")


def _login_origin(host: Host, hop: int, key: str) -> str:
    """hosts.yaml speaks of one identity_file, OpenSSH of several."""
    found = _origin(host, hop, key)
    if found == "default" and key in ("identity_files", "identities_only"):
        found = _origin(host, hop, "identity_file")
    return found
