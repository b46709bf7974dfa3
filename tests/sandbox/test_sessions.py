"""Commands and files on the GPU host: the sandbox does what OpenSSH does."""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest

from remote.sandbox import Sandbox
from tests.openssh import OpenSSHPair
from tests.sandbox.wire import (
    CHUNK,
    Link,
    connect,
    eventually,
    identity,
    open_tunnel,
    send,
    through,
    to_jump,
)

MB = 1 << 20


@pytest.fixture
def work(pair: Sandbox | OpenSSHPair) -> Path:
    return Path(pair.host.workdir)


@pytest.mark.parametrize(
    ("command", "status"),
    [("true", 0), ("exit 7", 7), ("sh -c 'kill -9 $$'; exit $?", 137), ("no-such-command-q", 127)],
)
def test_exit_status(link: Link, command: str, status: int) -> None:
    assert link.run(command)[0] == status


def test_a_shell_killed_by_a_signal_has_no_exit_status(link: Link) -> None:
    assert link.run("kill -9 $$")[0] == -1  # paramiko's word for exit-signal


def test_output_and_errors_stay_apart(link: Link) -> None:
    assert link.run("echo out; echo err >&2; exit 3") == (3, b"out\n", b"err\n")


def test_a_command_is_one_string_for_a_shell(link: Link) -> None:
    word = "a b'\"$HOME;*\n\\ü"
    assert link.run(f"printf %s {shlex.quote(word)}")[1] == word.encode()


def test_input_ends_where_the_client_ends_it(link: Link) -> None:
    assert link.run("wc -c", b"")[1].split() == [b"0"]
    assert link.run("cat", b"x" * 70_000)[1] == b"x" * 70_000


def test_the_exit_status_comes_after_the_last_byte(link: Link) -> None:
    for _ in range(20):
        status, out, _ = link.run("head -c 3000000 /dev/zero; exit 5")
        assert (status, len(out)) == (5, 3_000_000)


def test_twenty_megabytes_up_and_down_are_the_same_bytes(link: Link, work: Path) -> None:
    data = os.urandom(20 * MB)
    for number in range(4):  # a truncated upload showed itself once in four
        path = work / f"up-{number}"
        assert link.run(f"cat > {path}", data)[0] == 0
        assert path.read_bytes() == data
    status, back, _ = link.run(f"cat {work}/up-0")
    assert (status, hashlib.sha256(back).digest()) == (0, hashlib.sha256(data).digest())


def test_both_directions_at_once(link: Link) -> None:
    data = os.urandom(8 * MB)
    channel = link.start("cat")

    def upload() -> None:
        send(channel, data)
        channel.shutdown_write()

    sender = threading.Thread(target=upload)
    sender.start()
    back = bytearray()
    while piece := channel.recv(MB):
        back += piece
    sender.join()
    assert bytes(back) == data


def test_a_client_that_does_not_read_holds_the_command_back(link: Link, work: Path) -> None:
    total, progress = 64, work / "progress"
    script = (
        f"for i in $(seq {total}); do head -c {MB} /dev/zero; echo $i > {progress}; done; exit 4"
    )
    channel = link.start(script)
    seen = -1
    while (now := int(progress.read_text() or 0) if progress.exists() else 0) != seen:
        seen = now
        time.sleep(0.5)
    assert seen < total / 2, "the server took what nobody reads"
    received = 0
    while piece := channel.recv(MB):
        received += len(piece)
    assert (received, channel.recv_exit_status()) == (total * MB, 4)


def test_a_command_that_does_not_read_holds_the_client_back(link: Link) -> None:
    channel = link.start("echo $$; exec sleep 600")
    pid = int(channel.makefile("rb").readline())
    channel.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 64 * MB:
            sent += channel.send(b"\n" * CHUNK)
    assert sent < 32 * MB
    channel.close()
    link.run(f"kill {pid}")


def test_a_long_lived_command_answers_line_by_line(link: Link) -> None:
    channel = link.start("while read line; do echo got $line; done; exit 9")
    answers = channel.makefile("rb")
    for number in range(50):
        channel.sendall(f"{number}\n".encode())
        assert answers.readline() == f"got {number}\n".encode()
    channel.shutdown_write()
    assert channel.recv_exit_status() == 9


def test_a_shell_without_a_terminal(link: Link) -> None:
    channel = link.host.open_session()
    channel.invoke_shell()
    channel.sendall(b"echo from a shell; exit 6\n")
    out = b""
    while piece := channel.recv(MB):
        out += piece
    assert b"from a shell\n" in out
    assert channel.recv_exit_status() == 6


def test_eight_threads_of_twenty_commands(link: Link) -> None:
    def one(number: int) -> tuple[int, bytes, bytes]:
        return link.run(f"echo {number}; exit {number % 100}")

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(160)))
    assert results == [(n % 100, f"{n}\n".encode(), b"") for n in range(160)]
    assert link.host.is_active()


