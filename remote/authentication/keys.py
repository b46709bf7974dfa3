"""Public keys in the order in which OpenSSH offers them: certificates, the agent's, then files.

Decrypted keys stay in a `KeyRing`, in the memory of this process; passphrases are not kept.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from core.errors import AuthenticationFailed
from remote.authentication.ssh_agent import AgentError, AgentKey, SSHAgent, key_type
from remote.helper_client import plain
from remote.hops import LoginOptions
from remote.trust.certificates import CERT, Certificate, read_certificate, read_certificate_blob

MAX_KEY_FILE = 1 << 16
_MAGIC = b"openssh-key-v1\0"

Sign = Callable[[bytes, str], bytes]
AskPassphrase = Callable[[Path, Callable[[str], Any]], Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """A public key or certificate, and what signs for it.

    ask_first: signing costs the operator something (a passphrase, a touch), so the server is asked
    whether it would do.
    """

    label: str
    blob: bytes
    sign: Sign
    ask_first: bool

    @property
    def type(self) -> str:
        return key_type(self.blob)


@dataclass
class KeyRing:
    """Decrypted private keys by file, as long as the file does not change."""

    _keys: dict[tuple[Path, int, int], Any] = field(default_factory=dict)

    def get(self, path: Path) -> Any:
        return self._keys.get(_stamp(path))

    def put(self, path: Path, key: Any) -> None:
        self._keys[_stamp(path)] = key

    def clear(self) -> None:
        self._keys.clear()

    def __repr__(self) -> str:
        return f"KeyRing({len(self._keys)} keys)"


def _stamp(path: Path) -> tuple[Path, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return path, 0, 0
    return path, stat.st_mtime_ns, stat.st_size


class Locked(Exception):
    """A passphrase is needed and nobody is there to give it."""


@dataclass
class Keys:
    """What one login may offer.

    required: files that must be there and readable; others are passed over.  unlock: asks for a
    passphrase and gives the key (it is called with the file and a loader). faults: what was found wrong
    with certificates and files, for the error if the login fails.
    """

    options: LoginOptions
    ring: KeyRing
    unlock: AskPassphrase
    required: bool = False
    faults: list[str] = field(default_factory=list)

    def offers(self, user: str) -> Iterator[Offer]:
        """In order, each key once. Raises AuthenticationFailed for a required file that is no key."""
        files = [f for f in self.options.identity_files if self._there(f)]
        publics = {path: public_blob(path) for path in files}
        agent = self._agent()
        try:
            agent_keys = self._agent_keys(agent)
            seen: set[bytes] = set()
            for offer in self._in_order(user, files, publics, agent, agent_keys):
                if offer.blob not in seen:
                    seen.add(offer.blob)
                    yield offer
        finally:
            if agent is not None:
                agent.close()

    def _in_order(
        self,
        user: str,
        files: list[Path],
        publics: dict[Path, bytes | None],
        agent: SSHAgent | None,
        agent_keys: list[AgentKey],
    ) -> Iterator[Offer]:
        plain_keys = {k.blob: k for k in agent_keys if not k.type.endswith(CERT)}
        wanted = {blob for blob in publics.values() if blob}
        for where in self._certificate_files(files):
            certificate = self._certificate(where, user)
            if certificate is None:
                continue
            label = f"certificate {where}"
            if certificate.public in plain_keys and agent is not None:
                sign = _agent_sign(agent, certificate.public)
                yield Offer(label, certificate.blob, sign, True)
                continue
            owner = next((f for f in files if publics[f] == certificate.public), None)
            if owner is not None and not _only_public(owner):
                yield Offer(label, certificate.blob, self._file_sign(owner), self._locked(owner))
            else:
                self.faults.append(f"no private key belongs to the certificate {where}")
        if agent is not None:
            for known in (True, False):  # those of the named files first
                for n, key in enumerate(agent_keys, 1):
                    certified = read_certificate_blob(key.blob)
                    of_files = (certified.public if certified else key.blob) in wanted
                    if of_files is not known or (not known and self.options.identities_only):
                        continue
                    if certified is not None:
                        self._judge(certified, f"certificate {n} in the agent", user)
                    name = next((str(f) for f in files if publics[f] == key.blob), "")
                    comment = plain(key.comment, 80)
                    label = f"{name or comment or f'key {n}'} (from the agent)"
                    yield Offer(label, key.blob, _agent_sign(agent, key.blob), True)
        for path in files:
            blob = publics[path]
            if (blob is not None and blob in plain_keys) or _only_public(path):
                continue
            if blob is None:  # an old form without its .pub: what it is shows when it is open
                try:
                    key = self._load(path)
                except Locked:
                    self.faults.append(f"{path} needs its passphrase")
                    continue
                if key is None:
                    continue
                blob = bytes(key.asbytes())
            yield Offer(str(path), blob, self._file_sign(path), self._locked(path))

    # -- the agent --------------------------------------------------------------------------

    def _agent(self) -> SSHAgent | None:
        if self.options.agent == "none":
            return None
        try:
            return SSHAgent(self.options.agent)
        except AgentError as e:
            if self.options.agent:
                self.faults.append(str(e))
            return None

    def _agent_keys(self, agent: SSHAgent | None) -> list[AgentKey]:
        if agent is None:
            return []
        try:
            return agent.keys()
        except AgentError as e:
            self.faults.append(str(e))
            return []

    # -- certificates -----------------------------------------------------------------------

    def _certificate_files(self, files: list[Path]) -> list[Path]:
        beside = [f.with_name(f"{f.name}-cert.pub") for f in files]
        found = [*self.options.certificate_files, *(p for p in beside if p.exists())]
        return list(dict.fromkeys(found))

    def _certificate(self, path: Path, user: str) -> Certificate | None:
        try:
            certificate = read_certificate(path)
        except (OSError, ValueError) as e:
            self.faults.append(f"the certificate {path} cannot be read ({plain(e, 200)})")
            return None
        self._judge(certificate, f"certificate {path}", user)
        return certificate

    def _judge(self, certificate: Certificate, name: str, user: str) -> None:
        """Only noted: the server decides, by its own clock."""
        fault = certificate.fault(user)
        if fault:
            self.faults.append(f"the {name} {fault}")

    # -- files ------------------------------------------------------------------------------

    def _there(self, path: Path) -> bool:
        if path.exists():
            return True
        if self.required:
            raise AuthenticationFailed(
                f"no private key at {path}", try_next="set identity_file of this host in hosts.yaml"
            )
        return False

    def _locked(self, path: Path) -> bool:
        return self.ring.get(path) is None and is_encrypted(path)

    def _file_sign(self, path: Path) -> Sign:
        def sign(data: bytes, algorithm: str) -> bytes:
            key = self._load(path)
            if key is None:
                raise Locked(str(path))
            signature: bytes = _bytes(key.sign_ssh_data(data, algorithm))
            return signature

        return sign

    def _load(self, path: Path) -> Any:
        """The private key, or None if it is no key and none was promised. Raises Locked."""
        key = self.ring.get(path)
        if key is not None:
            return key
        try:
            return _from_path(path, None)
        except paramiko.PasswordRequiredException:
            pass
        except (ValueError, OSError, paramiko.SSHException) as e:
            if not self.required:
                self.faults.append(f"{path} cannot be read")
                return None
            raise AuthenticationFailed(
                f"the private key {path} cannot be read", why=plain(e), try_next="check the file"
            ) from e
        key = self.unlock(path, lambda passphrase: _from_path(path, passphrase))
        self.ring.put(path, key)
        return key


def _from_path(path: Path, passphrase: str | None) -> Any:
    """Raises PasswordRequiredException; ValueError for a wrong passphrase and for what is no key."""
    secret = None if passphrase is None else passphrase.encode()
    if secret == b"":
        raise ValueError("an empty passphrase")
    try:
        # Not PKey.from_path(path): it also loads the certificate beside it, and its fault would look
        # like that of a key.
        data = path.read_bytes()[:MAX_KEY_FILE].decode("utf-8", "replace")
        return _parse(data, secret)
    except TypeError as e:  # how a missing passphrase shows for the newer form
        raise paramiko.PasswordRequiredException(str(e)) from e


def _parse(text: str, secret: bytes | None) -> Any:
    load = (
        serialization.load_ssh_private_key
        if "BEGIN OPENSSH" in text
        else serialization.load_pem_private_key
    )
    opened = load(text.encode(), secret)
    # Handed on opened, in memory: paramiko knows fewer forms, and would stretch the passphrase again.
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH)
    bare = io.StringIO(opened.private_bytes(*form, serialization.NoEncryption()).decode())
    kinds: list[tuple[type[Any], type[paramiko.PKey]]] = [
        (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key),
        (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
        (rsa.RSAPrivateKey, paramiko.RSAKey),
    ]
    for kind, paramiko_kind in kinds:
        if isinstance(opened, kind):
            return paramiko_kind.from_private_key(bare)
    raise ValueError("this type of key is not known here")


def _bytes(signature: Any) -> bytes:
    data: bytes = signature if isinstance(signature, bytes) else signature.asbytes()
    return data


def _agent_sign(agent: SSHAgent, blob: bytes) -> Sign:
    return lambda data, algorithm: agent.sign(blob, data, algorithm)


def is_encrypted(path: Path) -> bool:
    """Does opening this private key take a passphrase?"""
    opened = _opened(path)
    if opened is not None:
        return opened[0] != b"none"
    with contextlib.suppress(OSError):
        head = path.read_bytes()[:MAX_KEY_FILE]
        return b"ENCRYPTED" in head
    return False


def public_blob(path: Path) -> bytes | None:
    """The public key of an identity file without opening it: from its own head, else from `.pub`."""
    opened = _opened(path)
    if opened is not None:
        return opened[1]
    for candidate in (path, path.with_name(path.name + ".pub")):
        with contextlib.suppress(OSError, ValueError, IndexError, UnicodeDecodeError):
            words = candidate.read_bytes()[:MAX_KEY_FILE].decode("ascii").split()
            blob = base64.b64decode(words[1], validate=True)
            if key_type(blob) == words[0]:
                return blob
    return None


def _only_public(path: Path) -> bool:
    """IdentityFile may name a `.pub`, to choose a key of the agent."""
    try:
        return (
            b"PRIVATE KEY" not in path.read_bytes()[:MAX_KEY_FILE] and public_blob(path) is not None
        )
    except OSError:
        return False


def _opened(path: Path) -> tuple[bytes, bytes] | None:
    """(cipher, public key) of a private key in OpenSSH's own form."""
    try:
        lines = path.read_bytes()[:MAX_KEY_FILE].decode("ascii", "replace").splitlines()
        start = lines.index("-----BEGIN OPENSSH PRIVATE KEY-----")
        end = lines.index("-----END OPENSSH PRIVATE KEY-----")
        data = base64.b64decode("".join(lines[start + 1 : end]))
    except (OSError, ValueError, binascii.Error):
        return None
    if not data.startswith(_MAGIC):
        return None
    m = paramiko.Message(data[len(_MAGIC) :])
    cipher = m.get_binary()
    m.get_binary()
    m.get_binary()
    count = m.get_int()
    return (cipher, m.get_binary()) if count == 1 else None
