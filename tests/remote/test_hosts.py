"""hosts.yaml: what it gives, and what is said of one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import locations
from core.errors import NotFound, SettingsError
from remote.hosts import load_hosts
from remote.spots import spots
from remote.ways.host_shown import as_dict, rows

ENTRY = """\
hosts:
  big:
    address: gh1
    user: me
    workdir: ~/w
    identity_file: ~/.ssh/k
    jump: {address: j1, port: 2222}
    env: {A: "1"}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file() -> None:
    host = load_hosts(locations.project_root() / "configs" / "hosts.yaml").get("gh200")
    assert (host.address, host.port) == ("gh1-internal.xxx.xxx.xxx", 22)
    assert host.jump is not None and host.jump.address == "128.163.xxx.xx"
    assert host.accelerator == "gpu0" and host.launcher == "direct"


def test_defaults_flow_from_the_host_to_its_jump(tmp_path: Path) -> None:
    host = load_hosts(written(tmp_path, ENTRY)).get("big")
    assert host.jump is not None
    assert (host.jump.user, host.jump.port) == ("me", 2222)
    assert host.jump.identity_file == host.identity_file == Path("~/.ssh/k").expanduser()
    assert host.known_hosts == locations.state_dir() / "known_hosts"
    assert host.env == {"A": "1"} and host.python == "python3" and host.title == "big"


def test_several_jump_hosts_in_their_order(tmp_path: Path) -> None:
    text = ENTRY.replace("jump: {address: j1, port: 2222}",
        "jumps: [{address: j1, port: 2222}, {address: j2, user: you, identity_file: /k2}]")  # fmt: skip
    host = load_hosts(written(tmp_path, text)).get("big")
    assert [(j.address, j.port, j.user) for j in host.jumps] == [
        ("j1", 2222, "me"),
        ("j2", 22, "you"),
    ]
    assert host.jump is host.jumps[0] and host.jumps[1].identity_file == Path("/k2")
    assert [s.title for s in spots(host)] == ["jump host j1", "jump host j2", "host big"]
    assert spots(host)[0].login.identity_files == (Path("~/.ssh/k").expanduser(),)
    direct = load_hosts(
        written(tmp_path, ENTRY.replace("    jump: {address: j1, port: 2222}\n", ""))
    )
    assert direct.get("big").jump is None and len(spots(direct.get("big"))) == 1


def test_hops_with_one_name_are_told_apart(tmp_path: Path) -> None:
    text = ENTRY.replace("jump: {address: j1, port: 2222}",
        "jumps: [{address: j, port: 1}, {address: j, port: 2}]")  # fmt: skip
    host = load_hosts(written(tmp_path, text)).get("big")
    assert len({spot.title for spot in spots(host)}) == 3


def test_each_value_says_where_it_stands(tmp_path: Path) -> None:
    host = load_hosts(written(tmp_path, ENTRY)).get("big")
    shown = {what.strip(): (value, origin) for what, value, origin in rows(host)}
    assert shown["workdir"] == ("~/w", "hosts.yaml:5")
    assert shown["python"] == ("python3", "default")
    assert shown["env A"] == ("1", "hosts.yaml:8")
    assert host.origins["jumps[0].port"] == "hosts.yaml:7"
    assert host.origins["jumps[0].user"] == "hosts.yaml:4"  # the host's
    assert as_dict(host)["hops"][0]["host_key_name"] == "[j1]:2222"


def test_a_certificate_elsewhere(tmp_path: Path) -> None:
    text = ENTRY + "    certificate_file: ~/today-cert.pub\n"
    for spot in spots(load_hosts(written(tmp_path, text)).get("big")):
        assert spot.login.certificate_files == (Path("~/today-cert.pub").expanduser(),)
        assert spot.login.identities_only


def test_list_and_show_connect_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    from tui.cli.hosts import list_hosts, show_host

    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("it opened a socket")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    written(tmp_path, ENTRY + "  lost: {ssh: no-such-alias, workdir: ~/w}\n")
    monkeypatch.setenv("QA_CONFIGS", str(tmp_path))
    (tmp_path / "ssh").write_text("Host mine\n  HostName m\n")
    monkeypatch.setenv("QA_SSH_CONFIG", str(tmp_path / "ssh"))
    list_hosts(json=True)
    got = capsys.readouterr()
    found = {row["name"]: row for row in json.loads(got.out)}
    assert list(found) == ["sandbox", "big", "lost", "mine"]
    assert found["big"]["jumps"] == ["j1"] and found["big"]["jump"] == "j1"
    assert "no-such-alias" in found["lost"]["problem"] and "no-such-alias" in got.err
    show_host("mine", json=True)
    assert json.loads(capsys.readouterr().out)["hops"][0]["address"] == "m"
    show_host("big", json=False)
    assert "me@j1:2222" in capsys.readouterr().out


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as e:
        load_hosts(written(tmp_path, ENTRY)).get("bigg")
    assert "'big'" in e.value.try_next


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("address: gh1", "adress: gh1", "'address'"),
        ("address: gh1", "address: 'gh1 -oProxyCommand=x'", ":3"),
        ("port: 2222", "port: 99999", "port"),
        ("workdir: ~/w", "workdir: w", "workdir"),
        ("workdir: ~/w", "launcher: direct", "'workdir'"),
        ("  big:", "  sandbox:", "reserved"),
        ("hosts:\n", "host:\n", "'hosts'"),
        ("big:", "[", "YAML"),
    ],
)
def test_faults_name_file_line_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in ENTRY
    with pytest.raises(SettingsError) as e:
        load_hosts(written(tmp_path, ENTRY.replace(old, new)))
    assert "hosts.yaml" in e.value.what and says in str(e.value)
