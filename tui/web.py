"""The app behind textual-serve on 127.0.0.1, with a gate in front of every request.

The address printed holds a token. Who opens it first gets a cookie, and the token is worth nothing
afterwards; everything without the cookie is answered with 403. The gate also refuses names other than
this machine's own (a foreign page that had its name point here) and foreign origins.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from core.errors import PortTaken

LOOPBACK = "127.0.0.1"
COOKIE = "access_qa_desk"
# the page asks nobody else for anything, and tells nobody where it was
AT_HOME = {
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; connect-src 'self'"
    " ws://127.0.0.1:* ws://localhost:*; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Lets one browser in. `token` is good for one request; `key` is what the cookie holds then."""

    def __init__(self, port: int) -> None:
        self.token: str | None = secrets.token_urlsafe(24)
        self.key = secrets.token_urlsafe(32)
        self._names = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}
        self.address = f"http://{LOOPBACK}:{port}/?token={self.token}"

    def at_home(self, request: web.Request) -> bool:
        """Asked under this machine's own name, and not by a page of another one."""
        origin = request.headers.get("Origin")
        return request.host in self._names and (
            origin is None or urlsplit(origin).netloc in self._names
        )

    def has_key(self, request: web.Request) -> bool:
        return secrets.compare_digest(request.cookies.get(COOKIE, "").encode(), self.key.encode())

    def spend(self, given: str) -> bool:
        """Whether `given` is the token; it is used up by that."""
        if self.token is None or not secrets.compare_digest(given.encode(), self.token.encode()):
            return False
        self.token = None
        return True

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.at_home(request):
            raise web.HTTPForbidden(text="not from here")
        if self.has_key(request):
            return await handler(request)
        if request.path == "/" and self.spend(request.query.get("token", "")):
            answer = web.HTTPSeeOther("/")  # the token leaves the address bar
            answer.set_cookie(COOKIE, self.key, httponly=True, samesite="Strict", path="/")
            return answer
        raise web.HTTPForbidden(text="This address was used already, or is not right.\n")


class GatedServer(Server):
    """textual-serve's, on loopback alone and behind the gate."""

    def __init__(self, command: str, listening: socket.socket) -> None:
        port = int(listening.getsockname()[1])
        super().__init__(command, host=LOOPBACK, port=port, title="ACCESS QA Control")
        self.listening = listening
        self.gate = Gate(port)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await self.gate.answer(request, handler)
            if not answer.prepared:
                answer.headers.update(AT_HOME)
            return answer

        app.middlewares.append(guard)
        return app

    def initialize_logging(self) -> None:
        """Its own would print the values of variables with every trace."""

    async def on_startup(self, app: web.Application) -> None:
        """Nothing yet: the address is told once somebody listens there."""

    def serve(self, debug: bool = False) -> None:
        """Until Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            web.run_app(
                self._make_app(), sock=self.listening, print=self._announce, access_log=None
            )

    def _announce(self, *_: object) -> None:
        print(self.gate.address, flush=True)
        print(
            "opens the app once, in a browser of this machine; ctrl+c ends it, jobs go on",
            file=sys.stderr,
            flush=True,
        )


def command(host: str, *, read_only: bool) -> str:
    """What runs for the browser: this program again."""
    words = [sys.executable, "-m", "tui.cli", "app", "--host", host]
    return shlex.join([*words, "--read-only"] if read_only else words)


def serve(host: str, port: int, *, read_only: bool = False) -> None:
    """Serve until Ctrl-C. port: 0 takes a free one.  Raises PortTaken."""
    GatedServer(command(host, read_only=read_only), bound(port)).serve()


def bound(port: int) -> socket.socket:
    """A socket on loopback, and nowhere else."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((LOOPBACK, port))
    except OSError as e:
        made.close()
        raise PortTaken(
            f"port {port} on {LOOPBACK} cannot be used", why=str(e), try_next="--port 0"
        ) from e
    return made
