"""Is the server the one it should be? Its host key against known_hosts, before anyone logs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import paramiko

from core.errors import HostKeyChanged, HostKeyUnknown
from remote.auth import Prompter
from remote.helper_client import plain
from remote.trust import known_hosts
from remote.trust.certificates import CERT, Certificate, read_certificate_blob

# No key signed with SHA-1 is taken from anyone.
KEY_TYPES = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)


class Place(Protocol):
    """Where a key is looked up, and how the hop is named to the operator."""

    @property
    def title(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def alias(self) -> str | None: ...
    @property
    def known_hosts(self) -> Path: ...
    @property
    def known_hosts_also(self) -> tuple[Path, ...]: ...


@dataclass(frozen=True, slots=True)
class HostKeys:
    """What the files say of one hop.

    names: the name its key is filed under, then, as OpenSSH looks it up, without the port.
    """

    place: Place
    entries: list[known_hosts.Entry]
    names: tuple[str, ...]

    @classmethod
    def of(cls, place: Place) -> HostKeys:
        names = known_hosts.lookup_names(place.address, place.port, place.alias)
        files = [place.known_hosts, *place.known_hosts_also]
        return cls(place, known_hosts.read(files), names)

    def algorithms(self) -> list[str]:
        """Host key algorithms in the order in which to ask for them.

        Types on file first, else the server shows another key. Certificates only where an authority
        is on file, and then before bare keys.
        """
        on_file = known_hosts.key_types(self.entries, self.names[0])
        # An RSA key is one key whatever hash signs with it.
        first = [k for k in KEY_TYPES if k in on_file or ("ssh-rsa" in on_file and "rsa" in k)]
        bare = [*first, *(k for k in KEY_TYPES if k not in first)]
        return [*(k + CERT for k in KEY_TYPES), *bare] if self._authorities() else bare

    def check(self, key: paramiko.PKey, prompter: Prompter) -> None:
        """Raises HostKeyChanged, HostKeyUnknown. May ask, and file what the operator accepts."""
        certificate = None
        # paramiko keeps the whole certificate as public_blob
        whole = getattr(getattr(key, "public_blob", None), "key_blob", None)
        note = ""
        if whole is not None:
            certificate = read_certificate_blob(whole)
            note = self._judge_certificate(certificate)
            if certificate is not None and not note:
                return
        elif authority := next(iter(self._authorities()), None):
            note = f"it shows no certificate, though {authority.where} names an authority for it"
        self._check_bare(key, prompter, note)

    # -- certificates -----------------------------------------------------------------------

    def _authorities(self) -> list[known_hosts.Entry]:
        return [
            e
            for e in self.entries
            if e.marker == known_hosts.AUTHORITY
            and any(known_hosts.matches(e.patterns, n) for n in self.names)
        ]

    def _judge_certificate(self, certificate: Certificate | None) -> str:
        """Why it does not vouch for the host; "" if it does. Raises HostKeyChanged if it is revoked."""
        if certificate is None:
            return "it shows a certificate that cannot be read"
        for blob in (certificate.signer, certificate.public, certificate.blob):
            self._refuse_revoked(blob)
        signers = [e for e in self._authorities() if e.blob == certificate.signer]
        if not signers:
            return "its certificate is of an authority that is not on file"
        name = self.place.alias or self.place.address
        fault = certificate.host_fault(name)
        return f"its certificate {plain(fault, 300)}" if fault else ""

    # -- bare keys --------------------------------------------------------------------------

    def _check_bare(self, key: paramiko.PKey, prompter: Prompter, note: str) -> None:
        blob, kind = key.asbytes(), key.get_name()
        self._refuse_revoked(blob)
        verdict, entry = known_hosts.judge(self.entries, self.names[0], blob)
        if verdict == "unknown" and any(
            known_hosts.judge(self.entries, n, blob)[0] == "known" for n in self.names[1:]
        ):
            return
        if verdict == "known":
            return
        if verdict == "changed" and entry is not None:
            raise HostKeyChanged(
                f"{self.place.title} shows a different host key: "
                f"{kind} {known_hosts.fingerprint(blob)}",
                why=f"{entry.where} has {entry.key_type} {known_hosts.fingerprint(entry.blob)} for "
                f"{self.names[0]!r}; someone may stand in between{'; ' if note else ''}{note}",
                try_next="do not log in; ask the administrators. If they changed the key, remove that "
                "line and connect again",
            )
        shown = known_hosts.fingerprint(blob)
        if prompter.accept_host_key(
            hop=self.place.title + (f" ({note})" if note else ""),
            name=self.names[0],
            key_type=kind,
            fingerprint=shown,
        ):
            known_hosts.append(self.place.known_hosts, self.names[0], kind, blob)
            return
        raise HostKeyUnknown(
            f"{self.place.title} shows a host key that is not on file: {kind} {shown}",
            why=f"no line for {self.names[0]!r} in {self._files()}" + (f"; {note}" if note else ""),
            try_next="compare the fingerprint with what its administrators give out, then connect "
            "from the app or a terminal and accept it",
        )

    def _refuse_revoked(self, blob: bytes) -> None:
        line = known_hosts.revoked(self.entries, self.names, blob)
        if line is not None:
            raise HostKeyChanged(
                f"{self.place.title} shows a revoked host key: "
                f"{line.key_type} {known_hosts.fingerprint(blob)}",
                why=f"{line.where} revokes it for {self.names[0]!r}; whoever has it may stand in between",
                try_next="do not log in; ask the administrators for the new key",
            )

    def _files(self) -> str:
        files: Sequence[Path] = [self.place.known_hosts, *self.place.known_hosts_also]
        return ", ".join(str(f) for f in files)