def test_sftp(link: Link, work: Path) -> None:
    with paramiko.SFTPClient.from_transport(link.host) as files:  # type: ignore[union-attr]
        data = os.urandom(3 * MB)
        files.putfo(io.BytesIO(data), f"{work}/sftp.part")
        files.posix_rename(f"{work}/sftp.part", f"{work}/sftp.bin")
        assert (work / "sftp.bin").read_bytes() == data
        assert files.stat(f"{work}/sftp.bin").st_size == len(data)
        back = io.BytesIO()
        files.getfo(f"{work}/sftp.bin", back)
        assert back.getvalue() == data
        files.mkdir(f"{work}/ordner")
        files.putfo(io.BytesIO(b"1"), f"{work}/ordner/ü b")
        assert files.listdir(f"{work}/ordner") == ["ü b"]
        files.remove(f"{work}/ordner/ü b")
        files.rmdir(f"{work}/ordner")
        with pytest.raises(FileNotFoundError):
            files.stat(f"{work}/ordner")


def test_the_key_and_the_user_are_both_looked_at(pair: Sandbox | OpenSSHPair) -> None:
    host = pair.host
    assert host.jump
    stranger = paramiko.ECDSAKey.generate()
    for user, key in ((host.jump.user, stranger), ("nobody-here", identity(host))):
        jump = to_jump(host)
        with pytest.raises(paramiko.AuthenticationException):
            jump.auth_publickey(user, key)
        jump.close()
    jump = to_jump(host)
    jump.auth_publickey(host.jump.user, identity(host))
    target = through(jump, host.address, host.port)
    with pytest.raises(paramiko.AuthenticationException):
        target.auth_publickey(host.user, stranger)
    jump.close()


def test_nothing_else_is_passed_on(pair: Sandbox | OpenSSHPair, link: Link) -> None:
    host = pair.host
    assert host.jump
    elsewhere = [
        (host.address, host.port + 1),
        ("localhost.localdomain", host.port),
        ("127.0.0.1", 22),
        ("127.0.0.1", host.jump.port),
        ("192.0.2.1", host.port),
    ]
    for address, port in elsewhere:
        with pytest.raises(paramiko.ChannelException, match="Administratively prohibited"):
            open_tunnel(link.jump, address, port)
    with pytest.raises(paramiko.ChannelException):  # nor is the GPU host a jump host itself
        open_tunnel(link.host, "127.0.0.1", host.jump.port)
    with pytest.raises(paramiko.SSHException):
        link.host.request_port_forward("127.0.0.1", 0)


def test_a_cut_connection_ends_at_once_and_the_next_one_finds_everything(
    pair: Sandbox | OpenSSHPair, work: Path
) -> None:
    link = connect(pair.host)
    link.run(f"echo kept > {work}/kept")
    reader = link.start("cat")
    pair.cut()
    eventually(lambda: not link.jump.is_active(), "the jump transport notices")
    eventually(lambda: not link.host.is_active(), "the host transport notices")
    assert reader.recv(1) == b""
    link.close()
    again = connect(pair.host)
    assert again.run(f"cat {work}/kept")[1] == b"kept\n"
    again.close()


def test_what_reads_its_input_ends_when_the_connection_does(
    pair: Sandbox | OpenSSHPair, work: Path
) -> None:
    link = connect(pair.host)
    link.start(f"cat; echo ended > {work}/ended")
    pair.cut()
    eventually((work / "ended").exists, "the command reads end of file")
    link.close()


def test_a_detached_child_survives_the_cut(pair: Sandbox | OpenSSHPair, work: Path) -> None:
    link = connect(pair.host)
    script = (
        f"echo $$ > {work}/pid; until [ -e {work}/go ]; do sleep 0.05; done; echo on > {work}/on"
    )
    status, _, _ = link.run(f"setsid sh -c {shlex.quote(script)} </dev/null >/dev/null 2>&1 &")
    assert status == 0
    eventually(lambda: (work / "pid").exists(), "the child runs")
    pair.cut()
    eventually(lambda: not link.host.is_active(), "the connection is gone")
    (work / "go").touch()
    eventually((work / "on").exists, "the child goes on")
    link.close()


def test_a_frozen_line_is_open_and_silent(pair: Sandbox | OpenSSHPair) -> None:
    link = connect(pair.host)
    assert link.run("echo before")[1] == b"before\n"
    answers: list[bytes] = []
    pair.freeze()
    try:
        asking = threading.Thread(target=lambda: answers.append(link.run("echo after")[1]))
        asking.start()
        asking.join(0.5)
        assert asking.is_alive() and not answers
        assert link.host.is_active()  # this is why a ping with a deadline is needed
    finally:
        pair.thaw()
    asking.join(60)
    assert answers == [b"after\n"]
    link.close()


def test_the_host_goes_and_comes_back_behind_a_jump_host_that_stays(
    pair: Sandbox | OpenSSHPair,
) -> None:
    link = connect(pair.host)
    pair.host_down()
    try:
        eventually(lambda: not link.host.is_active(), "the host's connection ends")
        assert link.jump.is_active()
        with pytest.raises(paramiko.ChannelException) as refused:
            connect(pair.host)
        assert refused.value.code == 2  # connect failed, not prohibited
    finally:
        pair.host_up()
    link.close()
    again = connect(pair.host)
    assert again.run("echo back")[1] == b"back\n"
    again.close()
