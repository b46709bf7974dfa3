"""Plain ssh, scp, sftp and rsync with the printed configuration, through the jump host."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote.sandbox import detached
from remote.sandbox.files import Layout
from remote.sandbox.options import Options
from remote.sandbox.ssh_config import ssh_config
from tests.conftest import require
from tests.sandbox.test_detached import qa

HOST = "gh200.sandbox"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Over a directory whose name ssh might misread."""
    require(shutil.which("ssh"), "an ssh client")
    top = tmp_path_factory.mktemp("plain")
    layout = Layout(top / 'a b %h "c"')
    record, _ = detached.up(layout, Options())
    path = top / "ssh.conf"  # ssh itself cannot pass one with blanks on to the jump host
    path.write_text(ssh_config(layout, record))
    yield path
    detached.down(layout)


def run(*argv: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(argv, capture_output=True, timeout=60, **more)  # type: ignore[call-overload]
    assert isinstance(done, subprocess.CompletedProcess)
    return done


def test_ssh(config: Path) -> None:
    data = os.urandom(3 << 20)
    done = run("ssh", "-F", str(config), HOST, "cat; echo err >&2; exit 7", input=data)
    assert (done.returncode, done.stdout, done.stderr) == (7, data, b"err\n")


def test_ssh_with_the_jump_host_named_by_hand(config: Path) -> None:
    done = run("ssh", "-F", str(config), "-J", "jump.sandbox", HOST, "pwd")
    home = config.parent / 'a b %h "c"' / "host" / "home"
    assert (done.returncode, done.stdout.decode().strip()) == (0, str(home))


def test_a_login_shell_without_a_terminal(config: Path) -> None:
    done = run("ssh", "-F", str(config), HOST, input=b"echo one; exit 3\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"one\n", b"")


def test_control_master(config: Path, tmp_path: Path) -> None:
    ssh = ["ssh", "-F", str(config), "-o", f"ControlPath={tmp_path}/m"]
    keep = ["-o", "ControlMaster=yes", "-o", "ControlPersist=30"]
    assert run(*ssh, *keep, HOST, "true").returncode == 0
    for number in range(5):
        assert run(*ssh, HOST, f"echo {number}").stdout == f"{number}\n".encode()
    assert run(*ssh, "-O", "exit", HOST).returncode == 0


def test_scp_and_sftp(config: Path, tmp_path: Path) -> None:
    require(shutil.which("scp") and shutil.which("sftp"), "scp and sftp")
    data = os.urandom(2 << 20)
    (tmp_path / "up").write_bytes(data)
    assert run("scp", "-q", "-F", str(config), f"{tmp_path}/up", f"{HOST}:there").returncode == 0
    assert run("scp", "-q", "-F", str(config), f"{HOST}:there", f"{tmp_path}/back").returncode == 0
    assert (tmp_path / "back").read_bytes() == data
    batch = f"put {tmp_path}/up two\nrename two three\nget three {tmp_path}/three\nrm three\n"
    done = run("sftp", "-q", "-b", "-", "-F", str(config), HOST, input=batch.encode())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "three").read_bytes() == data


def test_rsync(config: Path, tmp_path: Path) -> None:
    require(shutil.which("rsync"), "rsync")
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for number in range(30):
        (source / "deep" / f"file {number}").write_bytes(os.urandom(20_000))
    rsync = ["rsync", "-a", "--stats", "-e", f"ssh -F {config}"]
    assert run(*rsync, f"{source}/", f"{HOST}:copy/").returncode == 0
    again = run(*rsync, f"{source}/", f"{HOST}:copy/")
    assert b"Number of regular files transferred: 0" in again.stdout
    assert run(*rsync, f"{HOST}:copy/", f"{tmp_path}/back/").returncode == 0
    for path in source.glob("deep/*"):
        assert (tmp_path / "back" / "deep" / path.name).read_bytes() == path.read_bytes()


def test_the_host_is_nowhere_but_behind_the_jump_host(config: Path) -> None:
    for way in (["-o", "ProxyJump=none"], ["-o", "ProxyJump=none", "-p", "22"]):
        assert run("ssh", "-F", str(config), *way, HOST, "true").returncode == 255
    refused = run("ssh", "-F", str(config), "-W", "127.0.0.1:22", "jump.sandbox")
    assert refused.returncode != 0 and b"prohibited" in refused.stderr


def test_the_command_prints_it(tmp_path: Path) -> None:
    qa("sandbox", "up")
    try:
        path = tmp_path / "conf"
        path.write_text(qa("sandbox", "ssh-config").stdout)
        assert run("ssh", "-F", str(path), HOST, "echo hello").stdout == b"hello\n"
    finally:
        qa("sandbox", "down")
