"""The keys of a running ssh-agent: listing them and signing with them. Keys never leave the agent.

paramiko's own client takes the socket from the environment only, waits without end, and offers RSA
certificates as bare keys.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from types import TracebackType

LIST, LISTED, SIGN, SIGNED = 11, 12, 13, 14
LIST_S = 5.0
SIGN_S = 60.0  # a key may have to be confirmed or touched
MAX_REPLY = 1 << 20
RSA_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}
CERT = "-cert-v01@openssh.com"


class AgentError(Exception):
    """No agent, or it refused."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """blob: the public key, or the certificate, as SSH writes it."""

    blob: bytes
    comment: str

    @property
    def type(self) -> str:
        return key_type(self.blob)


class SSHAgent:
    """One connection to an agent; a context manager. `where`: a socket, or None: SSH_AUTH_SOCK."""

    def __init__(self, where: str | None = None) -> None:
        path = where or os.environ.get("SSH_AUTH_SOCK", "")
        if not path or path == "none":
            raise AgentError("no ssh-agent")
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._sock.settimeout(LIST_S)
            self._sock.connect(path)
        except OSError as e:
            self._sock.close()
            raise AgentError(f"the ssh-agent at {path} does not answer: {e}") from e

    def keys(self) -> list[AgentKey]:
        kind, body = self._ask(bytes([LIST]), LIST_S)
        if kind != LISTED:
            raise AgentError("the ssh-agent does not list its keys")
        count, at = _int(body, 0)
        found = []
        for _ in range(min(count, 1000)):
            blob, at = _string(body, at)
            comment, at = _string(body, at)
            found.append(AgentKey(blob, comment.decode("utf-8", "replace")))
        return found

    def sign(self, blob: bytes, data: bytes, algorithm: str) -> bytes:
        """A signature as SSH writes it. Raises AgentError, also when the operator does not confirm."""
        flags = RSA_FLAGS.get(algorithm.removesuffix(CERT), 0)
        request = bytes([SIGN]) + pack(blob) + pack(data) + struct.pack(">I", flags)
        kind, body = self._ask(request, SIGN_S)
        if kind != SIGNED:
            raise AgentError("the ssh-agent did not sign")
        return _string(body, 0)[0]

    def _ask(self, message: bytes, timeout: float) -> tuple[int, bytes]:
        self._sock.settimeout(timeout)
        try:
            self._sock.sendall(pack(message))
            size = struct.unpack(">I", self._read(4))[0]
            if not 0 < size <= MAX_REPLY:
                raise AgentError("the ssh-agent answers in a way this program does not know")
            reply = self._read(size)
        except OSError as e:
            raise AgentError(f"the ssh-agent does not answer: {e}") from e
        return reply[0], reply[1:]

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._sock.recv(size - len(data))
            if not more:
                raise AgentError("the ssh-agent hung up")
            data += more
        return data

    def close(self) -> None:
        self._sock.close()

    def __enter__(self) -> SSHAgent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def key_type(blob: bytes) -> str:
    """The algorithm a public key or certificate names; "" if it is none."""
    try:
        return _string(blob, 0)[0].decode("ascii", "replace")
    except AgentError:
        return ""


def pack(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _int(data: bytes, at: int) -> tuple[int, int]:
    if len(data) < at + 4:
        raise AgentError("the ssh-agent's answer is cut short")
    return int(struct.unpack_from(">I", data, at)[0]), at + 4


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _int(data, at)
    if len(data) < at + size:
        raise AgentError("the ssh-agent's answer is cut short")
    return data[at : at + size], at + size
