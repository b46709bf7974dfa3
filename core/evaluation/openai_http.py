"""Requests to an OpenAI-compatible server, with a limit on everything.

    connect    seconds to a connection
    stall      seconds without a single byte
    total      seconds from start to the last byte
    MAX_BODY   bytes of a response

Only https, or http to this machine itself (a tunnel ends there). A key comes from a named environment
variable at the moment of the request; it is in no argument, file, log or error.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from core.errors import EnvironmentProblem, UsageError

MAX_BODY = 8 << 20
SHOWN = 300  # characters of a server's own words in an error
MAX_LINE = 1 << 20


class EndpointFailed(EnvironmentProblem):
    """The server gave no usable answer.

    status: the HTTP status, 0 without one.  again: whether the same request may yet succeed.
    after_s: seconds the server asks to be left alone.
    """

    status = 0
    again = True
    after_s: float | None = None


def _failed(
    what: str, why: str = "", *, status: int = 0, again: bool = True, after_s: float | None = None
) -> EndpointFailed:
    error = EndpointFailed(what, why=why, try_next="look at the server's own log")
    error.status, error.again, error.after_s = status, again, after_s
    return error


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds."""

    connect: float = 10.0
    stall: float = 60.0
    total: float = 300.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask. Make it with `server`.

    key_env: name of the environment variable that holds the key; "" for none.
    """

    scheme: str
    host: str
    port: int
    path: str
    key_env: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def server(url: str, key_env: str = "") -> Server:
    """Raises UsageError: not a URL, plain http to another machine, a key in it, a key variable that
    is not set.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as e:
        raise UsageError(f"not the address of a server: {url!r}", why=str(e)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            f"not the address of a server: {_without_login(url)!r}",
            try_next="for example http://127.0.0.1:8000/v1",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            f"{_without_login(url)}: an address with a login, a query or a fragment",
            try_next="give the key in an environment variable, and its name with --api-key-env",
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise UsageError(
            f"{url}: plain http to another machine",
            why="questions, answers and the key would travel unprotected",
            try_next=f"open a tunnel (`qa tunnel HOST {port or 80}`) and give "
            f"http://127.0.0.1:{port or 80}{parts.path}, or use https",
        )
    if key_env:
        _key(key_env)
    default = 443 if parts.scheme == "https" else 80
    return Server(parts.scheme, host, port or default, parts.path.rstrip("/"), key_env)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", url)


def _key(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        # perhaps the key itself, which must not be repeated
        raise UsageError(
            "--api-key-env wants the name of an environment variable",
            try_next="for example --api-key-env OPENAI_API_KEY",
        )
    key = os.environ.get(name, "")
    if not key:
        raise UsageError(
            f"the environment variable {name} is not set", try_next=f"export {name}=… and run again"
        )
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"the key in {name} has characters that no key has")
    return key


@dataclass(slots=True)
class Timing:
    """Of one request: seconds since it began; None where it did not get that far."""

    connected: float | None = None
    first: float | None = None
    last: float | None = None


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way; `cut` from another thread ends it."""

    server: Server
    limits: Limits = field(default_factory=Limits)
    timing: Timing = field(default_factory=Timing)
    _began: float = field(default_factory=time.perf_counter)
    _sock: socket.socket | None = None
    _cut: bool = False

    def cut(self) -> None:
        self._cut = True
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def elapsed(self) -> float:
        return time.perf_counter() - self._began

    def json(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST `body` (None: GET) and read one JSON document. Raises EndpointFailed."""
        data = self.bytes(path, body)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as e:
            raise _failed("the server answered with broken JSON", self._clean(str(e))) from None

    def bytes(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The same, as it is. Raises EndpointFailed: no connection, too late, too long, a status
        that is no success.
        """
        with self._answer(path, body) as response:
            data = b""
            while part := response.read1(1 << 16):
                if self.timing.first is None:
                    self.timing.first = self.elapsed()
                data += part
                if len(data) > MAX_BODY:
                    raise _failed(
                        f"the server's answer is longer than {MAX_BODY >> 20} MB", again=False
                    )
            self.timing.last = self.elapsed()
            missing = response.length
        if missing:
            raise _failed("the server stopped in the middle of its answer")
        return data

    def events(self, path: str, body: Mapping[str, Any]) -> Iterator[Any]:
        """POST `body` and read the JSON documents of a `text/event-stream`, as they come, to its
        `[DONE]`. Raises EndpointFailed; also where the stream ends without it.
        """
        with self._answer(path, body) as response:
            read = 0
            while line := response.readline(MAX_LINE + 1):
                read += len(line)
                if len(line) > MAX_LINE or read > MAX_BODY:
                    raise _failed("the server's stream is too long", again=False)
                if not line.startswith(b"data:"):
                    continue
                self.timing.last = self.elapsed()
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                try:
                    yield json.loads(data)
                except (ValueError, RecursionError) as e:
                    raise _failed("the server streamed broken JSON", self._clean(str(e))) from None
        raise _failed("the stream ended in the middle of an answer")

    @contextlib.contextmanager
    def _answer(
        self, path: str, body: Mapping[str, Any] | None
    ) -> Iterator[http.client.HTTPResponse]:
        where = self.server
        try:
            connection = self._connect()
            headers = {"Accept": "application/json, text/event-stream", "Connection": "close"}
            data = None
            if body is not None:
                data = json.dumps(body, ensure_ascii=True).encode()
                headers["Content-Type"] = "application/json"
            if where.key_env:
                headers["Authorization"] = f"Bearer {_key(where.key_env)}"
            connection.request("GET" if body is None else "POST", where.path + path, data, headers)
            response = connection.getresponse()
            if response.status != 200:
                raise self._refusal(response)
            yield response
        except EndpointFailed:
            raise
        except TimeoutError:
            if self.elapsed() >= self.limits.total:
                what = f"no whole answer within {self.limits.total:g} s"
            elif self.timing.connected is None:
                what = f"no connection within {self.limits.connect:g} s"
            else:
                what = f"the server was silent for {self.limits.stall:g} s"
            raise _failed(what, where.url) from None
        except (OSError, http.client.HTTPException, ValueError) as e:
            # ValueError: http.client of a malformed chunk or of a socket that was closed under it
            if self._cut:
                raise _failed("the request was cut off", again=False) from None
            reached = self.timing.connected is not None
            what = "the connection broke" if reached else f"nobody answers at {where.url}"
            raise _failed(what, self._clean(str(e) or type(e).__name__)) from None
        finally:
            sock, self._sock = self._sock, None
            if sock is not None:
                sock.close()

    def _connect(self) -> http.client.HTTPConnection:
        where = self.server
        limit = min(self.limits.connect, self.limits.total)
        sock = socket.create_connection((where.host, where.port), timeout=limit)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if where.scheme == "https":
                context = ssl.create_default_context()
                sock = context.wrap_socket(sock, server_hostname=where.host)
        except BaseException:
            sock.close()
            raise
        self.timing.connected = self.elapsed()
        self._sock = sock
        connection = http.client.HTTPConnection(where.host, where.port)
        timed: Any = _Timed(sock, self.limits.stall, lambda: self.limits.total - self.elapsed())
        connection.sock = timed
        if self._cut:
            self.cut()
        return connection

    def _refusal(self, response: http.client.HTTPResponse) -> EndpointFailed:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            said = self._clean(response.read(8192).decode("utf-8", "replace"))
            return _failed(
                f"the server answers {response.status} {self._clean(response.reason or '')}".strip(),
                said,
                status=response.status,
                again=response.status in (408, 409, 425, 429) or response.status >= 500,
                after_s=_seconds(response.getheader("Retry-After")),
            )
        return _failed(f"the server answers {response.status}", status=response.status)

    def _clean(self, text: str) -> str:
        """A server's words in one short line, without the key it may have repeated."""
        key = os.environ.get(self.server.key_env, "") if self.server.key_env else ""
        if key:
            text = text.replace(key, "…")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SHOWN]


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:  # a date: the usual wait will do
        return None


class _Timed:
    """A socket whose every read ends in time: after a stall, or when the request's time is over.

    A socket's own timeout starts anew with every byte: a server that sends one a minute would never
    be given up.
    """

    def __init__(self, sock: socket.socket, stall: float, left: Callable[[], float]) -> None:
        self._sock, self._stall, self._left = sock, stall, left

    def makefile(self, mode: str, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._wait), 1 << 16)

    def sendall(self, data: bytes) -> None:
        self._wait()
        self._sock.sendall(data)

    def close(self) -> None:
        """Nothing: http.client closes after the head of a last response, with its body to come."""

    def _wait(self) -> None:
        left = self._left()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(self._stall, left))


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, wait: Callable[[], None]) -> None:
        self._sock, self._wait = sock, wait

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wait()
        return self._sock.recv_into(buffer)
