"""The one authenticated way to a host: laptop → jump host → host. Everything travels on it."""

from __future__ import annotations

import secrets
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paramiko

from core.errors import LinkLost, QAError, RouteError
from remote.agent_zip import agent_argv, agent_zip
from remote.auth import NoPrompter, Prompter
from remote.helper_client import Duplex, HelperClient, start_agent
from remote.hosts import Host
from remote.leg import CHANNEL_S, Leg, Spot, dial, open_leg, tunnel
from remote.status import Hop, LinkStatus, State

PING_S = 1.0
DEADLINE_S = 3.0  # without a reply to a ping, nor anything else
BUSY_BYTES = 1 << 16  # a sender that still gets rid of this much is not cut off, only slow
MAX_OUTPUT = 8 << 20

__all__ = ["Completed", "Hop", "LinkStatus", "Route"]


@dataclass(frozen=True, slots=True)
class Completed:
    """code: exit code, or -1 if a signal ended it."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class Route:
    """One route to one host. Calls block and may come from any thread; `status()` never blocks."""

    def __init__(self, host: Host, prompter: Prompter | None = None) -> None:
        self.host = host
        self.on_lost: list[Callable[[], None]] = []
        self._prompter = prompter or NoPrompter()
        self._spots = _spots(host)
        self._legs: list[Leg] = []
        self._helper: HelperClient | None = None
        self._state: State = "off"
        self._error: QAError | None = None
        self._opening = threading.RLock()
        self._helper_lock = threading.Lock()

    # -- up and down ------------------------------------------------------------------------

    def open(self) -> None:
        """Raises a RouteError that names the hop; Cancelled. Does nothing if it is up."""
        with self._opening:
            if self.alive:
                return
            self._notice()
            self._drop()
            self._state, self._error = "connecting", None
            try:
                for spot in self._spots:
                    sock: Any = tunnel(self._legs[-1], spot) if self._legs else dial(spot)
                    self._legs.append(open_leg(spot, sock, self._prompter))
            except BaseException as e:
                self._drop()
                self._state = "failed"
                self._error = e if isinstance(e, QAError) else RouteError(str(e) or repr(e))
                raise
            self._state = "up"
            legs = list(self._legs)
            for work in (self._ping, self._watch):
                threading.Thread(target=work, args=(legs,), name="link", daemon=True).start()

    def ask_through(self, prompter: Prompter) -> None:
        """Who is asked from the next login on."""
        self._prompter = prompter

    def reopen(self) -> None:
        with self._opening:
            self.close()
            self.open()

    def ensure(self) -> Route:
        """Up, or opened again without asking anyone. Raises LinkLost where a person must log in."""
        if self.alive:
            return self
        with self._opening:
            if self.alive:
                return self
            self._notice()
            if self._needs_human:
                raise LinkLost(
                    f"the link to {self.host.name} was cut, and its login needs you",
                    try_next="connect again by hand",
                )
            self.open()
        return self

    def close(self) -> None:
        with self._opening:
            self._drop()
            self._state, self._error = "off", None

    def __enter__(self) -> Route:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        return self._state == "up" and all(leg.transport.is_active() for leg in self._legs)

    def status(self) -> LinkStatus:
        """Stored values only."""
        legs = list(self._legs)
        rtts = {leg.spot: leg.rtt_ms for leg in legs}
        state = self._state
        if state == "up" and not self.alive:
            state = "lost"  # the watcher will say so in a moment
        return LinkStatus(
            state=state,
            hops=tuple(Hop(spot.title, rtts.get(spot)) for spot in self._spots),
            last_heard=legs[-1].meter.heard if len(legs) == len(self._spots) else self._heard,
            error=self._error,
        )

    _heard: float | None = None
    _needs_human = False

    def _drop(self) -> None:
        """Close everything, the outermost socket first: the inner ones then cannot wait for it."""
        legs, self._legs = self._legs, []
        helper, self._helper = self._helper, None
        if legs:
            self._heard = legs[-1].meter.heard
            self._needs_human = any(leg.human for leg in legs)
            legs[0].meter.close()
        for leg in legs:
            leg.transport.close()
        if helper is not None:
            helper.close()

    def _notice(self) -> None:
        """A loss the watcher has not come to yet."""
        if self._state == "up" and self._legs:
            self._lost(self._legs, "the connection was closed")

    def _lost(self, legs: list[Leg], why: str) -> None:
        with self._opening:
            if not self._legs or self._legs[0] is not legs[0]:
                return  # closed or opened anew meanwhile
            self._drop()
            self._state = "lost"
            self._error = LinkLost(
                f"the link to {self.host.name} was cut",
                why=why,
                try_next="running jobs are not touched by this; connect again",
            )
        for call in self.on_lost:
            call()

    def _ping(self, legs: list[Leg]) -> None:
        while legs[0].transport.is_active() and legs[-1].transport.is_active():
            for leg in legs:
                try:
                    leg.ping()
                except (paramiko.SSHException, EOFError, OSError):
                    return  # the watcher sees it too
            time.sleep(PING_S)

    def _watch(self, legs: list[Leg]) -> None:
        """Names the hop whose answer stays out, or that closed the connection."""
        sent = [(leg.meter.sent, time.monotonic()) for leg in legs]
        while self._legs and self._legs[0] is legs[0]:
            now = time.monotonic()
            for i, leg in enumerate(legs):
                if not leg.transport.is_active():
                    self._lost(legs, f"{leg.spot.title} closed the connection")
                    return
                if leg.meter.sent - sent[i][0] > BUSY_BYTES:
                    sent[i] = (leg.meter.sent, now)
                silent = leg.asked is not None and now - max(leg.asked, leg.meter.heard)
                if silent > DEADLINE_S and now - sent[i][1] > DEADLINE_S:
                    self._lost(legs, f"{leg.spot.title} has not answered for {DEADLINE_S:.0f} s")
                    return
            time.sleep(0.2)

    # -- use --------------------------------------------------------------------------------

    def session(self) -> paramiko.Channel:
        """A new channel on the host. Raises LinkLost."""
        legs = list(self._legs)
        if not self.alive or not legs:
            raise (
                self._error
                if isinstance(self._error, LinkLost)
                else LinkLost(f"there is no link to {self.host.name}", try_next="connect first")
            )
        try:
            return legs[-1].transport.open_session(timeout=CHANNEL_S)
        except (paramiko.SSHException, EOFError, OSError) as e:
            raise LinkLost(
                f"{self.host.name} gave no channel", why=str(e), try_next="connect again"
            ) from e

    def execute(self, argv: Sequence[str]) -> ChannelDuplex:
        """Start a command; its stdin and stdout as a Duplex."""
        channel = self.session()
        # The login shell may be any; what it is given is one word for /bin/sh.
        command = "exec /bin/sh -c " + shlex.quote("exec " + shlex.join(argv))
        try:
            channel.exec_command(command)
            _nudge(channel)
        except (paramiko.SSHException, EOFError, OSError) as e:
            channel.close()
            raise LinkLost(
                f"{self.host.name} did not start a command", why=str(e), try_next="connect again"
            ) from e
        return ChannelDuplex(channel)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        input: bytes = b"",
        max_output: int = MAX_OUTPUT,
    ) -> Completed:
        """Run to the end. Raises LinkLost; RouteError if it takes or prints too much.

        Our side never half-closes a channel: an end that crosses the far side's close would end the
        whole connection. So `head` on the host makes the end of the input.
        """
        if any("\0" in word for word in argv):
            raise RouteError("a NUL cannot be part of a command")
        script = f"head -c {len(input)} | {shlex.join(argv)}" if input else shlex.join(argv)
        redirect = "" if input else " </dev/null"
        stream = self.execute(["/bin/sh", "-c", script + redirect])
        try:
            if input:
                stream.send(input)
            return stream.collect(time.monotonic() + timeout, max_output, argv[0])
        finally:
            stream.close()

    def sftp(self) -> paramiko.SFTPClient:
        """For single small files; `remote.sync` moves many."""
        if not self.alive:
            raise LinkLost(f"there is no link to {self.host.name}", try_next="connect first")
        client = paramiko.SFTPClient.from_transport(self._legs[-1].transport)
        if client is None:
            raise RouteError(f"{self.host.name} offers no SFTP")
        return client

    def agent(self, *words: str, bare: bool = True) -> Duplex:
        """Start an agent command; bare=False: with the packages and environment of the jobs."""
        token = secrets.token_hex(8)
        argv = agent_argv(self.host.python, self.host.workdir, token, words, bare=bare)
        if not bare and self.host.env:
            argv = ["env", *(f"{k}={v}" for k, v in self.host.env.items()), *argv]
        stream = self.execute(argv)
        try:
            return start_agent(stream, token, self.host.python)
        except BaseException:
            stream.close()
            raise

    def helper(self) -> HelperClient:
        """The one helper of this route, started on first use."""
        with self._helper_lock:
            if self._helper is None or not self._helper.alive:
                where = f"{self.host.workdir.rstrip('/')}/agent/{agent_zip().name}"
                self._helper = HelperClient(self.agent("helper", self.host.workdir, where))
            return self._helper


class ChannelDuplex:
    """A paramiko channel as a Duplex: an end of the bytes is told from an end of the link."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def send(self, data: bytes) -> None:
        if self._channel.gettimeout() is not None:
            self._channel.settimeout(None)  # what recv set would hold for sending too
        try:
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise _cut() from e

    def recv(self, timeout: float | None = None) -> bytes:
        if self._channel.gettimeout() != timeout:
            self._channel.settimeout(timeout)
        try:
            data = self._channel.recv(1 << 17)
        except TimeoutError:
            raise
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise _cut() from e
        if not data and not self._channel.get_transport().is_active():
            raise _cut()
        return data

    def exit_status(self) -> int | None:
        """Waits a little: it comes after the end of the output."""
        self._channel.status_event.wait(5.0)
        return self._channel.exit_status if self._channel.exit_status_ready() else None

    def stderr_tail(self) -> str:
        data = b""
        while self._channel.recv_stderr_ready():
            data = (data + self._channel.recv_stderr(65536))[-4096:]
        return data.decode("utf-8", "replace")

    def collect(self, until: float, max_output: int, name: str) -> Completed:
        """stdout and stderr to their end."""
        channel, parts = self._channel, ([], [])  # type: ignore[var-annotated]
        size, pause, nudges = 0, 0.002, 3
        while True:
            ended = channel.exit_status_ready() and (channel.eof_received or channel.closed)
            moved = False
            for ready, read, part in (
                (channel.recv_ready, channel.recv, parts[0]),
                (channel.recv_stderr_ready, channel.recv_stderr, parts[1]),
            ):
                while ready():
                    data = read(65536)
                    size += len(data)
                    part.append(data)
                    moved = bool(data) or moved
                    if size > max_output:
                        raise RouteError(f"{name} printed more than {max_output} bytes")
                    if not data:
                        break
            if ended and not moved:
                break
            if not channel.get_transport().is_active():
                raise _cut()
            if time.monotonic() > until:
                raise RouteError(
                    f"{name} did not end in time on the host",
                    try_next="the host may be overloaded; try again",
                )
            if nudges and (moved or channel.eof_received):
                nudges -= 1
                _nudge(channel)
            pause = 0.002 if moved else min(pause * 1.5, 0.05)
            time.sleep(pause)
        return Completed(channel.exit_status, b"".join(parts[0]), b"".join(parts[1]))

    def close(self) -> None:
        self._channel.close()


def _nudge(channel: paramiko.Channel) -> None:
    """Send something of no meaning: it ends the far side's wait for our acknowledgement (40 ms).

    paramiko's send_ignore would do, but is malformed, and stricter servers hang up on it.
    """
    channel.get_transport().global_request("keepalive@openssh.com", wait=False)


def _cut() -> LinkLost:
    return LinkLost(
        "the link to the host was cut",
        why="running jobs are not touched by this",
        try_next="connect again; the log goes on where it stopped",
    )


def _spots(host: Host) -> list[Spot]:
    files = (host.known_hosts, host.known_hosts_also)
    last = Spot(
        f"host {host.name}",
        host.address,
        host.port,
        host.user,
        host.host_key_alias,
        host.identity_file,
        *files,
    )
    if host.jump is None:
        return [last]
    j = host.jump
    title = f"jump host {j.host_key_alias or j.address}"
    key = j.identity_file or host.identity_file
    return [Spot(title, j.address, j.port, j.user, j.host_key_alias, key, *files), last]
