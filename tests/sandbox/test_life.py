"""The life of the sandbox's server process: start, lifeline, restart, two at once, faults."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import paramiko
import pytest

from core import locations
from core.errors import EnvironmentProblem, MissingComponent, PortTaken
from remote.sandbox import PASSCODE, Sandbox
from remote.sandbox.files import Layout
from remote.sandbox.records import Record
from tests.conftest import require
from tests.processes import alive
from tests.sandbox.wire import connect, eventually, to_jump

ROOT = locations.project_root()


@pytest.fixture
def sleepers() -> Iterator[list[int]]:
    """Process ids to end when the test is over, whatever came of it."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def detach(sandbox: Sandbox, sleepers: list[int]) -> int:
    """A `sleep` in a session of its own on the GPU host."""
    link = connect(sandbox.host)
    path = Path(sandbox.host.workdir) / "sleeper"
    command = f"setsid sh -c 'echo $$ > {path}.new; mv {path}.new {path}; exec sleep 600'"
    link.run(f"{command} </dev/null >/dev/null 2>&1 &")
    eventually(path.exists, "the child has started")
    sleepers.append(int(path.read_text()))
    link.close()
    return sleepers[-1]


def test_the_caller_never_imports_asyncssh_nor_paramiko(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from remote.sandbox import Sandbox\n"
        f"with Sandbox({str(tmp_path)!r}) as s: s.cut()\n"
        "print([m for m in ('asyncssh', 'paramiko', 'pydantic', 'textual') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_start_twice_is_one_server_and_stop_twice_is_fine(sandbox: Sandbox) -> None:
    host, pid = sandbox.host, sandbox.pid
    assert sandbox.start() is host
    assert sandbox.pid == pid
    sandbox.stop()
    sandbox.stop()
    assert pid and not alive(pid)
    with pytest.raises(EnvironmentProblem, match="not running"):
        _ = sandbox.host
    with pytest.raises(EnvironmentProblem, match="not running"):
        sandbox.cut()


def test_home_and_environment_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "PYTHONPATH"):
        monkeypatch.setenv(name, "operator's own")
    monkeypatch.setenv("QA_MODELS", "/models of mine")
    monkeypatch.setenv("QA_CACHE", "/cache")
    monkeypatch.delenv("QA_STATE")
    with Sandbox(tmp_path) as sandbox:
        link = connect(sandbox.host)
        _, out, _ = link.run("env -0; pwd")
        link.close()
        *pairs, where = out.split(b"\0")
        env = dict(pair.decode().split("=", 1) for pair in pairs)
        home = str(tmp_path / "host" / "home")
        assert (env["HOME"], where.decode().strip()) == (home, home)
        assert (env["QA_MODELS"], env["QA_CACHE"]) == ("/models of mine", "/cache")
        assert sandbox.host.env["QA_MODELS"] == "/models of mine"
        bash_adds = {"PWD", "SHLVL", "_", "OLDPWD"}
        expected = {"HOME", "USER", "LOGNAME", "SHELL", "LANG", "PATH"}
        expected |= {"SSH_CLIENT", "SSH_CONNECTION", "QA_MODELS", "QA_CACHE"}
        expected |= {"QA_AGENT_BOOT_ID"}
        assert set(env) - bash_adds == expected


def test_a_stand_in_tool_comes_first(sandbox: Sandbox) -> None:
    tool = sandbox.directory / "host" / "bin" / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho stand-in\n")
    tool.chmod(0o755)
    link = connect(sandbox.host)
    assert link.run("nvidia-smi")[1] == b"stand-in\n"
    link.close()


def test_a_noisy_bashrc_is_heard_as_on_a_real_host(sandbox: Sandbox) -> None:
    require(Path("/etc/debian_version").exists(), "a bash that reads ~/.bashrc under ssh")
    (sandbox.directory / "host" / "home" / ".bashrc").write_text("echo welcome\n")
    link = connect(sandbox.host)
    assert link.run("echo answer")[1] == b"welcome\nanswer\n"
    link.close()


