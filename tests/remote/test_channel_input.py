"""Writing to channels the far side closes: the connection must live through it."""

from __future__ import annotations

import threading

import paramiko
import pytest

from remote import channel_input
from remote.route import Route
from tests.openssh import OpenSSHPair


@pytest.fixture
def transport(tmp_path):  # type: ignore[no-untyped-def]
    with OpenSSHPair(tmp_path / "ssh") as pair, Route(pair.host) as route:
        session = route.session()
        session.close()
        yield session.get_transport()


def _end_early(transport: paramiko.Transport, times: int, faults: list[BaseException]) -> None:
    """Commands that end while their input, if any, is still being sent."""
    try:
        for n in range(times):
            channel = transport.open_session(timeout=20)
            channel.exec_command("true")
            try:
                for _ in range(20 * (n % 2)):
                    channel_input.write(channel, b"x" * 40_000)
                channel_input.end_input(channel)
            except channel_input.ChannelGone:
                pass
            channel.close()
    except BaseException as e:
        faults.append(e)


def test_input_for_commands_that_have_ended_does_not_end_the_connection(
    transport: paramiko.Transport,
) -> None:
    faults: list[BaseException] = []
    threads = [
        threading.Thread(target=_end_early, args=(transport, 80, faults), daemon=True)
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not faults and transport.is_active()


def test_half_closed_commands_answer(transport: paramiko.Transport) -> None:
    def ask(answers: list[bytes]) -> None:
        for _ in range(40):
            channel = transport.open_session(timeout=20)
            channel.exec_command("wc -c")
            channel_input.write(channel, b"y" * 100_000)
            channel_input.end_input(channel)
            answers.append(channel.recv(100).strip())
            channel.close()

    answers: list[bytes] = []
    threads = [threading.Thread(target=ask, args=(answers,), daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answers == [b"100000"] * 240 and transport.is_active()


def test_a_key_exchange_in_the_middle_loses_nothing(transport: paramiko.Transport) -> None:
    """The insides this relies on are those of the installed paramiko."""
    channel = transport.open_session(timeout=20)
    channel.exec_command("cksum")
    data = bytes(range(256)) * 4096
    renewing = threading.Thread(target=transport.renegotiate_keys, daemon=True)
    for n in range(24):
        if n == 4:
            renewing.start()
        channel_input.write(channel, data)
    channel_input.end_input(channel)
    assert channel.recv(100).split()[1] == str(24 * len(data)).encode()
    renewing.join(30)
    assert not renewing.is_alive() and transport.is_active()


def test_a_reader_that_does_not_read_holds_the_writer(transport: paramiko.Transport) -> None:
    channel = transport.open_session(timeout=20)
    channel.settimeout(0.2)
    channel.exec_command("read go; wc -c")
    ended = threading.Event()

    def write() -> None:
        channel_input.write(channel, b"go\n" + b"z" * (8 << 20))
        channel_input.end_input(channel)
        ended.set()

    # sshd's window is 2 MiB and a pipe holds little: 8 MiB can only pass when somebody reads.
    other = transport.open_session(timeout=20)
    other.exec_command("sleep 60")
    with pytest.raises(channel_input.ChannelGone):
        threading.Timer(0.6, other.close).start()
        channel_input.write(other, b"z" * (64 << 20))
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert ended.wait(30)
    channel.settimeout(30)
    assert channel.recv(100).strip() == str(8 << 20).encode()
