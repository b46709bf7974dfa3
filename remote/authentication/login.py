"""One login on one hop: the ways of logging in in OpenSSH's order, and what is said if none is accepted.

Nothing that was typed is kept: passphrases and passwords live as long as the request that carries them,
decrypted keys in the route's key ring, in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from core.errors import AuthenticationFailed, Cancelled, HostUnreachable, QAError
from remote.auth import NoPrompter, Prompter
from remote.authentication.keys import KeyRing, Keys, Locked, Offer
from remote.authentication.ssh_agent import CERT, AgentError
from remote.authentication.userauth import HungUp, Prompts, Reply, UserAuth
from remote.helper_client import plain
from remote.hops import LoginOptions

ASKS = 3  # for one secret
FACTORS = 6


@dataclass
class Login:
    """hop: as the operator is told ("jump host j1.example").

    required: the identity files must be there.  human: a person had to do something that they would
    have to do again: typing a password, answering a prompt; not a passphrase, whose key is kept.
    """

    hop: str
    user: str
    options: LoginOptions
    prompter: Prompter
    ring: KeyRing = field(default_factory=KeyRing)
    required: bool = False
    tried: list[str] = field(default_factory=list)
    human: bool = False
    _faults: list[str] = field(default_factory=list)
    _offers: Iterator[Offer] | None = None

    def run(self, transport: paramiko.Transport) -> None:
        """Raises AuthenticationFailed, Cancelled, HostUnreachable (closed meanwhile)."""
        try:
            auth = UserAuth(transport, self.user)
            reply = auth.none()
            for _ in range(FACTORS):
                if reply.passed and not reply.left:
                    return
                reply = self._one_factor(auth, reply.left)
        except HungUp as e:
            raise HostUnreachable(
                f"{self.hop} closed the connection during the login",
                why=plain(e),
                try_next="it may not wait that long for an answer: connect again"
                if self.human
                else "too many keys may have been offered: set identity_file in hosts.yaml, or "
                "IdentitiesOnly in the ssh configuration",
            ) from e
        finally:
            if self._offers is not None:
                self._offers.close()  # type: ignore[attr-defined]
        raise self._failed(reply.left)

    def _one_factor(self, auth: UserAuth, left: Sequence[str]) -> Reply:
        """The server's reply to one more factor that passed. Raises AuthenticationFailed."""
        ways: dict[str, Callable[[UserAuth], Reply | None]] = {
            "publickey": self._public_key,
            "keyboard-interactive": self._interactive,
            "password": self._password,
        }
        for method in self.options.methods:
            if method in left:
                reply = ways[method](auth)
                if reply is not None:
                    return reply
        raise self._failed(left)

    # Each way gives the reply to what passed, or None if nothing did.

    def _public_key(self, auth: UserAuth) -> Reply | None:
        keys = Keys(self.options, self.ring, self._unlock, self.required, self._faults)
        if self._offers is None:  # a second factor by key must be another key
            self._offers = keys.offers(self.user)
        for offer in self._offers:
            self.tried.append(offer.label)
            algorithm = _algorithm(offer.type, auth)
            try:
                if offer.ask_first and not auth.would_accept(algorithm, offer.blob):
                    continue
                reply = auth.publickey(algorithm, offer.blob, offer.sign)
            except Locked:
                self._faults.append(f"{offer.label} needs its passphrase")
                continue
            except AgentError as e:
                self._faults.append(f"{offer.label}: {e}")
                continue
            if reply.passed:
                return reply
        return None

    def _interactive(self, auth: UserAuth) -> Reply | None:
        """Nothing is sent twice: a wrong answer is asked for again, and not at all once several rounds
        were answered: wrong second factors lock accounts.
        """
        asked_for = "a password or second factor is asked for"
        if isinstance(self.prompter, NoPrompter):  # it could send a push to somebody's phone
            raise self._declined(asked_for)
        rounds = 0

        def answer(title: str, instructions: str, prompts: Prompts) -> Sequence[str]:
            nonlocal rounds
            if not prompts:
                return []
            rounds += 1
            asked = [(plain(text), bool(echo)) for text, echo in prompts]
            note = "That was not accepted. " if attempt and rounds == 1 else ""
            answers = self.prompter.answer(
                f"{self.hop}: {plain(title)}".rstrip(": "),
                f"{note}{plain(instructions, 2000)}".strip(),
                asked,
            )
            if answers is None:
                raise self._declined(asked_for)
            return answers

        self.tried.append("keyboard-interactive")
        for attempt in range(ASKS):  # noqa: B007 - read by answer
            rounds = 0
            self.human = True
            reply = auth.interactive(answer)
            if reply.passed:
                return reply
            if rounds == 0:
                return None
            if rounds > 1:
                raise AuthenticationFailed(
                    f"{self.hop} did not accept the second factor of {self.user}",
                    why="the answers to its prompts were refused",
                    try_next="connect again with a new passcode, or confirm the push on your phone. "
                    "Repeated wrong answers may lock the account: ask its administrators then",
                )
            if "keyboard-interactive" not in reply.left:
                break
        raise AuthenticationFailed(
            f"{self.hop} did not accept the answers of {self.user}",
            why=f"refused {attempt + 1} times",
            try_next="check user name and password; wait before you try again, lest the account be locked",
        )

    def _password(self, auth: UserAuth) -> Reply | None:
        if isinstance(self.prompter, NoPrompter):
            raise self._declined("a password is asked for")
        self.tried.append("password")
        for attempt in range(ASKS):
            self.human = True
            title = f"{self.hop}: login of {self.user}" + (" (not accepted)" if attempt else "")
            secret = self.prompter.secret(title, "Password")
            if secret is None:
                raise self._declined("a password is asked for")
            reply = auth.password(secret)
            if reply.passed:
                return reply
            if "password" not in reply.left:
                break
        raise AuthenticationFailed(
            f"{self.hop} did not accept the password of {self.user}",
            why=f"refused {attempt + 1} times",
            try_next="check user name and password; wait before you try again, lest the account be locked",
        )

    def _unlock(self, path: Path, load: Callable[[str], Any]) -> Any:
        """Ask for the passphrase of a key. Raises Locked if nobody is there."""
        if isinstance(self.prompter, NoPrompter):
            raise Locked(str(path))
        for attempt in range(ASKS):
            title = f"{self.hop}: private key {path}" + (" (wrong passphrase)" if attempt else "")
            secret = self.prompter.secret(title, "Passphrase")
            if secret is None:
                raise self._declined(f"the passphrase of {path} is asked for")
            with contextlib.suppress(ValueError, TypeError, paramiko.SSHException):
                return load(secret)
        raise AuthenticationFailed(
            f"the passphrase of {path} was wrong {ASKS} times",
            try_next="try again, or put the key into an ssh-agent",
        )

    # -- how it ends ------------------------------------------------------------------------

    def _declined(self, what: str) -> QAError:
        if isinstance(self.prompter, NoPrompter):
            return AuthenticationFailed(
                f"{self.hop}: {what}, and nobody is there to answer",
                why="; ".join(self._faults),
                try_next="log in from a terminal (qa app --host NAME asks before it opens), or use a key "
                "in an ssh-agent",
            )
        return Cancelled(f"login on {self.hop} given up", why=what)

    def _failed(self, left: Sequence[str]) -> AuthenticationFailed:
        tried = ", ".join(self.tried) or "nothing that it accepts"
        accepts = f"; it accepts {', '.join(plain(m, 40) for m in left)}" if left else ""
        out_of_time = [f for f in self._faults if " expired on " in f or " not valid before " in f]
        if out_of_time:
            return AuthenticationFailed(
                f"{self.hop} refused the login of {self.user}: {out_of_time[0]}",
                why=f"tried: {tried}{accepts}",
                try_next="get a new certificate from your site's authority, then connect again",
            )
        faults = f" ({'; '.join(self._faults)})" if self._faults else ""
        return AuthenticationFailed(
            f"{self.hop} refused the login of {self.user}",
            why=f"tried: {tried}{accepts}{faults}",
            try_next="check user and identity_file in hosts.yaml, and that the public key is "
            "in ~/.ssh/authorized_keys there",
        )


def _algorithm(key_type: str, auth: UserAuth) -> str:
    """An RSA key names the hash it signs with."""
    if key_type == "ssh-rsa":
        return auth.rsa_algorithm
    return auth.rsa_algorithm + CERT if key_type == "ssh-rsa" + CERT else key_type
