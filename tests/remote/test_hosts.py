"""hosts.yaml: what it gives, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import locations
from core.errors import NotFound, SettingsError
from remote.hosts import load_hosts

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
