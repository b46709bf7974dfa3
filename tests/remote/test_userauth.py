"""Logins of several factors against a server that follows a script, and what of paramiko's inside the
login leans on.
"""

from __future__ import annotations

import inspect
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.auth_handler import AuthHandler, AuthOnlyHandler
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    MSG_SERVICE_ACCEPT,
    MSG_USERAUTH_INFO_REQUEST,
)
from paramiko.server import InteractiveQuery

from core.errors import AuthenticationFailed, Cancelled, HostUnreachable
from remote.auth import NoPrompter
from remote.authentication.login import Login
from remote.authentication.userauth import HungUp, UserAuth
from remote.hops import LoginOptions
from remote.leg import Transport
from remote.sandbox import PASSCODE, Sandbox
from tests.remote.conftest import refused
from tests.remote.servers import new_key, offering
from tests.remote.test_route import Operator

PASSWORD, DUO = "pass word", "123456"
Round = tuple[str, list[tuple[str, bool]], list[str]]  # instructions, prompts, right answers
CHAIN: list[Round] = [
    ("", [("Password: ", False)], [PASSWORD]),
    ("Duo two-factor login", [("Passcode or option (1-1): ", True)], [DUO]),
    ("Success. Logging you in...", [], []),
]


class Scripted(paramiko.ServerInterface):
    """methods: the factors, one after the other. rounds: of keyboard-interactive."""

    def __init__(self, methods: Sequence[str], rounds: Sequence[Round]) -> None:
        self.methods, self.rounds = list(methods), list(rounds)
        self.step = 0
        self.attempts: list[str] = []

    def _passed(self, method: str) -> int:
        self.methods.remove(method)
        return AUTH_PARTIALLY_SUCCESSFUL if self.methods else AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return ",".join(dict.fromkeys(self.methods[:1]))

    def check_auth_none(self, username: str) -> int:
        return AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._passed("publickey") if self.methods[0] == "publickey" else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.attempts.append(password)
        return self._passed("password") if password == PASSWORD else AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        self.step = 0
        return self._ask()

    def check_auth_interactive_response(self, responses: Sequence[str]) -> Any:
        self.attempts += responses
        if list(responses) != self.rounds[self.step][2]:
            return AUTH_FAILED
        self.step += 1
        if self.step < len(self.rounds):
            return self._ask()
        return self._passed("keyboard-interactive")

    def _ask(self) -> InteractiveQuery:
        instructions, prompts, _ = self.rounds[self.step]
        return InteractiveQuery("site", instructions, *prompts)


@contextmanager
def served(server: Scripted) -> Iterator[Transport]:
    """A client transport whose key exchange with the scripted server is done."""
    ours, theirs = socket.socketpair()
    far = paramiko.Transport(theirs)
    far.add_server_key(paramiko.ECDSAKey.generate())
    far.start_server(server=server, event=threading.Event())
    near = Transport(ours)
    near.host_key_algorithms = ("ecdsa-sha2-nistp256",)
    near.start_client(timeout=20)
    try:
        yield near
    finally:
        near.close()
        far.close()


def log_in(
    server: Scripted, operator: Any, login: LoginOptions | None = None
) -> tuple[Login, Callable[[], None]]:
    with served(server) as near:
        it = Login("host t", "me", login or offering(), operator)
        it.run(near)
        assert near.is_authenticated()
        return it, near.close


def test_password_then_duo_then_a_round_without_prompts() -> None:
    operator = Operator(answers=[PASSWORD, DUO])
    it, _ = log_in(Scripted(["keyboard-interactive"], CHAIN), operator)
    assert it.human and [echo for _, echo in operator.prompts] == [False, True]


def test_a_key_then_duo(tmp_path: Path) -> None:
    key = new_key(tmp_path / "k")
    server = Scripted(["publickey", "keyboard-interactive"], CHAIN[1:])
    it, _ = log_in(server, Operator(answers=[DUO]), offering(key))
    assert it.tried == [str(key), "keyboard-interactive"] and server.attempts[0] == DUO


def test_a_key_then_a_password(tmp_path: Path) -> None:
    server = Scripted(["publickey", "password"], [])
    log_in(server, Operator(secrets=[PASSWORD]), offering(new_key(tmp_path / "k")))
    assert server.methods == []


def test_a_wrong_second_factor_ends_it_at_once() -> None:
    """Several of them in a row lock an account."""
    server = Scripted(["keyboard-interactive"], CHAIN)
    operator = Operator(answers=[PASSWORD, "000000", PASSWORD, DUO])
    error = refused(lambda: log_in(server, operator))
    assert isinstance(error, AuthenticationFailed) and "second factor" in error.what
    assert "passcode" in error.try_next and "lock" in error.try_next
    assert server.attempts == [PASSWORD, "000000"] and len(operator.answers) == 2


def test_a_wrong_password_in_a_prompt_is_asked_for_again_not_sent_again() -> None:
    server = Scripted(["keyboard-interactive"], CHAIN)
    operator = Operator(answers=["wrong", PASSWORD, DUO])
    log_in(server, operator)
    assert server.attempts[:3] == ["wrong", PASSWORD, DUO]
    server = Scripted(["keyboard-interactive"], CHAIN)
    operator = Operator(answers=["a", "b", "c", PASSWORD])
    error = refused(lambda: log_in(server, operator))
    assert isinstance(error, AuthenticationFailed) and "3 times" in error.why
    assert server.attempts == ["a", "b", "c"]


