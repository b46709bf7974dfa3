"""`~/.ssh/config` aliases: resolved as `ssh` itself does, and refused where that cannot be known."""

from __future__ import annotations

import getpass
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFound, SettingsError
from remote.hosts import Host, Hosts, load_hosts
from remote.ways import ssh_config
from remote.ways.ssh_config import HopSpec, parse_jumps, parse_values, resolve
from tests.conftest import require

CONFIG = """\
Include {more}
Host gh
  HostName gh1.internal
  User bob
  Port 2200
  IdentityFile ~/keys/%r@%h
  IdentityFile "{root}/a b/key"
  CertificateFile ~/keys/x-cert.pub
  IdentitiesOnly yes
  HostKeyAlias gh.alias
  UserKnownHostsFile {root}/kh1 {root}/kh2
  ProxyJump alice@first:2222,second
Host second
  HostName 10.0.0.2
  ProxyJump never-used
Match host *.cluster user carol
  Port 2022
Match originalhost node7
  HostName node7.cluster
Host command
  ProxyCommand nc %h %p
Host ring1
  ProxyJump ring2
Host ring2
  ProxyJump ring3
Host ring3
  ProxyJump ring1
Host *
  ServerAliveInterval 7
"""
MORE = """\
Host included
  HostName inc.example
Host first
  IdentityFile {root}/first_key
  IdentityAgent {root}/agent
  ProxyJump outer
Host outer
  HostName outer.example
  PubkeyAuthentication no
  PreferredAuthentications keyboard-interactive,publickey
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    require(shutil.which("ssh"), "an OpenSSH client (ssh)")
    more = tmp_path / "more.conf"
    more.write_text(MORE.format(root=tmp_path))
    path = tmp_path / "ssh_config"
    path.write_text(CONFIG.format(root=tmp_path, more=more))
    monkeypatch.setenv("QA_SSH_CONFIG", str(path))
    return path


def test_an_alias_gives_all_that_ssh_would_use(config: Path, tmp_path: Path) -> None:
    found = resolve("gh")
    assert (found.hostname, found.port, found.user) == ("gh1.internal", 2200, "bob")
    assert found.host_key_alias == "gh.alias"
    assert found.login.identity_files == (
        Path("~/keys/bob@gh1.internal").expanduser(),
        tmp_path / "a b" / "key",
    )
    assert found.login.certificate_files == (Path("~/keys/x-cert.pub").expanduser(),)
    assert found.login.identities_only
    assert found.known_hosts[:2] == (tmp_path / "kh1", tmp_path / "kh2")


def test_several_jump_hosts_each_with_its_own_settings(config: Path, tmp_path: Path) -> None:
    """As `ssh -J`: the first of a list keeps a ProxyJump of its own, the others do not."""
    outer, first, second = resolve("gh").jumps
    assert (outer.hostname, outer.port) == ("outer.example", 22)
    assert (first.hostname, first.user, first.port) == ("first", "alice", 2222)
    assert (second.hostname, second.user) == ("10.0.0.2", getpass.getuser())
    assert tmp_path / "first_key" in first.login.identity_files
    assert first.login.agent == str(tmp_path / "agent") and second.login.agent is None
    assert outer.login.methods == ("keyboard-interactive",)
    assert first.origins["port"] == "ProxyJump" and first.origins["agent"] == "ssh config"


def test_include_and_match(config: Path) -> None:
    assert resolve("included").hostname == "inc.example"
    assert resolve("node7").hostname == "node7.cluster"
    config.write_text(
        config.read_text().replace("Host *\n", "Match host *.cluster\n  User carol\n")
    )
    assert resolve("node7").user == "carol"


def test_what_cannot_be_done_is_refused_with_its_reason(config: Path) -> None:
    with pytest.raises(SettingsError, match="ProxyCommand"):
        resolve("command")
    with pytest.raises(SettingsError) as e:
        resolve("ring1")
    assert "circle" in e.value.what and "ring1 → ring2 → ring3 → ring1" in e.value.why
    config.write_text("Host x\n  NoSuchOption yes\n")
    with pytest.raises(SettingsError) as e:
        resolve("x")
    assert "nosuchoption" in e.value.why.lower() and str(config) in e.value.why


def test_a_word_nobody_wrote_down_is_no_host(config: Path) -> None:
    """`Host *` holds for every word, so it makes none of them a host."""
    with pytest.raises(NotFound):
        resolve("gh2000")
    config.write_text("Host *\n  User %n\n  UserKnownHostsFile ~/.ssh/kh_%h\n")
    with pytest.raises(NotFound):
        resolve("gh2000")
    config.write_text("Host gh*\n  Port 99\n")
    assert resolve("gh2000").port == 99


@pytest.mark.parametrize("name", ["-oProxyCommand=x", "a b", "a\nb", "", "a\x1b[2J", "$(x)", "*"])
def test_hostile_names_never_reach_ssh(config: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        resolve(name)


def test_hostile_values_are_refused(config: Path) -> None:
    config.write_text("Host x\n  HostKeyAlias *\n")
    with pytest.raises(SettingsError, match="HostKeyAlias"):
        resolve("x")


def test_names_for_a_list(config: Path) -> None:
    assert ssh_config.aliases() == [
        *("included", "first", "outer"),
        *("gh", "second", "command", "ring1", "ring2", "ring3"),
    ]


def test_strictness_is_not_lowered_and_said_so(config: Path) -> None:
    config.write_text("Host x\n  StrictHostKeyChecking no\n  RevokedHostKeys /etc/krl\n")
    notes = " ".join(resolve("x").notes)
    assert "StrictHostKeyChecking" in notes and "RevokedHostKeys" in notes


# -- hosts.yaml and aliases -----------------------------------------------------------------


def hosts(tmp_path: Path, text: str) -> Hosts:
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts:\n" + text)
    return load_hosts(path)


ENTRY = "  big: {ssh: gh, workdir: ~/w, python: /opt/py, env: {A: '1'}}\n"


def test_an_entry_takes_its_way_from_an_alias(config: Path, tmp_path: Path) -> None:
    host = hosts(tmp_path, ENTRY).get("big")
    assert (host.address, host.port, host.user) == ("gh1.internal", 2200, "bob")
    assert [j.address for j in host.jumps] == ["outer.example", "first", "10.0.0.2"]
    assert host.jump is host.jumps[0] and host.jumps[1].user == "alice"
    assert (host.workdir, host.python, host.env) == ("~/w", "/opt/py", {"A": "1"})
    assert host.login is not None and host.login.identities_only
    assert host.origins["port"] == "ssh config" and host.origins["jumps[1].user"] == "ProxyJump"


def test_an_alias_alone_is_a_host(config: Path, tmp_path: Path) -> None:
    found = hosts(tmp_path, ENTRY)
    host: Host = found.get("included")
    assert (host.name, host.address, host.workdir) == ("included", "inc.example", "~/access-qa")
    with pytest.raises(NotFound) as e:
        found.get("includde")
    assert "'included'" in e.value.try_next


def test_a_broken_alias_costs_only_its_own_entry(config: Path, tmp_path: Path) -> None:
    found = hosts(
        tmp_path, "  bad: {ssh: command, workdir: ~/w}\n  good: {address: a, workdir: ~/w}\n"
    )
    assert found.names() == ["bad", "good"] and found.get("good").address == "a"
    with pytest.raises(SettingsError):
        found.get("bad")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{ssh: gh, port: 22, workdir: ~/w}", "'port' beside 'ssh'"),
        ("{workdir: ~/w}", "'address' is missing"),
        (
            "{address: a, workdir: ~/w, jump: {address: b}, jumps: [{address: c}]}",
            "'jump' and 'jumps'",
        ),
        ("{ssh: -oX, workdir: ~/w}", "ssh"),
    ],
)
def test_faults_of_an_entry(config: Path, tmp_path: Path, entry: str, says: str) -> None:
    with pytest.raises(SettingsError) as e:
        hosts(tmp_path, f"  big: {entry}\n").get("big")
    assert says in e.value.what and "hosts.yaml" in e.value.what


# -- without an ssh program -----------------------------------------------------------------


@pytest.fixture
def no_ssh(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return config


def test_without_ssh_the_simple_parts_are_read_and_said(no_ssh: Path) -> None:
    no_ssh.write_text(
        "Host gh\n  HostName g.x # the big one\n  User=bob\n  ProxyJump a@j:99\n  IdentityFile ~/k\n"
    )
    found = resolve("gh")
    assert (found.hostname, found.user, found.login.identity_files) == (
        "g.x", "bob", (Path("~/k").expanduser(),)
    )  # fmt: skip
    assert [(j.hostname, j.user, j.port) for j in found.jumps] == [("j", "a", 99)]
    assert any("no `ssh`" in note for note in found.notes)


@pytest.mark.parametrize(
    "line",
    [
        "Include x",
        "Match localnetwork 10.0.0.0/8",
        "Match host a exec true",
        "Match all localnetwork x",
        "Match !tagged a",
        "Host gh[12]",
        "include=x",
    ],
)
def test_without_ssh_what_would_be_read_wrongly_is_refused(no_ssh: Path, line: str) -> None:
    no_ssh.write_text(f"Host gh\n  HostName g.x\n{line}\n  User x\n")
    with pytest.raises(SettingsError) as e:
        resolve("gh")
    assert f"{no_ssh}:3" in e.value.what


# -- grammar --------------------------------------------------------------------------------

NAME = st.from_regex(r"[a-z0-9][a-z0-9.]{0,12}", fullmatch=True)
SPEC = st.builds(HopSpec, NAME, st.none() | NAME, st.none() | st.integers(1, 65535))


def written(spec: HopSpec) -> str:
    user = f"{spec.user}@" if spec.user else ""
    return f"{user}{spec.host}" + (f":{spec.port}" if spec.port else "")


@given(st.lists(SPEC, min_size=1, max_size=5))
def test_jumps_read_as_written(specs: list[HopSpec]) -> None:
    assert parse_jumps(",".join(written(s) for s in specs)) == specs
    assert parse_jumps(",".join(f"ssh://{written(s)}" for s in specs)) == specs


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("[10.0.0.1]:44", HopSpec("10.0.0.1", None, 44)),
        ("me@[fe80::1]:22", HopSpec("fe80::1", "me", 22)),
        ("fe80::1", HopSpec("fe80::1")),
        ("a@b@c", HopSpec("c", "a@b")),
    ],
)
def test_forms_of_a_jump(text: str, hop: HopSpec) -> None:
    assert parse_jumps(text) == [hop]


@pytest.mark.parametrize("text", ["a,,b", "@a", "a:0", "a:99999", "a:b", "[a", ":22"])
def test_what_is_no_jump(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_jumps(text)


@given(st.text())
def test_no_output_breaks_the_reader(text: str) -> None:
    assert all(key for key in parse_values(text))
