"""Two hops with plain paramiko: what the sandbox is measured with, free of our own route."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import paramiko

from remote.hosts import Host

CIPHERS = ("aes128-gcm@openssh.com",)
CHUNK = 256 * 1024  # Channel.sendall copies the rest for every packet: never hand it a whole file
PATIENCE = 60.0


@dataclass
class Link:
    """Both transports of one connection."""

    jump: paramiko.Transport
    host: paramiko.Transport

    def run(self, command: str, data: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Exit status, stdout, stderr. Only for commands that read all of `data` before they end."""
        channel = self.start(command)
        if data is not None:
            send(channel, data)
            channel.shutdown_write()
        out, err = bytearray(), bytearray()
        while piece := channel.recv(1 << 20):
            out += piece
        while piece := channel.recv_stderr(1 << 20):
            err += piece
        status = channel.recv_exit_status()
        channel.close()
        return status, bytes(out), bytes(err)

    def start(self, command: str) -> paramiko.Channel:
        channel = self.host.open_session(timeout=PATIENCE)
        channel.settimeout(PATIENCE)
        channel.exec_command(command)
        return channel

    def close(self) -> None:
        for transport in (self.host, self.jump):
            with suppress(OSError, EOFError, paramiko.SSHException):  # it was cut
                transport.close()


def send(channel: paramiko.Channel, data: bytes) -> None:
    for start in range(0, len(data), CHUNK):
        channel.sendall(data[start : start + CHUNK])


def to_jump(host: Host) -> paramiko.Transport:
    """A transport to the jump host with keys exchanged, nobody logged in."""
    assert host.jump
    sock = socket.create_connection((host.jump.address, host.jump.port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _hello(sock)


def through(jump: paramiko.Transport, address: str, port: int) -> paramiko.Transport:
    """A transport to what the jump host reaches under that address."""
    return _hello(open_tunnel(jump, address, port))


def open_tunnel(jump: paramiko.Transport, address: str, port: int) -> paramiko.Channel:
    return jump.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=PATIENCE)


def identity(host: Host) -> paramiko.PKey:
    return paramiko.PKey.from_path(str(host.identity_file))


def connect(host: Host) -> Link:
    assert host.jump
    jump = to_jump(host)
    try:
        jump.auth_publickey(host.jump.user, identity(host))
        target = through(jump, host.address, host.port)
        target.auth_publickey(host.user, identity(host))
    except BaseException:
        jump.close()
        raise
    return Link(jump, target)


def known(host: Host, alias: str | None) -> str:
    """The base64 key filed under that name."""
    for line in host.known_hosts.read_text().splitlines():
        name, _, key = line.split()
        if name == alias:
            return key
    raise AssertionError(f"{alias} is not in {host.known_hosts}")


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that must come true, for as long as a crowded machine may need."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


def _hello(sock: socket.socket | paramiko.Channel) -> paramiko.Transport:
    transport = paramiko.Transport(sock)
    transport.get_security_options().ciphers = CIPHERS
    transport.start_client(timeout=PATIENCE)
    return transport
