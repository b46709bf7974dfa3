"""Logging in with keys, agents and certificates, on real OpenSSH servers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import AuthenticationFailed, HostUnreachable, SessionsFull
from remote.hops import LoginOptions
from remote.hosts import Host
from remote.route import Route
from remote.spots import spots
from tests.openssh import Hop
from tests.remote.conftest import refused
from tests.remote.local import until
from tests.remote.servers import (
    chain,
    host_of,
    keygen,
    new_key,
    offering,
    server,
    sign_user_key,
    ssh_agent,
)
from tests.remote.test_route import Operator


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Hop]]:
    """One sshd that trusts a user authority and three keys."""
    root = tmp_path_factory.mktemp("login")
    ca = new_key(root / "ca")
    keys = [
        new_key(root / "id_ed25519"),
        new_key(root / "rsa", "rsa"),
        new_key(root / "ecdsa", "ecdsa"),
        new_key(root / "locked", passphrase="open sesame"),
    ]
    new_key(root / "locked_stranger", passphrase="nobody knows")
    pem = root / "old_form"
    keygen("-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "old and locked", "-f", pem)
    accepted = "".join(k.with_name(k.name + ".pub").read_text() for k in [*keys, pem])
    (root / "accepted").write_text(accepted)
    hop = server(
        root,
        extra=f"TrustedUserCAKeys {ca}.pub\nAuthorizedKeysFile {root}/accepted\nMaxAuthTries 20\n",
    )
    yield root, hop
    hop.stop()


@pytest.fixture
def host(room: tuple[Path, Hop], tmp_path: Path) -> Host:
    root, hop = room
    return host_of([hop], root, identity_file=None, workdir=str(tmp_path))


def logged_in(host: Host, login: LoginOptions, operator: Operator | None = None) -> None:
    with Route(replace(host, login=login), operator or Operator()) as route:
        assert route.run(["echo", "in"], timeout=20).text == "in\n"


@pytest.mark.parametrize("name", ["id_ed25519", "rsa", "ecdsa"])
def test_each_kind_of_key(host: Host, room: tuple[Path, Hop], name: str) -> None:
    logged_in(host, offering(room[0] / name))


def test_keys_that_are_no_good_are_passed_over(
    host: Host, room: tuple[Path, Hop], tmp_path: Path
) -> None:
    (tmp_path / "junk").write_text("no key at all")
    new_key(tmp_path / "stranger")
    logged_in(
        host,
        offering(tmp_path / "none", tmp_path / "junk", tmp_path / "stranger", room[0] / "rsa"),
    )
    error = refused(Route(replace(host, login=offering(tmp_path / "junk", tmp_path / "none"))).open)
    assert isinstance(error, AuthenticationFailed) and "junk cannot be read" in error.why


# -- passphrases ----------------------------------------------------------------------------


def test_a_passphrase_is_asked_for_once_and_the_key_kept(
    host: Host, room: tuple[Path, Hop]
) -> None:
    operator = Operator(secrets=["wrong", "open sesame"])
    route = Route(replace(host, login=offering(room[0] / "locked")), operator)
    route.open()
    assert len(operator.titles) == 2 and "wrong" in operator.titles[1]
    assert not route.needs_human
    room[1].signal_connections(9)  # type: ignore[arg-type]
    until(lambda: route.status().state == "lost")
    route.ensure()  # without asking anyone
    route.reopen()
    assert route.alive and len(operator.titles) == 2
    route.close()
    assert refused(route.open).exit_code == 130  # forgotten with the route: asked again
    assert len(operator.titles) == 3


def test_a_wrong_passphrase_three_times(host: Host, room: tuple[Path, Hop]) -> None:
    operator = Operator(secrets=["a", "b", "", "open sesame"])
    error = refused(Route(replace(host, login=offering(room[0] / "locked")), operator).open)
    assert isinstance(error, AuthenticationFailed) and "3 times" in error.what
    assert operator.secrets == ["open sesame"]


def test_a_key_the_server_would_refuse_is_not_asked_for(host: Host, room: tuple[Path, Hop]) -> None:
    operator = Operator()
    logged_in(host, offering(room[0] / "locked_stranger", room[0] / "rsa"), operator)
    assert operator.titles == []


def test_without_anybody_a_locked_key_is_passed_over(host: Host, room: tuple[Path, Hop]) -> None:
    with Route(replace(host, login=offering(room[0] / "locked", room[0] / "rsa"))) as route:
        assert route.alive
    error = refused(Route(replace(host, login=offering(room[0] / "locked"))).open)
    assert isinstance(error, AuthenticationFailed) and "passphrase" in error.why


def test_an_old_encrypted_form_without_its_public_half(
    host: Host, room: tuple[Path, Hop], tmp_path: Path
) -> None:
    shutil.copy(room[0] / "old_form", tmp_path / "k")
    operator = Operator(secrets=["old and locked"])
    logged_in(host, offering(tmp_path / "k"), operator)
    assert len(operator.titles) == 1


# -- the agent ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["id_ed25519", "rsa", "ecdsa"])
def test_agent_keys(
    host: Host, room: tuple[Path, Hop], tmp_path: Path, monkeypatch: Any, name: str
) -> None:
    with ssh_agent(tmp_path / "a", new_key(tmp_path / "stranger"), room[0] / name) as where:
        logged_in(host, LoginOptions(agent=where))  # IdentityAgent
        monkeypatch.setenv("SSH_AUTH_SOCK", where)
        logged_in(host, LoginOptions())
        with Route(replace(host, login=LoginOptions())) as route:
            assert not route.needs_human
    assert isinstance(
        refused(Route(replace(host, login=LoginOptions())).open), AuthenticationFailed
    )


def test_identities_only_offers_no_other_key_of_the_agent(
    host: Host, room: tuple[Path, Hop], tmp_path: Path
) -> None:
    stranger = new_key(tmp_path / "stranger")
    with ssh_agent(tmp_path / "a", room[0] / "rsa", stranger) as where:
        only = LoginOptions((stranger,), agent=where, identities_only=True)
        error = refused(Route(replace(host, login=only)).open)
        assert isinstance(error, AuthenticationFailed) and "from the agent" in error.why
        # a public half alone chooses the agent's key
        shutil.copy(room[0] / "rsa.pub", tmp_path / "chosen.pub")
        logged_in(host, replace(only, identity_files=(tmp_path / "chosen.pub",)))


def test_a_key_of_the_agent_needs_no_passphrase(
    host: Host, room: tuple[Path, Hop], tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copy(room[0] / "locked", bare)
    keygen("-p", "-P", "open sesame", "-N", "", "-f", bare)
    with ssh_agent(tmp_path / "a", bare) as where:
        operator = Operator()
        logged_in(host, LoginOptions((room[0] / "locked",), agent=where), operator)
        assert operator.titles == []


def test_an_agent_that_does_not_speak_agent(
    host: Host, room: tuple[Path, Hop], tmp_path: Path
) -> None:
    import socket
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as c:
                c.recv(100)
                c.sendall(b"\xff\xff\xff\xffgarbage")

        threading.Thread(target=serve, daemon=True).start()
        logged_in(host, LoginOptions((room[0] / "rsa",), agent=str(tmp_path / "s")))


# -- certificates ---------------------------------------------------------------------------


@pytest.fixture
def certified(room: tuple[Path, Hop], tmp_path: Path) -> Any:
    """A key that only its certificate makes good."""

    def make(kind: str = "ed25519", **how: str) -> Path:
        key = new_key(tmp_path / f"cert_{kind}", kind)
        sign_user_key(room[0] / "ca", key, **how)
        return key

    return make


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_certificate_beside_its_key(host: Host, certified: Any, kind: str) -> None:
    logged_in(host, offering(certified(kind)))


def test_a_certificate_elsewhere(host: Host, certified: Any, tmp_path: Path) -> None:
    key = certified()
    moved = tmp_path / "moved.pub"
    (tmp_path / f"{key.name}-cert.pub").rename(moved)
    assert isinstance(refused(Route(replace(host, login=offering(key))).open), AuthenticationFailed)
    logged_in(host, offering(key, certificate_files=(moved,)))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_certificates_and_the_agent(host: Host, certified: Any, tmp_path: Path, kind: str) -> None:
    key = certified(kind)
    with ssh_agent(tmp_path / "a", key) as where:  # ssh-add takes the certificate too
        logged_in(host, LoginOptions(agent=where))
        logged_in(host, LoginOptions((key,), agent=where, identities_only=True))
    cert = tmp_path / f"{key.name}-cert.pub"
    cert.rename(tmp_path / "c.pub")
    with ssh_agent(tmp_path / "b", key) as where:  # the key in the agent, the certificate in a file
        key.unlink()
        logged_in(host, LoginOptions(agent=where, certificate_files=(tmp_path / "c.pub",)))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"validity": "20200101:20200201"}, "expired on 2020-"),
        ({"validity": "20900101:20900201"}, "not valid before 20"),
        ({"principal": "somebody-else"}, "is for somebody-else"),
    ],
)
def test_a_certificate_that_is_no_good_is_named(
    host: Host, certified: Any, how: dict[str, str], says: str
) -> None:
    key = certified(**how)
    error = refused(Route(replace(host, login=offering(key))).open)
    assert isinstance(error, AuthenticationFailed) and says in str(error)
    assert f"{key}-cert.pub" in str(error)
    if "validity" in how:
        assert says in error.what and "valid from" in error.what and "certificate" in error.try_next


def test_an_expired_certificate_does_not_stand_before_a_good_key(
    host: Host, room: tuple[Path, Hop], certified: Any
) -> None:
    logged_in(host, offering(certified(validity="20200101:20200201"), room[0] / "rsa"))


def test_a_damaged_certificate_is_named(host: Host, certified: Any, tmp_path: Path) -> None:
    key = certified()
    (tmp_path / f"{key.name}-cert.pub").write_text("ssh-ed25519-cert-v01@openssh.com AAAA x\n")
    error = refused(Route(replace(host, login=offering(key))).open)
    assert "cannot be read" in error.why and "cert.pub" in error.why


def test_revoked_keys_of_the_server_side(room: tuple[Path, Hop], tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    key = new_key(root / "id_ed25519")
    shutil.copy(f"{key}.pub", root / "revoked")
    hop = server(root, extra=f"RevokedKeys {root}/revoked\n")
    try:
        error = refused(Route(host_of([hop], root)).open)
        assert isinstance(error, AuthenticationFailed) and str(key) in error.why
    finally:
        hop.stop()


# -- more than one factor, too many keys ----------------------------------------------------


def test_two_keys_one_after_the_other(tmp_path: Path) -> None:
    a, b = new_key(tmp_path / "id_ed25519"), new_key(tmp_path / "b")
    (tmp_path / "both").write_text(Path(f"{a}.pub").read_text() + Path(f"{b}.pub").read_text())
    hop = server(
        tmp_path,
        extra=f"AuthorizedKeysFile {tmp_path}/both\nAuthenticationMethods publickey,publickey\n",
    )
    try:
        host = host_of([hop], tmp_path, identity_file=None)
        logged_in(host, offering(a, b))
        error = refused(Route(replace(host, login=offering(a))).open)
        assert isinstance(error, AuthenticationFailed) and "accepts publickey" in error.why
    finally:
        hop.stop()


def test_too_many_keys_are_named_as_the_cause(tmp_path: Path) -> None:
    hop = server(tmp_path, extra="MaxAuthTries 2\n")
    try:
        strangers = [new_key(tmp_path / f"s{n}") for n in range(4)]
        error = refused(
            Route(host_of([hop], tmp_path, login=offering(*strangers), identity_file=None)).open
        )
        assert isinstance(error, HostUnreachable) and "IdentitiesOnly" in error.try_next
    finally:
        hop.stop()


# -- several hops, few sessions -------------------------------------------------------------


def test_three_hops(tmp_path: Path) -> None:
    with chain(tmp_path, ["one", "two", "three"]) as hops:
        host = host_of(hops, tmp_path)
        with Route(host) as route:
            assert route.run(["echo", "far"], timeout=20).text == "far\n"
            assert [h.name for h in route.status().hops] == [
                "jump host one.test", "jump host two.test", "host t"
            ]  # fmt: skip
            until(lambda: all(h.rtt_ms is not None for h in route.status().hops))
            assert route.helper().call("ping")
            hops[1].signal_connections(9)  # type: ignore[arg-type]
            until(lambda: route.status().state == "lost")
            route.ensure()
            assert route.helper().call("ping")
        hops[1].stop()
        error = refused(Route(host).open)
        assert isinstance(error, HostUnreachable)
        assert "jump host one.test is up, but jump host two.test" in error.what


def test_an_alias_of_the_ssh_configuration_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remote.hosts import alias_host

    with chain(tmp_path, ["one", "two", "three"]) as hops:
        text = f"Host *\n  UserKnownHostsFile {tmp_path}/known_hosts\n"
        text += f"  IdentityFile {tmp_path}/id_ed25519\n  IdentitiesOnly yes\n"
        for hop in hops:
            text += f"Host {hop.name}\n  HostName 127.0.0.1\n  Port {hop.port}\n"
            text += f"  HostKeyAlias {hop.alias}\n"
        (tmp_path / "cfg").write_text(text + "Host gpu\n  ProxyJump one,two\nMatch originalhost gpu\n"
            f"  HostName 127.0.0.1\n  Port {hops[2].port}\n  HostKeyAlias {hops[2].alias}\n")  # fmt: skip
        monkeypatch.setenv("QA_SSH_CONFIG", str(tmp_path / "cfg"))
        host = alias_host("gpu")
        assert len(spots(host)) == 3
        with Route(host) as route:
            assert route.run(["echo", "there"], timeout=20).text == "there\n"


def test_no_further_session_is_said_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from remote import route as module

    hop = server(tmp_path, extra="MaxSessions 1\n")
    try:
        with Route(host_of([hop], tmp_path)) as route:
            assert route.helper().call("ping")
            monkeypatch.setattr(module, "SESSIONS_WAIT_S", 0.2)
            error = refused(lambda: route.run(["true"], timeout=10))
            assert isinstance(error, SessionsFull) and "MaxSessions" in error.why
            assert route.alive and route.helper().call("ping")  # what is open goes on
            assert isinstance(refused(route.sftp), SessionsFull)
            monkeypatch.setattr(module, "SESSIONS_WAIT_S", 20)
            codes: list[int] = []
            waiting = threading.Thread(
                target=lambda: codes.append(route.run(["true"], timeout=20).code)
            )
            waiting.start()
            route.helper().close()
            waiting.join(30)
            assert codes == [0]
    finally:
        hop.stop()


def test_nothing_typed_is_left_anywhere(
    host: Host, room: tuple[Path, Hop], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in errors, logs, the state folder, nor in what the process shows of itself."""
    import logging
    import traceback

    logger = logging.getLogger("paramiko")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = True
    secret = "correct horse battery"
    try:
        with caplog.at_level(logging.DEBUG):
            operator = Operator(secrets=[secret, secret, secret])
            route = Route(replace(host, login=offering(room[0] / "locked")), operator)
            with pytest.raises(AuthenticationFailed) as e:
                route.open()
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
    assert operator.secrets == [] and caplog.records
    shown = [*(str(r.__dict__) for r in caplog.records), repr(route.__dict__), str(e.value)]
    shown += [repr(e.value.__dict__), "".join(traceback.format_exception(e.value))]
    state = Path(os.environ["QA_STATE"])
    shown += [p.read_bytes().decode("latin-1") for p in state.rglob("*") if p.is_file()]
    assert not any(secret in text for text in shown)
