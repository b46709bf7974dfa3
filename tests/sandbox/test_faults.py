"""Each fault does what its name says, to old connections and to new ones, and `all-clear` ends it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import paramiko
import pytest

from core.errors import EnvironmentProblem, UsageError
from remote.agent import procs
from remote.sandbox import PASSCODE, Sandbox, hostile
from remote.sandbox.disk import parse_size
from remote.sandbox.records import living
from remote.sandbox.ssh_config import ssh_config
from tests.conftest import require
from tests.sandbox.test_life import alive, detach, sleepers  # noqa: F401  (a fixture)
from tests.sandbox.wire import CHUNK, PATIENCE, Link, connect, eventually, known, send, to_jump

MB = 1 << 20


def round_trip(link: Link) -> float:
    """Seconds from a byte sent to the same byte back, in a command that runs already."""
    channel = link.start("exec cat")
    channel.sendall(b"x")
    channel.recv(1)
    start = time.monotonic()
    channel.sendall(b"x")
    channel.recv(1)
    channel.close()
    return time.monotonic() - start


def test_delay(sandbox: Sandbox) -> None:
    link = connect(sandbox.host)
    sandbox.delay(150)
    assert round_trip(link) >= 0.3
    data = os.urandom(2 * MB)  # many bytes are under way at once, in order
    start = time.monotonic()
    assert link.run("cat", data)[1] == data
    assert time.monotonic() - start < 20
    sandbox.delay(0)
    assert round_trip(link) < 0.3
    link.close()


def test_throttle(sandbox: Sandbox) -> None:
    link = connect(sandbox.host)
    sandbox.throttle(200_000)
    start = time.monotonic()
    assert len(link.run("head -c 150000 /dev/urandom")[1]) == 150_000
    assert time.monotonic() - start >= 0.6
    sandbox.all_clear()
    start = time.monotonic()
    assert len(link.run("head -c 3000000 /dev/urandom")[1]) == 3_000_000
    assert time.monotonic() - start < 10
    link.close()


def test_a_frozen_line_takes_little_and_loses_nothing(sandbox: Sandbox) -> None:
    link = connect(sandbox.host)
    channel = link.start("md5sum")
    sandbox.freeze()
    data, sent = os.urandom(16 * MB), [0]

    def upload() -> None:
        for start in range(0, len(data), CHUNK):
            send(channel, data[start : start + CHUNK])
            sent.append(start)
        channel.shutdown_write()

    sender = threading.Thread(target=upload)
    sender.start()
    sender.join(1.0)
    assert sender.is_alive() and sent[-1] < 12 * MB
    sandbox.thaw()
    assert channel.recv(32) == hashlib.md5(data).hexdigest().encode()
    sender.join()
    link.close()


def test_killing_one_hop_spares_the_other(sandbox: Sandbox) -> None:
    link = connect(sandbox.host)
    sandbox.kill("host")
    eventually(lambda: not link.host.is_active(), "the host's connection ends")
    assert link.jump.is_active()
    sandbox.kill("jump")
    eventually(lambda: not link.jump.is_active(), "the jump host's connection ends")
    link.close()
    connect(sandbox.host).close()


def test_the_jump_host_goes_and_comes_back_at_its_port(sandbox: Sandbox) -> None:
    link = connect(sandbox.host)
    sandbox.jump_down()
    sandbox.jump_down()  # no harm
    eventually(lambda: not link.jump.is_active(), "its connections end")
    with pytest.raises(ConnectionRefusedError):
        to_jump(sandbox.host)
    sandbox.jump_up()
    sandbox.jump_up()
    link = connect(sandbox.host)
    assert link.run("echo back")[1] == b"back\n"
    link.close()


def test_a_reboot_kills_detached_work_and_changes_the_boot_id(
    sandbox: Sandbox,
    sleepers: list[int],  # noqa: F811
) -> None:
    require(procs.LINUX, "/proc of Linux")
    detached = detach(sandbox, sleepers)
    link = connect(sandbox.host)
    attached = int(link.start("echo $$; exec sleep 600").makefile("rb").readline())
    before = link.run("echo $QA_AGENT_BOOT_ID")[1]
    sandbox.reboot(down_s=0.5)
    assert not alive(detached) and not alive(attached)
    with pytest.raises(paramiko.ChannelException):
        connect(sandbox.host)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            link = connect(sandbox.host)
            break
        except paramiko.ChannelException:
            assert time.monotonic() < deadline
    after = link.run("echo $QA_AGENT_BOOT_ID")[1]
    assert before.strip() and after.strip() and before != after
    link.close()
    sandbox.stop()
    sandbox.start()
    link = connect(sandbox.host)
    assert link.run("echo $QA_AGENT_BOOT_ID")[1] == after  # a restart of the servers is no reboot
    link.close()


def test_old_host_keys_come_back(sandbox: Sandbox) -> None:
    host = sandbox.host
    assert host.jump
    filed = known(host, host.jump.host_key_alias)
    sandbox.new_host_key("jump")
    jump = to_jump(host)
    assert jump.get_remote_server_key().get_base64() != filed
    jump.close()
    sandbox.old_host_keys()
    jump = to_jump(host)
    assert jump.get_remote_server_key().get_base64() == filed
    jump.close()


def test_certificates_with_the_real_client(sandbox: Sandbox, tmp_path: Path) -> None:
    """Valid: in. Ended: out. The plain key counts for nothing meanwhile, and again afterwards."""
    require(shutil.which("ssh"), "an ssh client")
    config = tmp_path / "conf"
    (record,) = living(sandbox._layout)
    config.write_text(ssh_config(sandbox._layout, record))

    def ssh() -> tuple[int, bytes]:
        argv = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "gh200.sandbox", "true"]
        done = subprocess.run(argv, capture_output=True)
        return done.returncode, done.stderr

    sandbox.renew_certificate()
    assert ssh()[0] == 0
    connect(sandbox.host).close()  # paramiko finds the certificate beside the key
    sandbox.expire_certificate()
    with pytest.raises(paramiko.AuthenticationException):
        connect(sandbox.host)
    code, said = ssh()
    assert code == 255 and b"Permission denied" in said
    sandbox.revoke_key()
    assert ssh()[0] == 255
    sandbox.take_key()
    assert ssh()[0] == 0
    connect(sandbox.host).close()


def test_max_sessions(sandbox: Sandbox) -> None:
    sandbox.max_sessions(2)
    link = connect(sandbox.host)
    held = [link.start("cat") for _ in range(2)]
    with pytest.raises(paramiko.ChannelException):
        link.host.open_session(timeout=PATIENCE)
    held.pop().close()
    eventually(lambda: _can_open(link), "there is room again")
    sandbox.max_sessions(0)
    for _ in range(4):
        held.append(link.start("cat"))
    link.close()


def _can_open(link: Link) -> bool:
    try:
        link.host.open_session(timeout=PATIENCE).close()
    except paramiko.ChannelException:
        return False
    return True


def test_second_factor_denied_and_slow(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "s", second_factor=True) as sandbox:
        assert sandbox.host.jump
        user = sandbox.host.jump.user

        def log_in() -> float:
            answers = [sandbox.password, PASSCODE]
            transport = to_jump(sandbox.host)
            try:
                start = time.monotonic()
                transport.auth_interactive(user, lambda *asked: [answers.pop(0) for _ in asked[2]])
                return time.monotonic() - start
            finally:
                transport.close()

        sandbox.slow_second_factor(0.7)
        assert log_in() >= 0.7
        sandbox.deny_second_factor()
        with pytest.raises(paramiko.AuthenticationException):
            log_in()
        sandbox.all_clear()
        assert log_in() >= 0


def test_a_small_disk_is_full_and_free_again(tmp_path: Path) -> None:
    require(os.geteuid() == 0 and procs.LINUX, "root (to mount a small disk)")
    with Sandbox(tmp_path / "s", disk_bytes=4 * MB) as sandbox:
        work = Path(sandbox.host.workdir)
        assert work.is_mount()
        link = connect(sandbox.host)
        assert link.run(f"echo kept > {work}/kept")[0] == 0
        sandbox.disk_full()
        status, _, said = link.run(f"echo more > {work}/more")
        assert status != 0 and b"No space left" in said
        assert (work / "kept").read_text() == "kept\n"
        sandbox.disk_free()
        assert link.run(f"echo more > {work}/more")[0] == 0
        link.close()
    assert not work.is_mount()


def test_without_a_small_disk_nothing_is_filled(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="small disk") as failed:
        sandbox.disk_full()
    assert "--disk" in failed.value.try_next


def test_sizes() -> None:
    assert [parse_size(text) // MB for text in ("64M", "1.5 GiB", "2g")] == [64, 1536, 2048]


@pytest.mark.parametrize("text", ["", "M", "12", "-1G", "nan", "inf", "1e400G", "64X"])
def test_odd_sizes(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


def test_hostile_output_and_files_of_a_running_job(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="no job"):
        sandbox.hostile_output()
    job = Path(sandbox.host.workdir) / "jobs" / "job-1"
    (job / "artifacts").mkdir(parents=True)  # a directory without a state is a job that starts
    sandbox.hostile_output(300_000)
    printed = (job / "output.log").read_bytes()
    assert all(line in printed.split(b"\n") for line in hostile.LINES[:7])
    assert max(map(len, printed.split(b"\n"))) == 300_000
    sandbox.hostile_files()
    sandbox.hostile_files()  # a second time does no harm
    names = {os.fsencode(path.name) for path in (job / "artifacts").iterdir()}
    assert set(hostile.NAMES) <= names
    assert (job / "artifacts" / "passwd").is_symlink()


def test_a_noisy_login_shell_and_a_file_of_the_operators_own(sandbox: Sandbox) -> None:
    bashrc = sandbox.directory / "host" / "home" / ".bashrc"
    bashrc.write_text("# mine\n")
    sandbox.quiet_bashrc()
    sandbox.all_clear()
    assert bashrc.read_text() == "# mine\n"
    sandbox.noisy_bashrc()
    assert bashrc.read_bytes() == hostile.GREETING
    require(Path("/etc/debian_version").exists(), "a bash that reads ~/.bashrc under ssh")
    link = connect(sandbox.host)
    assert link.run("echo answer")[1].startswith(b"Welcome")
    sandbox.quiet_bashrc()
    assert link.run("echo answer")[1] == b"answer\n"
    link.close()


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["-c", "import time; print(time.time())"], 0),
        (["-I", "-S", "-c", "import time; print(time.time_ns() / 1e9)"], 0),
        (["-I", "script.py"], 0),
        (["-m", "script"], 0),
        (["-I", "-c", "import subprocess, sys; subprocess.run([sys.executable, 'script.py'])"], 0),
    ],
)
def test_a_clock_that_is_off(tmp_path: Path, words: list[str], printed: int) -> None:
    """Also in what Python starts with its own sys.executable."""
    from remote.sandbox import clock

    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    clock.write_wrapper(python, -7200.0)
    (tmp_path / "script.py").write_text("import time\nprint(time.time())\n")
    done = subprocess.run([str(python), *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert abs(float(done.stdout) - (time.time() - 7200)) < 60
    version = subprocess.run([str(python), "--version"], capture_output=True, text=True)
    assert version.stdout == f"Python {sys.version.split()[0]}\n"


def test_the_host_has_that_python(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "s", clock_skew_s=3600) as sandbox:
        link = connect(sandbox.host)
        said = link.run(f"{sandbox.host.python} -c 'import time; print(time.time())'")[1]
        assert abs(float(said) - time.time() - 3600) < 60
        link.close()


def test_nonsense_is_refused_and_breaks_nothing(sandbox: Sandbox) -> None:
    for line in ("", "cut now", "delay", "delay x", "delay nan", "kill nobody", "reboot 1 2", "ü"):
        with pytest.raises(UsageError) as failed:
            sandbox.tell(line)
        assert failed.value.try_next, line
    sandbox.cut()
    with pytest.raises(EnvironmentProblem):
        Sandbox(sandbox.directory).cut()  # one that was not started


def test_an_upload_through_a_line_that_keeps_failing_ends_each_time(sandbox: Sandbox) -> None:
    for _ in range(5):
        link = connect(sandbox.host)
        channel = link.start("cat >/dev/null")
        sandbox.cut()
        with pytest.raises((OSError, EOFError, paramiko.SSHException)):
            while True:
                send(channel, b"x" * MB)
        link.close()
