"""One login on one hop: the order in which ways of logging in are tried, and what is said if none is
accepted. Secrets are held no longer than the login takes.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from core.errors import AuthenticationFailed, Cancelled, HostUnreachable
from remote.auth import NoPrompter, Prompter
from remote.helper_client import plain

ASKS = 3
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


class _UserAuth(paramiko.auth_handler.AuthHandler):
    """Asks for the login service once a connection.

    The stock handler asks before each attempt, which some servers end the connection for.
    """

    service_open = False

    def _request_auth(self) -> None:
        if not self.service_open:
            super()._request_auth()  # type: ignore[misc]
            return
        accepted = paramiko.Message()
        accepted.add_string("ssh-userauth")
        accepted.rewind()
        self._parse_service_accept(accepted)  # type: ignore[attr-defined]


@dataclass
class Login:
    """One login on one hop: what was tried, and whether a human was needed."""

    hop: str  # as the operator is told: "jump host j1.example"
    user: str
    identity_file: Path | None
    prompter: Prompter
    tried: list[str] = field(default_factory=list)
    human: bool = False
    _service_open: bool = False

    def run(self, transport: paramiko.Transport) -> None:
        """Raises AuthenticationFailed, Cancelled, HostUnreachable (closed meanwhile)."""
        try:
            allowed = self._ask_methods(transport)
            for _ in range(6):  # each round passes one factor
                if not allowed and transport.is_authenticated():
                    return
                allowed = self._one_factor(transport, allowed)
        except paramiko.AuthenticationException as e:
            raise self._failed([], str(e)) from e
        except (paramiko.SSHException, EOFError, OSError) as e:
            raise HostUnreachable(
                f"{self.hop} closed the connection during the login",
                why=str(e),
                try_next="too many keys may have been offered: set identity_file in hosts.yaml",
            ) from e
        raise self._failed(allowed, "")

    def _ask_methods(self, transport: paramiko.Transport) -> list[str]:
        try:
            self._attempt(transport, "none")
        except paramiko.BadAuthenticationType as e:
            return list(e.allowed_types)
        return []

    def _one_factor(self, transport: paramiko.Transport, allowed: list[str]) -> list[str]:
        """The factors still wanted after one more has passed. Raises AuthenticationFailed."""
        ways = {
            "publickey": self._public_key,
            "keyboard-interactive": self._interactive,
            "password": self._password,
        }
        for method, way in ways.items():
            if method in allowed:
                try:
                    left = way(transport)
                except paramiko.BadAuthenticationType:
                    continue
                if left is not None:
                    return left
        raise self._failed(allowed, "")

    def _attempt(self, transport: paramiko.Transport, method: str, *proof: Any) -> list[str]:
        """One request and its answer: the factors still wanted. Raises as paramiko does."""
        handler: Any = _UserAuth(transport)
        handler.service_open = self._service_open
        self._service_open = True
        transport.auth_handler = handler
        event = threading.Event()
        getattr(handler, f"auth_{method}")(self.user, *proof, event)
        try:
            return list(handler.wait_for_response(event))
        except paramiko.BadAuthenticationType:
            raise
        except paramiko.AuthenticationException as e:
            if not transport.is_active():
                raise paramiko.SSHException(str(e)) from e
            raise

    # Each way gives the list of factors still wanted ([]: logged in), or None if it did not pass.

    def _public_key(self, transport: paramiko.Transport) -> list[str] | None:
        for label, key in self._keys():
            self.tried.append(label)
            try:
                return self._attempt(transport, "publickey", key)
            except paramiko.BadAuthenticationType:
                raise
            except paramiko.AuthenticationException:
                continue
        return None

    def _interactive(self, transport: paramiko.Transport) -> list[str] | None:
        def handler(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            if not prompts:
                return []
            self.human = True
            asked = [(plain(text), bool(echo)) for text, echo in prompts]
            answers = self.prompter.answer(
                f"{self.hop}: {plain(title)}".rstrip(": "), plain(instructions, 2000), asked
            )
            if answers is None:
                raise self._declined("a second factor or password was asked for")
            return answers

        self.tried.append("keyboard-interactive")
        try:
            return self._attempt(transport, "interactive", handler)
        except paramiko.BadAuthenticationType:
            raise
        except paramiko.AuthenticationException:
            return None

    def _password(self, transport: paramiko.Transport) -> list[str] | None:
        self.tried.append("password")
        for _ in range(ASKS):
            self.human = True
            secret = self.prompter.secret(f"{self.hop}: login of {self.user}", "Password")
            if secret is None:
                raise self._declined("a password was asked for")
            try:
                return self._attempt(transport, "password", secret)
            except paramiko.BadAuthenticationType:
                raise
            except paramiko.AuthenticationException:
                continue
        return None

    # -- keys -------------------------------------------------------------------------------

    def _keys(self) -> Iterator[tuple[str, Any]]:
        """(label, key): only the named file if there is one, else the agent's and the usual files."""
        agent = _agent_keys()
        if self.identity_file is not None:
            public = _public_blob(self.identity_file)
            for key in agent:
                if public is not None and key.asbytes() == public:
                    yield f"{self.identity_file} (from the agent)", key
                    return
            yield str(self.identity_file), self._load(self.identity_file)
            return
        for n, key in enumerate(agent, 1):
            yield f"agent key {n}", key
        for name in DEFAULT_KEYS:
            path = Path.home() / ".ssh" / name
            if path.exists():
                yield str(path), self._load(path)

    def _load(self, path: Path) -> paramiko.PKey:
        if not path.exists():
            raise AuthenticationFailed(
                f"no private key at {path}", try_next="set identity_file of this host in hosts.yaml"
            )
        try:
            return paramiko.PKey.from_path(path)
        except (paramiko.PasswordRequiredException, TypeError):
            pass  # TypeError is how a missing passphrase shows for the newer key form
        except (ValueError, OSError, paramiko.SSHException) as e:
            raise AuthenticationFailed(
                f"the private key {path} cannot be read", why=str(e), try_next="check the file"
            ) from e
        for _ in range(ASKS):
            self.human = True
            secret = self.prompter.secret(f"{self.hop}: private key {path}", "Passphrase")
            if secret is None:
                raise self._declined(f"the passphrase of {path} was asked for")
            try:
                return paramiko.PKey.from_path(path, secret.encode())  # type: ignore[arg-type]
            except (ValueError, TypeError, paramiko.SSHException):
                continue  # ValueError is how a wrong passphrase shows
        raise AuthenticationFailed(
            f"the passphrase of {path} was wrong {ASKS} times",
            try_next="try again, or put the key into an ssh-agent",
        )

    # -- how it ends ------------------------------------------------------------------------

    def _declined(self, what: str) -> Exception:
        if isinstance(self.prompter, NoPrompter):
            return AuthenticationFailed(
                f"{self.hop}: {what}, and nobody is there to answer",
                try_next="log in from a terminal (qa app --host NAME asks before it opens), or use a key "
                "in an ssh-agent",
            )
        return Cancelled(f"login on {self.hop} given up", why=what)

    def _failed(self, allowed: list[str], why: str) -> AuthenticationFailed:
        tried = ", ".join(self.tried) or "nothing that it accepts"
        accepts = f"; it accepts {', '.join(allowed)}" if allowed else ""
        return AuthenticationFailed(
            f"{self.hop} refused the login of {self.user}",
            why=f"tried: {tried}{accepts}" + (f" ({why})" if why else ""),
            try_next="check user and identity_file in hosts.yaml, and that the public key is "
            "in ~/.ssh/authorized_keys there",
        )


def _agent_keys() -> list[Any]:
    if not os.environ.get("SSH_AUTH_SOCK"):
        return []
    try:
        return list(paramiko.Agent().get_keys())
    except (paramiko.SSHException, OSError):
        return []


def _public_blob(path: Path) -> bytes | None:
    try:
        return base64.b64decode(path.with_name(path.name + ".pub").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
