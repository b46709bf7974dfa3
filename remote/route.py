"""The one authenticated way to a host: laptop → jump hosts → host. Everything travels on it."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import paramiko

from core.errors import LinkLost, QAError, RouteError, SessionsFull
from remote.auth import NoPrompter, Prompter
from remote.authentication.keys import KeyRing
from remote.channel import ChannelDuplex, nudge
from remote.commands import Commands, Completed
from remote.hosts import Host
from remote.leg import CHANNEL_S, Greeted, Leg, Spot, greet, log_in, reached, tunnel
from remote.pulse import Pulse
from remote.spots import spots
from remote.status import Hop, LinkStatus, State

if TYPE_CHECKING:
    from remote.keeper import Keeper

SESSIONS_WAIT_S = 5.0  # for a session to become free where the host permits only so many

__all__ = ["ChannelDuplex", "Completed", "Hop", "LinkStatus", "Route"]


class Route(Commands):
    """One route to one host. Calls block and may come from any thread; `status()` never blocks.

    on_lost, on_up: called after the link was cut or came up, in whichever thread noticed; to be quick.
    first: reaches the first hop.
    """

    def __init__(
        self,
        host: Host,
        prompter: Prompter | None = None,
        first: Callable[[Spot], Greeted] = reached,
    ) -> None:
        super().__init__()
        self.host = host
        self.on_lost: list[Callable[[], None]] = []
        self.on_up: list[Callable[[], None]] = []
        self._prompter = prompter or NoPrompter()
        self._first = first
        self._spots = spots(host)
        self._legs: list[Leg] = []
        self._pulse: Pulse | None = None
        self._ring = KeyRing()
        self._keeper: Keeper | None = None
        self._state: State = "off"
        self._error: QAError | None = None
        self._heard: float | None = None
        self._human = False  # the last login needed a person
        self._opening = threading.RLock()

    # -- up and down ------------------------------------------------------------------------

    def open(self, prompter: Prompter | None = None) -> None:
        """Raises a RouteError that names the hop; Cancelled. Does nothing if it is up.

        prompter: who is asked this once, instead of the route's own.
        """
        self._open(prompter or self._prompter)

    def _open(self, prompter: Prompter, failed: State = "failed") -> None:
        with self._opening:
            if self.alive:
                return
            self._notice()
            self._drop()
            self._state, self._error = "connecting", None
            try:
                for spot in self._spots:
                    over = self._legs[-1] if self._legs else None
                    hop = greet(spot, tunnel(over, spot)) if over else self._first(spot)
                    self._legs.append(log_in(hop, prompter, self._ring))
            except BaseException as e:
                human = self._human
                self._drop()
                self._human = human  # a login that did not come to its end says nothing of it
                self._state = failed
                self._error = (
                    e
                    if isinstance(e, QAError)
                    else RouteError(str(e) or repr(e), try_next="connect again")
                )
                raise
            legs = list(self._legs)
            self._human = any(leg.human for leg in legs)
            self._state = "up"
            self._pulse = Pulse(legs, lambda why: self._lost(legs, why))
            self._pulse.start()
        for call in list(self.on_up):
            call()

    def reopen(self, prompter: Prompter | None = None) -> None:
        with self._opening:
            self._drop()
            self._state, self._error = "off", None
            self.open(prompter)

    def ensure(self) -> Route:
        """Up, or opened again without asking anyone. Raises LinkLost where a person must log in."""
        if self.alive:
            return self
        with self._opening:
            if self.alive:
                return self
            self._notice()
            if self._human:
                raise LinkLost(
                    f"the link to {self.host.name} was cut, and its login needs you",
                    why="a password or a second factor is never tried again by itself",
                    try_next="connect again by hand",
                )
            self._open(NoPrompter(), failed="lost" if self._state == "lost" else "failed")
        return self

    def keep_up(self) -> Keeper:
        """From now on a lost link comes back by itself where no person is needed."""
        from remote.keeper import Keeper

        with self._opening:
            if self._keeper is None:
                self._keeper = Keeper(self)
                self._keeper.start()
            return self._keeper

    def close(self) -> None:
        """Down, and decrypted keys forgotten."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.stop()
        with self._opening:
            self._drop()
            self._ring.clear()
            self._state, self._error = "off", None

    def __enter__(self) -> Route:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        return self._state == "up" and all(leg.transport.is_active() for leg in self._legs)

    @property
    def needs_human(self) -> bool:
        """Would logging in again take a person?"""
        return self._human

    def status(self) -> LinkStatus:
        """Stored values only."""
        legs = list(self._legs)
        rtts = {leg.spot: leg.rtt_ms for leg in legs}
        state, keeper = self._state, self._keeper
        if state == "up" and not self.alive:
            state = "lost"  # the pulse will say so in a moment
        return LinkStatus(
            state=state,
            hops=tuple(Hop(spot.title, rtts.get(spot)) for spot in self._spots),
            last_heard=legs[-1].meter.heard if len(legs) == len(self._spots) else self._heard,
            error=self._error,
            needs_you=state == "lost"
            and (self._human or (keeper is not None and keeper.needs_you)),
            retry_at=keeper.retry_at if keeper is not None and state == "lost" else None,
        )

    def _drop(self) -> None:
        """Close everything, the outermost socket first: the inner ones then cannot wait for it."""
        legs, self._legs = self._legs, []
        helper, self._helper = self._helper, None
        pulse, self._pulse = self._pulse, None
        if pulse is not None:
            pulse.stop()
        if legs:
            self._heard = legs[-1].meter.heard
            legs[0].meter.close()
        for leg in legs:
            leg.transport.close()
        if helper is not None:
            helper.close()

    def _notice(self) -> None:
        """A loss the pulse has not come to yet."""
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
        for call in list(self.on_lost):
            call()

    # -- use --------------------------------------------------------------------------------

    def session(self) -> paramiko.Channel:
        """A new channel on the host. Raises LinkLost, SessionsFull.

        Where the host refuses one for want of sessions, it waits a little for another to end.
        """
        until = time.monotonic() + SESSIONS_WAIT_S
        pause = 0.02
        while True:
            legs = list(self._legs)
            if not self.alive or not legs:
                raise (
                    self._error
                    if isinstance(self._error, LinkLost)
                    else LinkLost(
                        f"there is no link to {self.host.name}",
                        why=self._error.what if self._error else "",
                        try_next="try again in a moment, or connect: ctrl+r in the app",
                    )
                )
            try:
                return legs[-1].transport.open_session(timeout=CHANNEL_S)
            except paramiko.ChannelException as e:
                if time.monotonic() + pause > until:
                    raise SessionsFull(
                        f"{self.host.name} permits no further session on this connection",
                        why=f"its MaxSessions may be reached ({e.text})",
                        try_next="end something that runs over the link (a followed log, a sync) and try "
                        "again; or ask the administrators for MaxSessions 10 or more",
                    ) from e
                time.sleep(pause)
                pause = min(pause * 1.6, 0.5)
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
            nudge(channel)
        except (paramiko.SSHException, EOFError, OSError) as e:
            channel.close()
            raise LinkLost(
                f"{self.host.name} did not start a command", why=str(e), try_next="connect again"
            ) from e
        return ChannelDuplex(channel)

    def sftp(self) -> paramiko.SFTPClient:
        """For single small files; `remote.sync` moves many."""
        channel = self.session()
        try:
            channel.invoke_subsystem("sftp")
            return paramiko.SFTPClient(channel)
        except (paramiko.SSHException, EOFError, OSError) as e:
            channel.close()
            raise RouteError(
                f"{self.host.name} offers no SFTP",
                why=str(e),
                try_next="qa sync needs none; or ask the administrators for the sftp subsystem",
            ) from e
