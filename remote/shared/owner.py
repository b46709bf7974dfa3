"""One authenticated connection for every process of this user: its owner serves a unix socket.

The process that holds a Route gives others commands on the host, and ways to its loopback ports, each as
a channel of the one connection (`remote.shared.channel` says how). Only this user gets in: the socket is
0600 in a folder 0700, and the peer's uid is asked of the kernel. Who connects is asked through it for
what the login needs (`remote.linking.prompts`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from core import locations
from core.errors import EnvironmentProblem
from remote.linking.definition import link_name, version, way
from remote.shared.greeting import peer_uid

if TYPE_CHECKING:
    from remote.hosts import Host
    from remote.route import Route
    from remote.shared.channel import Client
    from remote.shared.route import SharedRoute

LOCK_TRIES, LOCK_TURN_S = 4, 0.01
LONGEST = 100  # bytes of a socket's path: 104 on macOS, 108 on Linux

_sharings: WeakKeyDictionary[Any, Sharing] = WeakKeyDictionary()


def run_folder() -> Path:
    """Where the sockets are: a folder that only we may enter."""
    folder = locations.state_dir() / "run"
    if len(os.fsencode(folder)) + 22 > LONGEST:
        mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        import tempfile

        folder = Path(tempfile.gettempdir()) / f"{locations.APP}-{os.getuid()}-{mark}"
    return folder


def socket_path(host: Host) -> Path:
    """Where the owner of the connection to that host listens."""
    return socket_named(link_name(host))


def socket_named(link: str) -> Path:
    """By the name of a link: that of the host, but for private sandboxes."""
    return run_folder() / (hashlib.sha256(link.encode()).hexdigest()[:16] + ".sock")


def private_folder(folder: Path) -> None:
    """Make it, or see that nobody else has. Raises EnvironmentProblem."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise EnvironmentProblem(
            f"{folder} is not ours",
            why="connections are shared only through a folder nobody else can enter",
            try_next="remove it, or set QA_STATE to a folder of yours",
        )
    if info.st_mode & 0o077:
        folder.chmod(0o700)


def attach(host: Host) -> SharedRoute | None:
    """The connection another process of this user holds to that host; None if there is none."""
    from remote.shared.route import SharedRoute

    route = SharedRoute(host, socket_path(host))
    return route if route.connect() else None


@contextlib.contextmanager
def socket_of(route: object) -> Iterator[Path | None]:
    """The socket of a connection, for a program that is to use it: served for as long if it is not yet.

    None if it cannot be shared (a process on this machine).
    """
    own = getattr(route, "socket", None)
    if isinstance(own, Path):
        yield own
    elif hasattr(route, "session") and hasattr(route, "host"):
        running = _sharings.get(route)
        if running is not None and running.serving:
            yield running.path
            return
        import tempfile

        with tempfile.TemporaryDirectory(prefix="qa-", dir=_short_folder()) as folder:
            sharing = Sharing(route, Path(folder) / "s")  # type: ignore[arg-type]
            sharing.start()
            try:
                yield sharing.path
            finally:
                sharing.stop()
    else:
        yield None


def _short_folder() -> str | None:
    import tempfile

    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) < LONGEST - 30 else "/tmp"