def test_a_password_is_asked_for_at_most_three_times() -> None:
    server = Scripted(["password"], [])
    log_in(server, Operator(secrets=["wrong", PASSWORD]))
    server = Scripted(["password"], [])
    operator = Operator(secrets=["a", "b", "c", PASSWORD])
    error = refused(lambda: log_in(server, operator))
    assert isinstance(error, AuthenticationFailed) and server.attempts == ["a", "b", "c"]
    assert "not accepted" in operator.titles[1] and "lock" in error.try_next


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_nobody_there_means_nothing_is_even_begun(method: str) -> None:
    """Beginning it may already send a push to somebody's phone."""
    server = Scripted([method], CHAIN)
    begun: list[int] = []
    server.check_auth_interactive = lambda *_: begun.append(1) or AUTH_FAILED  # type: ignore[method-assign]
    error = refused(lambda: log_in(server, NoPrompter()))
    assert isinstance(error, AuthenticationFailed) and "nobody is there" in error.what
    assert server.attempts == [] and begun == []
    assert isinstance(refused(lambda: log_in(Scripted([method], CHAIN), Operator())), Cancelled)


def test_the_order_and_choice_of_methods_is_the_configurations() -> None:
    server = Scripted(["keyboard-interactive"], CHAIN)
    server.get_allowed_auths = lambda username: "password,keyboard-interactive"  # type: ignore[method-assign]
    server.methods = ["password"]
    only = LoginOptions(agent="none", methods=("password",))
    it, _ = log_in(server, Operator(secrets=[PASSWORD]), only)
    assert it.tried == ["password"]


def test_a_server_that_hangs_up_while_we_are_asked() -> None:
    """The connection is read on while a person thinks, so the end of it is noticed."""
    server = Scripted(["keyboard-interactive"], CHAIN)
    with served(server) as near:

        class Slow(Operator):
            def answer(self, *_: Any) -> list[str] | None:
                near.sock.close()
                near.join(20)
                return [PASSWORD]

        it = Login("host t", "me", offering(), Slow())
        error = refused(lambda: it.run(near))
    assert isinstance(error, HostUnreachable) and "connect again" in error.try_next


def test_a_server_that_hangs_up_before_the_login() -> None:
    """paramiko's own ServiceRequestingTransport would wait for it for ever."""
    with served(Scripted(["password"], [])) as near:
        near.close()
        with pytest.raises(HungUp):
            UserAuth(near, "me").none()


def test_hostile_prompts_are_cleaned() -> None:
    rounds = [("\x1b]52;c;AAAA\x07 hi", [("\x1b[2JPass\u202e:", False)], [PASSWORD])]
    operator = Operator(answers=[PASSWORD])
    log_in(Scripted(["keyboard-interactive"], rounds), operator)
    assert "\x1b" not in operator.prompts[0][0] and "\u202e" not in operator.prompts[0][0]


def test_duo_on_the_sandbox(tmp_path: Path) -> None:
    from remote.route import Route

    with Sandbox(tmp_path / "box", second_factor=True) as box:
        wrong = Operator(answers=[box.password, "no", box.password, PASSCODE])
        error = refused(Route(box.host, wrong).open)
        assert isinstance(error, AuthenticationFailed) and "second factor" in error.what
        assert error.what.startswith("jump host") and len(wrong.answers) == 2


# -- paramiko's inside ----------------------------------------------------------------------


def test_the_login_service_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some servers end the connection at the second request."""
    asked: list[int] = []
    original = AuthHandler._parse_service_request

    def counted(self: Any, m: Any) -> Any:
        asked.append(1)
        return original(self, m)

    monkeypatch.setattr(AuthHandler, "_parse_service_request", counted)
    log_in(Scripted(["password"], []), Operator(secrets=["a", "b", PASSWORD]))
    assert asked == [1]


def test_what_remote_userauth_uses_of_paramiko_is_there() -> None:
    near, far = socket.socketpair()
    transport = paramiko.Transport(near)
    handler = AuthOnlyHandler(transport)
    assert MSG_SERVICE_ACCEPT not in handler._client_handler_table
    assert handler._client_handler_table[MSG_USERAUTH_INFO_REQUEST]
    assert handler._handler_table == handler._client_handler_table
    for name in ("_parse_userauth_success", "_parse_userauth_failure", "abort"):
        assert callable(getattr(handler, name))
    assert list(inspect.signature(transport._send_message).parameters) == ["data"]
    for name in ("auth_handler", "session_id", "server_extensions", "get_exception"):
        assert hasattr(transport, name)
    transport.close()
    near.close()
    far.close()


def test_what_remote_leg_uses_of_paramiko_is_there() -> None:
    """preferred_keys decides what is asked of the server: certificates before bare keys if we say so."""
    assert isinstance(inspect.getattr_static(paramiko.Transport, "preferred_keys"), property)
    assert "preferred_keys" in inspect.getsource(paramiko.Transport._send_kex_init)
    assert "preferred_keys" in inspect.getsource(paramiko.Transport._parse_kex_init)
