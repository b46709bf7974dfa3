"""Host keys: filed under their aliases, kept over restarts, changed only on demand."""

from __future__ import annotations

from pathlib import Path

import pytest

from remote.sandbox import Sandbox
from tests.openssh import OpenSSHPair
from tests.sandbox.wire import connect, identity, known, through, to_jump

Made = Sandbox | OpenSSHPair


def shown(made: Made) -> tuple[str, str]:
    """The base64 keys that the jump host and the GPU host show."""
    host = made.host
    assert host.jump
    jump = to_jump(host)
    try:
        jump.auth_publickey(host.jump.user, identity(host))
        target = through(jump, host.address, host.port)
        return (
            jump.get_remote_server_key().get_base64(),
            target.get_remote_server_key().get_base64(),
        )
    finally:
        jump.close()


def filed(made: Made) -> tuple[str, str]:
    host = made.host
    assert host.jump
    return known(host, host.jump.host_key_alias), known(host, host.host_key_alias)


@pytest.fixture(params=["sandbox", pytest.param("openssh", marks=pytest.mark.openssh)])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    made: Made = Sandbox(tmp_path) if request.param == "sandbox" else OpenSSHPair(tmp_path)
    made.start()
    request.addfinalizer(made.stop)
    return made


def test_a_strict_client_is_content(fresh: Made) -> None:
    assert shown(fresh) == filed(fresh)
    assert len(set(filed(fresh))) == 2


def test_a_changed_host_key_differs_from_the_filed_one(fresh: Made) -> None:
    fresh.new_host_key()
    jump, host = shown(fresh)
    assert jump == filed(fresh)[0]
    assert host != filed(fresh)[1]


def test_a_changed_jump_key_differs_from_the_filed_one(fresh: Made) -> None:
    fresh.new_host_key("jump")
    jump, host = shown(fresh)
    assert jump != filed(fresh)[0]
    assert host == filed(fresh)[1]


def test_a_restart_shows_the_filed_keys_again(sandbox: Sandbox) -> None:
    before = filed(sandbox)
    sandbox.new_host_key("host")
    sandbox.new_host_key("jump")
    sandbox.stop()
    sandbox.start()
    assert filed(sandbox) == before == shown(sandbox)


def test_private_files_are_private(sandbox: Sandbox) -> None:
    host = sandbox.host
    assert host.identity_file
    private = [host.identity_file, *(sandbox.directory / "keys").glob("[!.]*")]
    private += [sandbox.directory / "password"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)
    assert sandbox.directory.stat().st_mode & 0o077 == 0
    assert sandbox.password not in host.known_hosts.read_text()


def test_two_sandboxes_share_no_key(sandbox: Sandbox, tmp_path: Path) -> None:
    with Sandbox(tmp_path / "other") as other:
        assert set(filed(other)).isdisjoint(filed(sandbox))
        with pytest.raises(Exception, match="Authentication"):
            connect_with_key_of(sandbox, other)


def connect_with_key_of(owner: Sandbox, target: Sandbox) -> None:
    from dataclasses import replace

    connect(replace(target.host, identity_file=owner.host.identity_file))
