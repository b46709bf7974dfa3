"""OpenSSH certificates: of users, beside a key or in the agent, and of hosts, under @cert-authority."""

from __future__ import annotations

import base64
import datetime
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CERT = "-cert-v01@openssh.com"
FOREVER = 0xFFFFFFFF_FFFFFFFF
MAX_FILE = 1 << 16


@dataclass(frozen=True, slots=True)
class Certificate:
    """blob: all of it; public: the key it is about; signer: its authority's key; all as SSH writes them.

    valid_after, valid_before: Unix time.  signed: the authority's signature holds.
    """

    blob: bytes
    public: bytes
    signer: bytes
    host: bool
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: tuple[str, ...]
    signed: bool

    @property
    def validity(self) -> str:
        """`from 2026-01-02 03:04 UTC to 2026-02-01 00:00 UTC`."""
        return f"from {_when(self.valid_after)} to {_when(self.valid_before)}"

    def fault(self, user: str, now: float | None = None) -> str:
        """Why a server would refuse it as a user's, as the end of a sentence; "" if nothing is seen."""
        if self.host:
            return "is one of a host, not of a user"
        late = self._out_of_time(now)
        if late:
            return late
        if self.principals and user not in self.principals:
            return f"is for {', '.join(self.principals[:5])}, not for {user}"
        return ""

    def host_fault(self, name: str, now: float | None = None) -> str:
        """Why it does not vouch for the host `name`; "" if it does. Its authority is not judged here."""
        if not self.host:
            return "is one of a user, not of a host"
        if not self.signed:
            return "has a wrong signature"
        late = self._out_of_time(now)
        if late:
            return late
        if self.critical:
            return f"has conditions that are not known here ({', '.join(self.critical)})"
        if name.lower() not in (p.lower() for p in self.principals):
            return f"is for {', '.join(self.principals[:5]) or 'nobody'}, not for {name}"
        return ""

    def _out_of_time(self, now: float | None) -> str:
        now = time.time() if now is None else now
        if now >= self.valid_before:
            return f"expired on {_when(self.valid_before)} (valid {self.validity})"
        if now < self.valid_after:
            return f"is not valid before {_when(self.valid_after)} (valid {self.validity})"
        return ""


def read_certificate(path: Path) -> Certificate:
    """A `-cert.pub` file. Raises OSError; ValueError if it holds no certificate."""
    text = path.read_bytes()[:MAX_FILE]
    words = text.split()
    if len(words) < 2 or CERT.encode() not in words[0]:
        raise ValueError("it holds no certificate")
    found = _parse(words[0], words[1])
    if found is None:
        raise ValueError("it is damaged")
    return found


def read_certificate_blob(blob: bytes) -> Certificate | None:
    """None for a bare key, and for what is damaged."""
    size = int.from_bytes(blob[:4], "big")
    kind = blob[4 : 4 + size]
    return _parse(kind, base64.b64encode(blob)) if kind.endswith(CERT.encode()) else None


def _parse(kind: bytes, encoded: bytes) -> Certificate | None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        SSHCertificate,
        SSHCertificateType,
        load_ssh_public_identity,
    )

    try:
        found = load_ssh_public_identity(kind + b" " + encoded)
        if not isinstance(found, SSHCertificate):
            return None
        try:
            found.verify_cert_signature()
            signed = True
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            signed = False
        return Certificate(
            blob=base64.b64decode(encoded),
            public=_wire(found.public_key()),
            signer=_wire(found.signature_key()),
            host=found.type is SSHCertificateType.HOST,
            key_id=found.key_id.decode("utf-8", "replace"),
            principals=tuple(p.decode("utf-8", "replace") for p in found.valid_principals),
            valid_after=found.valid_after,
            valid_before=found.valid_before,
            critical=tuple(k.decode("utf-8", "replace") for k in found.critical_options),
            signed=signed,
        )
    except (ValueError, UnsupportedAlgorithm, TypeError):
        return None


def _wire(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    text: bytes = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(text.split()[1])


def _when(seconds: int) -> str:
    if seconds >= FOREVER:
        return "for ever"
    if seconds <= 0:
        return "always"
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return "for ever"
    return moment.strftime("%Y-%m-%d %H:%M UTC")
