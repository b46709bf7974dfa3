"""One hop of a way: a machine in between, and what is offered to it at login."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

METHODS = ("publickey", "keyboard-interactive", "password")


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """What is offered at one hop, in OpenSSH's terms.

    identity_files: those that are not there are passed over.  agent: the agent's socket; None: the one
    of SSH_AUTH_SOCK, "none": no agent.  identities_only: of the agent only the keys of identity_files.
    methods: in the order in which they are tried.
    """

    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    agent: str | None = None
    identities_only: bool = False
    methods: tuple[str, ...] = METHODS


@dataclass(frozen=True, slots=True)
class Jump:
    """A machine in between.

    host_key_alias: the name its key is filed under in known_hosts.  identity_file: only this key is
    offered.  login: the whole of it instead (from an OpenSSH configuration).  known_hosts_also: None:
    those of the host.
    """

    address: str
    port: int = 22
    user: str = ""
    identity_file: Path | None = None
    host_key_alias: str | None = None
    login: LoginOptions | None = None
    known_hosts_also: tuple[Path, ...] | None = None
