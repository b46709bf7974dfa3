"""The route as the app and the commands have it: through the link process, which is started on demand."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import LinkLost
from remote.agent.frames import FrameError, FrameReader, pack
from remote.auth import NoPrompter, Prompter
from remote.linking.prompts import answered
from remote.linking.told import error_from
from remote.shared.duplex import cut, frames_within, greeted
from remote.shared.owner import socket_path
from remote.shared.route import SharedRoute
from remote.status import LinkStatus

if TYPE_CHECKING:
    from remote.hosts import Host
    from remote.keeper import Keeper

ATTEMPTS = 5


class LinkRoute(SharedRoute):
    """One object for all the connections to a host, and all the link processes, that come and go."""

    def __init__(self, host: Host, patience_s: float = 0.0) -> None:
        super().__init__(host, socket_path(host), patience_s)
        self._opening = threading.Lock()
        self._known = False  # we were attached before, so what is there now is not for us to end
        self._deserted = False  # a link process ended under us, and nobody has logged in since
        self._restart = _Restart(self)
        self._keeper: Keeper | None = None

    def open(self, prompter: Prompter | None = None) -> None:
        """Up, asking the operator through `prompter`, in this thread, for what the login needs.

        Raises RouteError, Cancelled, EnvironmentProblem.
        """
        with self._opening:
            if not self.alive:
                self._attach()
                self._deserted = False
                self._log_in(prompter or NoPrompter())

    def ensure(self) -> LinkRoute:
        """Up, or brought back without asking anyone. Raises LinkLost where a person must log in."""
        if not self.alive:
            with self._opening:
                if not self.attached and self._told.ended:
                    raise self._dismissed()
                if not self.attached and self.needs_human:
                    raise self._needs_you()
                if not self.alive:
                    self._attach()
                    self._log_in(NoPrompter())
        return self

    def keep_up(self) -> None:
        """From now on a link process that was killed is replaced, where that needs nobody."""
        from remote.keeper import Keeper

        if self._keeper is None:
            self._keeper = Keeper(self._restart)
            self._keeper.start()

    def status(self) -> LinkStatus:
        """Stored values only."""
        status, keeper = super().status(), self._keeper
        if keeper is None:
            return status
        if self._deserted and status.state == "failed":  # a new link process that needs somebody
            return replace(status, state="lost", needs_you=True)
        if self.attached or status.state != "lost":
            return status
        needs_you = self.needs_human or keeper.needs_you or self._told.ended
        return replace(status, needs_you=needs_you, retry_at=keeper.retry_at)

    def close(self) -> None:
        """Leave; the link process keeps the connection for the next one."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.stop()
        super().close()

    def _attach(self) -> None:
        from remote.linking.starting import reach

        for _ in range(ATTEMPTS):  # the one that greeted may just be ending
            if self.attached or self._watch(reach(self.host, self.socket, replace=not self._known)):
                self._known = True
                return
        raise cut()

    def _log_in(self, prompter: Prompter) -> None:
        """Have the link process connect, and answer what it asks meanwhile."""
        ask = not isinstance(prompter, NoPrompter)
        request: dict[str, Any] = {"connect": 1, "ask": ask, "patience": self.patience_s}
        if agent := os.environ.get("SSH_AUTH_SOCK"):
            request["agent"] = str(Path(agent).absolute())
        try:
            sock, _ = greeted(self.socket)
            with sock:
                sock.sendall(pack(request))
                reader = FrameReader()
                while True:
                    for header, body in frames_within(sock, reader, None):
                        if "ask" in header:
                            said = answered(prompter, header["ask"], body)
                            sock.sendall(pack({"answer": 1}, said))
                        elif "error" in header:
                            self._note(body)
                            raise error_from(header["error"])
                        elif "ok" in header:
                            self._deserted = False
                            self._note(body)
                            self._restart.came()
                            return
        except (OSError, FrameError) as e:
            raise cut() from e

    def _owner_gone(self) -> None:
        super()._owner_gone()
        if not self._told.ended:
            self._deserted = True
            self._restart.lost()

    def _dismissed(self) -> LinkLost:
        return LinkLost(
            f"the link to {self.host.name} was ended on purpose",
            why="qa hosts disconnect, or another version of this program, has ended it",
            try_next="connect again: ctrl+r in the app",
        )

    def _needs_you(self) -> LinkLost:
        return LinkLost(
            f"the link to {self.host.name} was cut, and its login needs you",
            why="a password or a second factor is never tried again by itself",
            try_next="connect again by hand",
        )


class _Restart:
    """The link process as something that a Keeper brings back."""

    def __init__(self, route: LinkRoute) -> None:
        self._route = route
        self.on_lost: list[Callable[[], None]] = []
        self.on_up: list[Callable[[], None]] = []

    @property
    def alive(self) -> bool:
        """Once attached, the link process's own keeper does the rest."""
        return self._route.attached

    @property
    def needs_human(self) -> bool:
        return self._route.needs_human

    def ensure(self) -> object:
        return self._route.ensure()

    def lost(self) -> None:
        for call in list(self.on_lost):
            call()

    def came(self) -> None:
        for call in list(self.on_up):
            call()