class Sharing:
    """Serves one Route, for as long as that object is used; its reconnections do not matter here."""

    def __init__(
        self,
        route: Route,
        path: Path | None = None,
        *,
        leave: Callable[[], None] | None = None,
        of: str | None = None,
    ) -> None:
        """leave: ends the process, where it is there for this only.  of: the version of its code."""
        self.route = route
        self.path = path or socket_path(route.host)
        self.way, self.version = way(route.host), of or version()
        self.is_process, self._leave = leave is not None, leave
        self.logging_in = threading.Lock()
        self.since = time.time()
        self._left = time.monotonic()
        self._own = path is None
        self._socket: socket.socket | None = None
        self._lock = -1
        self._clients: set[Client] = set()
        self._guard = threading.Lock()

    @property
    def serving(self) -> bool:
        return self._socket is not None

    @property
    def reachable(self) -> bool:
        """Is the socket still ours, where others look for it?"""
        listening = self._socket
        try:
            return listening is not None and self.path.stat().st_ino == self._ino
        except OSError:
            return False

    @property
    def idle_s(self) -> float:
        """Seconds since the last client left; 0 while there is one."""
        with self._guard:
            return 0.0 if self._clients else time.monotonic() - self._left

    def start(self) -> bool:
        """False where another process serves that host already. Raises EnvironmentProblem."""
        private_folder(self.path.parent)
        self._lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        if not self._locked():
            self._unlock()
            return False
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()  # of an owner that was killed: the lock is ours
            before = os.umask(0o177)
            try:
                listening.bind(str(self.path))
            finally:
                os.umask(before)
            self.path.chmod(0o600)
            self._ino = self.path.stat().st_ino
            listening.listen(64)
        except OSError as e:
            listening.close()
            self._unlock()
            raise EnvironmentProblem(
                f"{self.path}: no socket can be made there",
                why=e.strerror or str(e),
                try_next="QA_STATE moves it; it must be on a local disk and its path short",
            ) from e
        self._socket = listening
        if self._own:
            _sharings[self.route] = self
        self.route.on_lost.append(self._stir)
        self.route.on_up.append(self._stir)
        threading.Thread(target=self._accept, args=(listening,), name="share", daemon=True).start()
        return True

    def stop(self) -> None:
        """No new clients; those there are lose the link."""
        self._stop_listening()
        with self._guard:
            clients = list(self._clients)
        for client in clients:
            client.end()
        for client in clients:
            client.join(5.0)
        self._unlock()

    def _stop_listening(self) -> None:
        with self._guard:
            ours = self.reachable
            listening, self._socket = self._socket, None
        if listening is None:
            return
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for calls in (self.route.on_lost, self.route.on_up):
            if self._stir in calls:
                calls.remove(self._stir)
        if ours:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Sharing:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def clients(self) -> int:
        return len(self._clients)

    def _locked(self) -> bool:
        """Once more, a little later, where it is held: a program that only looks whether there is a link
        process holds it for an instant. Raises EnvironmentProblem.
        """
        for left in reversed(range(LOCK_TRIES)):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if left:
                    time.sleep(LOCK_TURN_S)
            except OSError as e:
                self._unlock()
                raise EnvironmentProblem(
                    f"{self.path.parent}: nothing can be locked there",
                    why=e.strerror or str(e),
                    try_next="QA_STATE moves it; it must be on a local disk",
                ) from e
        return False

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _accept(self, listening: socket.socket) -> None:
        from remote.shared.channel import Client

        while self._socket is listening:
            try:
                sock, _ = listening.accept()
            except OSError:
                if self._socket is listening:
                    time.sleep(0.1)  # out of descriptors: it may pass
                continue
            client: Client | None = None
            try:
                if peer_uid(sock) != os.getuid():
                    sock.close()
                    continue
                client = Client(self, sock)
                with self._guard:
                    self._clients.add(client)
                client.start()
            except (OSError, RuntimeError):  # it has gone, or there is no thread for it: the next
                sock.close()
                with self._guard:
                    self._clients -= {client}

    def dismiss(self) -> None:
        """A client wants this process to end; does nothing where it has other work."""
        if self._leave is None:
            return
        self._stop_listening()  # who comes now starts another one
        with self._guard:
            clients = list(self._clients)
        for client in clients:
            client.farewell()
        self._leave()

    def gone(self, client: Client) -> None:
        """A client has ended."""
        with self._guard:
            self._clients.discard(client)
            self._left = time.monotonic()

    def _stir(self) -> None:
        """The link was lost, or is up."""
        with self._guard:
            clients = list(self._clients)
        for client in clients:
            client.stirred.set()
