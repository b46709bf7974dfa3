"""Which hosts are surely in hosts.yaml, told without a YAML parser; what it says agrees with the parser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core import locations
from remote.hosts import load_hosts
from tui.desk.host_names import surely_written


def written(folder: Path, text: str) -> Path:
    file = folder / "hosts.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_name_of_our_own_file_and_nothing_else_in_it() -> None:
    names = load_hosts(locations.configs() / "hosts.yaml").names()
    assert names and all(surely_written(name) for name in names)
    assert not any(surely_written(name) for name in ("hosts", "jump", "address", "env", "gh2000"))


@pytest.mark.parametrize(
    ("text", "there", "not_there"),
    [
        ("hosts:\n  a:\n    jump:\n      port: 22\n  b: {ssh: x}\n", "a b", "jump port ssh"),
        ("# hosts:\nhosts:   # all of them\n\n    'a b': {}\n    \"c\":\n", "c", "hosts"),
        ("x:\n  a: 1\nhosts:\n # y:\n  b: 1\nz:\n  c: 1\n", "b", "a c y"),
        ("hosts: {a: {}}\n", "", "a"),
        ("hosts:\n  ? a\n  : {}\n", "", "a"),
        ("", "", "a"),
    ],
)
def test_only_entries_in_block_style_count(
    tmp_path: Path, text: str, there: str, not_there: str
) -> None:
    file = written(tmp_path, text)
    assert all(surely_written(name, file) for name in there.split())
    assert not any(surely_written(name, file) for name in not_there.split())


def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    assert not surely_written("a", tmp_path / "hosts.yaml")
    (tmp_path / "hosts.yaml").write_bytes(b"hosts:\n  a: \xff\n")
    assert not surely_written("a", tmp_path / "hosts.yaml")


SCRIPT = """
import json, sys
import tui.app
tui.app.run = lambda *rest: 0
sys.stdin.isatty = sys.stdout.isatty = lambda: True
from tui.cli.app import open_app
code = open_app(["--host", sys.argv[1]])
print(json.dumps([code, [m for m in ("yaml", "pydantic", "paramiko") if m in sys.modules]]))
"""


@pytest.mark.parametrize(("host", "code"), [("gh200", 0), ("nobody", 2)])
def test_the_app_starts_without_a_yaml_parser_where_the_host_is_known(
    tmp_path: Path, host: str, code: int
) -> None:
    folder = {"QA_STATE": str(tmp_path), "QA_USER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, host],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin:/bin", **folder},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told, loaded = json.loads(done.stdout.splitlines()[-1])
    assert bool(told) == bool(code) and bool(loaded) == bool(code)
