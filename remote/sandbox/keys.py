"""The sandbox's ed25519 keys and its known_hosts, made once and then kept."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from core.errors import EnvironmentProblem
from remote.sandbox.files import HOST_ALIAS, JUMP_ALIAS, USER, Layout, write_private

ALGORITHM = "ssh-ed25519"


@dataclass(frozen=True, slots=True)
class Keys:
    """jump, host: the private host keys.  operator: the public key both hops accept.

    ca: signs certificates of that key.  password: what the jump host asks for first when it wants a
    second factor.
    """

    jump: asyncssh.SSHKey
    host: asyncssh.SSHKey
    operator: asyncssh.SSHKey
    ca: asyncssh.SSHKey
    password: str


def prepare(layout: Layout) -> Keys:
    """The directory with all its keys, whatever of it existed before."""
    layout.make_directories()
    with layout.locked():
        jump = _key(layout.jump_key, JUMP_ALIAS)
        host = _key(layout.host_key, HOST_ALIAS)
        operator = _key(layout.identity, "sandbox operator")
        ca = _key(layout.ca_key, "sandbox certificates")
        lines = [f"{JUMP_ALIAS} {public_line(jump)}\n", f"{HOST_ALIAS} {public_line(host)}\n"]
        known = "".join(lines).encode()
        if not layout.known_hosts.exists() or layout.known_hosts.read_bytes() != known:
            write_private(layout.known_hosts, known)
        if not layout.password.exists():
            write_private(layout.password, secrets.token_urlsafe(12).encode())
        if not layout.boot_id.exists():
            new_boot_id(layout)
        password = layout.password.read_text()
        return Keys(jump, host, operator.convert_to_public(), ca, password)


def new_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(ALGORITHM)


def new_boot_id(layout: Layout) -> None:
    write_private(layout.boot_id, str(uuid.uuid4()).encode())


def sign(layout: Layout, keys: Keys, valid_for_s: float) -> None:
    """Put a certificate beside the operator's key; negative: it ended that long ago."""
    now = int(time.time())
    end = now + int(valid_for_s)
    certificate = keys.ca.generate_user_certificate(
        keys.operator,
        "sandbox operator",
        principals=[USER],
        valid_after=min(now, end) - 86400,
        valid_before=end,
    )
    write_private(layout.certificate, certificate.export_certificate())


def public_line(key: asyncssh.SSHKey) -> str:
    """`ssh-ed25519 AAAA…`, without the comment."""
    return " ".join(key.export_public_key().decode().split()[:2])


def _key(path: Path, comment: str) -> asyncssh.SSHKey:
    if not path.exists():
        key = asyncssh.generate_private_key(ALGORITHM, comment=comment)
        write_private(path.with_name(path.name + ".pub"), key.export_public_key())
        write_private(path, key.export_private_key())
        return key
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as exc:
        raise EnvironmentProblem(
            f"the sandbox's key {path} cannot be read",
            why=str(exc),
            try_next=f"remove {path} and start again; a new one is made",
        ) from exc