def test_the_gpu_host_has_no_port(sandbox: Sandbox) -> None:
    require(Path("/proc/net/tcp").exists(), "/proc of Linux")
    link = connect(sandbox.host)  # so that the host is being served right now
    fds = Path(f"/proc/{sandbox.pid}/fd")
    sockets = {str(fd.readlink()) for fd in fds.iterdir()}
    listening = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with suppress(FileNotFoundError):
            for line in (fds.parent / "net" / table).read_text().splitlines()[1:]:
                words = line.split()
                if f"socket:[{words[9]}]" in sockets and (words[3] == "0A" or "udp" in table):
                    listening.add((table, int(words[1].rsplit(":", 1)[1], 16)))
    link.close()
    assert sandbox.host.jump
    assert listening == {("tcp", sandbox.host.jump.port)}


def test_attached_commands_end_with_the_sandbox_and_detached_ones_do_not(
    sandbox: Sandbox, sleepers: list[int]
) -> None:
    detached = detach(sandbox, sleepers)
    link = connect(sandbox.host)
    attached: list[int] = []
    for command in ("exec sleep 600", "trap '' TERM HUP; while :; do sleep 0.1; done"):
        channel = link.start(f"echo $$; {command}")
        attached.append(int(channel.makefile("rb").readline()))
    sleepers += attached
    sandbox.stop()
    for pid in attached:
        eventually(lambda pid=pid: not alive(pid), "an attached command ends")  # type: ignore[misc]
    assert alive(detached)
    sandbox.start()
    link = connect(sandbox.host)
    assert link.run(f"kill -0 {detached}")[0] == 0
    link.close()


def test_a_server_killed_outright_takes_no_job_with_it(
    sandbox: Sandbox, sleepers: list[int]
) -> None:
    detached = detach(sandbox, sleepers)
    link = connect(sandbox.host)
    assert sandbox.pid
    os.kill(sandbox.pid, signal.SIGKILL)
    eventually(lambda: not sandbox.running, "the server is dead")
    eventually(lambda: not link.host.is_active(), "the client notices")
    assert alive(detached)
    with pytest.raises(EnvironmentProblem, match="ended unexpectedly"):
        sandbox.cut()
    sandbox.start()
    again = connect(sandbox.host)
    assert again.run(f"kill -0 {detached}")[0] == 0
    again.close()


def test_the_server_ends_when_whoever_started_it_is_killed(
    tmp_path: Path, sleepers: list[int]
) -> None:
    script = (
        "from remote.sandbox import Sandbox; import time\n"
        f"s = Sandbox({str(tmp_path)!r}); h = s.start(); print(s.pid, flush=True); time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    sleepers.append(owner.pid)
    assert owner.stdout
    server = int(owner.stdout.readline())
    sleepers.append(server)
    assert alive(server)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    eventually(lambda: not alive(server), "the server sees its lifeline close")


def test_the_server_ends_on_sigterm_while_its_lifeline_is_open(sandbox: Sandbox) -> None:
    assert sandbox._process
    sandbox._process.terminate()
    assert sandbox._process.wait(60) == 0
    assert "Traceback" not in (sandbox.directory / "server.log").read_text()


def test_a_frozen_server_is_stopped_in_good_order(sandbox: Sandbox, sleepers: list[int]) -> None:
    pid, link = sandbox.pid, connect(sandbox.host)
    sleepers.append(int(link.start("echo $$; exec sleep 600").makefile("rb").readline()))
    sandbox.freeze()
    sandbox.stop()
    assert pid and not alive(pid)
    eventually(lambda: not alive(sleepers[0]), "it had the time to end what it ran")


def test_two_servers_on_one_directory(tmp_path: Path) -> None:
    """Started at the same moment on an empty directory: one set of keys, one disk, two ports."""
    pair = [Sandbox(tmp_path), Sandbox(tmp_path)]
    threads = [threading.Thread(target=one.start) for one in pair]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first, second = (one.host for one in pair)
        assert first.jump and second.jump
        assert first.jump.port != second.jump.port
        one, two = connect(first), connect(second)
        assert one.jump.get_remote_server_key() == two.jump.get_remote_server_key()
        assert one.host.get_remote_server_key() == two.host.get_remote_server_key()
        one.run("echo seen > note")
        assert two.run("cat note")[1] == b"seen\n"
        pair[0].stop()
        assert two.run("cat note")[1] == b"seen\n"
        one.close()
        two.close()
    finally:
        for sandbox in pair:
            sandbox.stop()


def test_keys_are_made_by_one_start_at_a_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make_directories()
    sandbox = Sandbox(tmp_path)
    starting = threading.Thread(target=sandbox.start)
    try:
        with layout.locked():
            starting.start()
            starting.join(2)
            assert starting.is_alive() and not layout.identity.exists()
        starting.join()
        assert layout.identity.exists()
    finally:
        sandbox.stop()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)) as failed:
            Sandbox(tmp_path, port=port).start()
    assert failed.value.try_next
    with Sandbox(tmp_path, port=port) as sandbox:
        assert sandbox.host.jump and sandbox.host.jump.port == port


