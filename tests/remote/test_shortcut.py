"""Small output goes straight to the client, in order, and never waits for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from paramiko.buffered_pipe import BufferedPipe

from remote.agent.frames import FrameReader
from remote.shared.shortcut import SMALL, UNACKNOWLEDGED, Shortcut


class Bed:
    def __init__(self) -> None:
        self.ours, self.client = socket.socketpair()
        self.pipe: Any = BufferedPipe()
        self.sending = threading.Lock()
        channel = SimpleNamespace(in_buffer=self.pipe)
        self.shortcut = Shortcut(channel, self.ours, self.sending)

    def told(self) -> list[bytes]:
        self.client.setblocking(False)
        return [body for _, body in FrameReader().feed(self.client.recv(1 << 20))]


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.ours.close()
    bed.client.close()


def test_nothing_goes_before_the_client_knows_of_its_command(bed: Bed) -> None:
    bed.pipe.feed(b"early")
    assert bed.pipe.read(99, 0.0) == b"early"
    bed.shortcut.arrived(5)
    bed.shortcut.open()
    bed.pipe.feed(b"straight")
    assert bed.told() == [b"straight"] and not bed.pipe.read_ready()
    assert (bed.shortcut.passed(), bed.shortcut.passed()) == (8, 0)


def test_nothing_overtakes_what_goes_the_long_way(bed: Bed) -> None:
    bed.shortcut.open()
    bed.pipe.feed(b"l" * (SMALL + 1))
    bed.pipe.feed(b"behind it")
    taken = bed.pipe.read(1 << 20, 0.0)
    assert taken == b"l" * (SMALL + 1) + b"behind it"
    bed.pipe.feed(b"while it is in hand")
    assert bed.pipe.read_ready()
    bed.shortcut.arrived(len(taken))
    bed.shortcut.arrived(len(bed.pipe.read(99, 0.0)))
    bed.pipe.feed(b"now")
    assert bed.told() == [b"now"]


def test_a_client_that_reads_nothing_is_not_waited_for(bed: Bed) -> None:
    bed.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    bed.shortcut.open()
    for _ in range(200):
        bed.pipe.feed(b"x" * 1000)
    assert bed.pipe.read_ready()


def test_one_to_whom_something_else_is_being_said_is_not_waited_for(bed: Bed) -> None:
    bed.shortcut.open()
    with bed.sending:
        bed.pipe.feed(b"output")
    assert bed.pipe.read(99, 0.0) == b"output"


def test_the_far_side_gets_room_again_by_the_long_way(bed: Bed) -> None:
    bed.shortcut.open()
    fed = 0
    while not bed.pipe.read_ready():
        bed.pipe.feed(b"x" * 100)
        if not bed.pipe.read_ready():
            assert bed.told() == [b"x" * 100]
        fed += 100
        assert fed <= UNACKNOWLEDGED + 100
    assert UNACKNOWLEDGED - 100 < bed.shortcut.passed() <= UNACKNOWLEDGED
