"""SSH user authentication on one transport, one request at a time: the one place that leans on paramiko's
inside (tests/remote/test_userauth.py pins what of it).

Why not `Transport.auth_*`: each of them opens the login service anew, which some servers end the
connection for, and prompts are answered in the thread that also reads the connection.
`ServiceRequestingTransport` waits in steps of 0.1 s, and for ever if the server hangs up meanwhile.
Neither asks whether a key would do before it signs with it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paramiko
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import (
    MSG_SERVICE_ACCEPT,
    MSG_USERAUTH_INFO_REQUEST,
    cMSG_SERVICE_REQUEST,
    cMSG_USERAUTH_INFO_RESPONSE,
    cMSG_USERAUTH_REQUEST,
)

REPLY_S = 60.0  # the server's answer to one request; some look a user up in slow directories
MAX_PROMPTS = 32

Prompts = list[tuple[str, bool]]
Answer = Callable[[str, str, Prompts], Sequence[str]]


class HungUp(Exception):
    """The server ended the connection, or did not answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """passed: this factor was accepted.  left: methods that may go on, empty when logged in."""

    passed: bool
    left: tuple[str, ...] = ()


class UserAuth:
    """The login of `user` on a transport whose key exchange is done. Calls block; raise HungUp."""

    def __init__(self, transport: paramiko.Transport, user: str) -> None:
        self._transport: Any = transport
        self._user = user
        self._handler = _Handler(transport)
        self._transport.auth_handler = self._handler
        service = paramiko.Message()
        service.add_byte(cMSG_SERVICE_REQUEST)
        service.add_string("ssh-userauth")
        self._send(service)
        # Waited for, though a question could go along: the second of two small answers is held back until
        # the first is acknowledged, which at the far end of a tunnel takes longer than it saves.
        self._wait(self._handler.service)

    def none(self) -> Reply:
        """Asks which methods there are; some servers need no more."""
        return self._request("none")

    def would_accept(self, algorithm: str, blob: bytes) -> bool:
        """Is a public key good for a login? Nothing is signed."""
        self._handler.key_accepted = False
        self._request("publickey", False, algorithm, blob)
        return self._handler.key_accepted

    def publickey(self, algorithm: str, blob: bytes, sign: Callable[[bytes, str], bytes]) -> Reply:
        """sign: (data, algorithm) → signature as SSH writes it."""
        data = paramiko.Message()
        data.add_string(self._transport.session_id)
        data.add_byte(cMSG_USERAUTH_REQUEST)
        for word in (self._user, "ssh-connection", "publickey"):
            data.add_string(word)
        data.add_boolean(True)
        data.add_string(algorithm)
        data.add_string(blob)
        return self._request(
            "publickey", True, algorithm, blob, bytes(sign(data.asbytes(), algorithm))
        )

    def password(self, password: str) -> Reply:
        return self._request("password", False, password)

    def interactive(self, answer: Answer) -> Reply:
        """answer is called in this thread, once a round, with (title, instructions, prompts)."""
        self._handler.begin("keyboard-interactive")
        self._send(self._message("keyboard-interactive", "", ""))
        while True:
            self._wait(self._handler.asked, self._handler.ended)
            try:
                title, instructions, prompts = self._handler.rounds.get_nowait()
            except queue.Empty:
                return self._handler.reply
            answers = answer(title, instructions, prompts)
            self._handler.asked.clear()
            if not self._transport.is_active():
                raise HungUp("it did not wait for the answer")
            reply = paramiko.Message()
            reply.add_byte(cMSG_USERAUTH_INFO_RESPONSE)
            reply.add_int(len(answers))
            for text in answers:
                reply.add_string(text)
            self._send(reply)

    @property
    def rsa_algorithm(self) -> str:
        """The best signature for an RSA key that the server says it knows."""
        said = self._transport.server_extensions.get("server-sig-algs", b"")
        known = said.decode("ascii", "replace").split(",") if isinstance(said, bytes) else []
        return "rsa-sha2-256" if known and "rsa-sha2-512" not in known else "rsa-sha2-512"

    def _request(self, method: str, *fields: Any) -> Reply:
        self._handler.begin(method)
        self._send(self._message(method, *fields))
        self._wait(self._handler.ended)
        return self._handler.reply

    def _message(self, method: str, *fields: Any) -> paramiko.Message:
        m = paramiko.Message()
        m.add_byte(cMSG_USERAUTH_REQUEST)
        for word in (self._user, "ssh-connection", method):
            m.add_string(word)
        for value in fields:
            if isinstance(value, bool):
                m.add_boolean(value)
            else:
                m.add_string(value)
        return m

    def _send(self, message: paramiko.Message) -> None:
        try:
            self._transport._send_message(message)
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise HungUp(str(e)) from e

    def _wait(self, *events: threading.Event) -> None:
        """Until one of them is set. Raises HungUp."""
        deadline = time.monotonic() + REPLY_S
        while not any(e.is_set() for e in events):
            if not self._transport.is_active():
                error = self._transport.get_exception()
                raise HungUp(str(error or "") or "it closed the connection")
            if time.monotonic() > deadline:
                raise HungUp(f"it did not answer for {REPLY_S:.0f} s")
            self._handler.stirred.wait(0.1)
            self._handler.stirred.clear()


class _Handler(AuthOnlyHandler):
    """Takes the server's messages in the transport's thread and hands them over."""

    def __init__(self, transport: paramiko.Transport) -> None:
        super().__init__(transport)
        self.service = threading.Event()
        self.asked = threading.Event()
        self.ended = threading.Event()
        self.stirred = threading.Event()
        self.rounds: queue.Queue[tuple[str, str, Prompts]] = queue.Queue()
        self.key_accepted = False
        self.reply = Reply(False)

    def begin(self, method: str) -> None:
        self.auth_method = method
        self.reply = Reply(False)
        self.asked.clear()
        self.ended.clear()

    @property
    def _client_handler_table(self) -> dict[int, Any]:
        table: dict[int, Any] = dict(super()._client_handler_table)  # type: ignore[misc]
        table[MSG_SERVICE_ACCEPT] = self._on_service
        table[MSG_USERAUTH_INFO_REQUEST] = self._on_60
        return table

    def _on_service(self, m: paramiko.Message) -> None:
        self._tell(self.service)

    def _on_60(self, m: paramiko.Message) -> None:
        """The number 60 means what was asked: a prompt, or that a key would do."""
        if self.auth_method == "publickey":
            self.key_accepted = True
            self._tell(self.ended)
            return
        if self.auth_method != "keyboard-interactive":
            raise paramiko.SSHException("a prompt that nobody asked for")
        title, instructions = m.get_text(), m.get_text()
        m.get_binary()
        count = m.get_int()
        if count > MAX_PROMPTS:
            raise paramiko.SSHException("too many prompts at once")
        prompts = [(m.get_text(), m.get_boolean()) for _ in range(count)]
        self.rounds.put((title, instructions, prompts))
        self._tell(self.asked)

    def _parse_userauth_success(self, m: paramiko.Message) -> None:
        super()._parse_userauth_success(m)  # type: ignore[misc]
        self.reply = Reply(True)
        self._tell(self.ended)

    def _parse_userauth_failure(self, m: paramiko.Message) -> None:
        methods = tuple(m.get_list())
        self.reply = Reply(m.get_boolean(), methods)
        self._tell(self.ended)

    def _tell(self, event: threading.Event) -> None:
        event.set()
        self.stirred.set()

    def abort(self) -> None:
        """The connection is gone."""
        self.stirred.set()