@pytest.mark.parametrize("where", ["a-file/sandbox", "a-file"])
def test_a_directory_that_cannot_be(tmp_path: Path, where: str) -> None:
    (tmp_path / "a-file").write_text("")
    with pytest.raises(EnvironmentProblem, match="a-file") as failed:
        Sandbox(tmp_path / where).start()
    assert failed.value.try_next


def test_without_asyncssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "shadow" / "asyncssh.py"
    fake.parent.mkdir()
    fake.write_text("raise ModuleNotFoundError(\"No module named 'asyncssh'\", name='asyncssh')\n")
    monkeypatch.setenv("PYTHONPATH", str(fake.parent))
    with pytest.raises(MissingComponent, match="asyncssh") as failed:
        Sandbox(tmp_path / "sandbox").start()
    assert "sandbox" in failed.value.try_next
    assert failed.value.exit_code == 6


def test_a_broken_key_file_is_named_and_its_removal_cures(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        key = sandbox.host.identity_file
    assert key
    key.write_text("not a key")
    with pytest.raises(EnvironmentProblem, match="id_ed25519"):
        Sandbox(tmp_path).start()
    key.unlink()
    with Sandbox(tmp_path) as sandbox:
        connect(sandbox.host).close()


def test_second_factor(tmp_path: Path) -> None:
    with Sandbox(tmp_path, second_factor=True) as sandbox:
        jump = sandbox.host.jump
        assert jump and jump.identity_file is None

        def log_in(answers: list[str]) -> list[tuple[str, bool]]:
            asked: list[tuple[str, bool]] = []

            def handler(title: str, text: str, prompts: list[tuple[str, bool]]) -> list[str]:
                asked.extend(prompts)
                return [answers.pop(0) for _ in prompts]

            transport = to_jump(sandbox.host)
            try:
                transport.auth_interactive(jump.user, handler)
                return asked
            finally:
                transport.close()

        password = sandbox.password
        assert log_in([password, PASSCODE]) == [
            ("Password: ", False),
            ("Passcode or option: ", True),
        ]
        for wrong in (["guess"], [password, "2"], [""]):
            with pytest.raises(paramiko.AuthenticationException):
                log_in(wrong)
        transport = to_jump(sandbox.host)
        with pytest.raises(paramiko.BadAuthenticationType):
            transport.auth_publickey(jump.user, paramiko.ECDSAKey.generate())
        transport.close()


def test_the_real_ssh_client_gets_in_too(sandbox: Sandbox, tmp_path: Path) -> None:
    """Strictly, by ProxyJump: whatever paramiko lets pass, this one has read the standard."""
    require(shutil.which("ssh"), "an ssh client")
    host = sandbox.host
    assert host.jump
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host *\n  User {host.user}\n  IdentityFile {host.identity_file}\n"
        f"  UserKnownHostsFile {host.known_hosts}\n  GlobalKnownHostsFile none\n"
        "  StrictHostKeyChecking yes\n  BatchMode yes\n  IdentitiesOnly yes\n"
        f"Host jump\n  HostName {host.jump.address}\n  Port {host.jump.port}\n"
        f"  HostKeyAlias {host.jump.host_key_alias}\n"
        f"Host gh200\n  HostName {host.address}\n  ProxyJump jump\n"
    )
    done = subprocess.run(
        ["ssh", "-F", str(config), "gh200", "wc -c; echo err >&2; exit 7"],
        input=b"x" * 3_000_000,
        capture_output=True,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (7, b"3000000", b"err\n")


def test_the_command_line_says_where_it_listens_and_ends_with_its_stdin(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "remote.sandbox", "serve", "--dir", str(tmp_path)]
    done = subprocess.run(argv, input=b"anything\n", cwd=ROOT, capture_output=True)
    assert done.returncode == 0
    record = Record.from_dict(json.loads(done.stdout))
    assert record.jump_port and not record.stays and not record.alive
    assert list((tmp_path / "run").iterdir()) == []
