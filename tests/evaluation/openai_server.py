"""A small OpenAI-compatible server that can be told to misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Do = Callable[["Asked"], None]


class Handler(BaseHTTPRequestHandler):
    """One request. `server.owner` decides what becomes of it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        owner: OpenAIServer = self.server.owner  # type: ignore[attr-defined]
        if owner.models is None:
            self.send_error(404)
            return
        self.give(200, {"data": [{"id": m} for m in owner.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner: OpenAIServer = self.server.owner  # type: ignore[attr-defined]
        with suppress(BrokenPipeError, ConnectionResetError):
            owner.handle(Asked(self, body, dict(self.headers)))

    def give(self, status: int, document: Any, **headers: str) -> None:
        self.raw(status, json.dumps(document).encode(), **headers)

    def raw(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Asked:
    """A request and the ways to answer it. n: how many there were before."""

    handler: Handler
    body: dict[str, Any]
    headers: dict[str, str]
    n: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def question(self) -> str:
        return str(self.body["messages"][0]["content"])

    def answer(self, text: str | None, finish: str = "stop", tokens: int | None = None) -> None:
        self.handler.give(
            200,
            {
                "model": self.body["model"],
                "choices": [{"message": {"content": text}, "finish_reason": finish}],
                "usage": {"completion_tokens": tokens, "prompt_tokens": 7},
            },
        )

    def status(self, code: int, text: str = "{}", **headers: str) -> None:
        self.handler.raw(code, text.encode(), **headers)

    def stall(self) -> None:
        """Silent until the server is closed."""
        self.release.wait(60)
        self.handler.close_connection = True

    def hang_up(self) -> None:
        self.handler.close_connection = True
        self.handler.connection.close()

    def half(self) -> None:
        """Promises more than it sends."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Length", "1000")
        self.handler.end_headers()
        self.handler.wfile.write(b'{"choices": [')
        self.handler.close_connection = True

    def drip(self) -> None:
        """Never silent for long, and never done."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Length", "1000000")
        self.handler.end_headers()
        while not self.release.wait(0.05):
            self.handler.wfile.write(b" ")

    def stream(self, pieces: list[str], *, usage: int | None = None, done: bool = True) -> None:
        with self.streaming() as send:
            for piece in pieces:
                send({"choices": [{"delta": {"content": piece}, "finish_reason": None}]})
            send({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            if usage is not None:
                send({"choices": [], "usage": {"completion_tokens": usage}})
            if done:
                send(None)

    @contextmanager
    def streaming(self) -> Iterator[Callable[[Any], None]]:
        """send(document), send(None) for the end, send(bytes) as it is."""
        out = self.handler
        out.send_response(200)
        out.send_header("Content-Type", "text/event-stream")
        out.send_header("Transfer-Encoding", "chunked")
        out.end_headers()

        def send(document: Any) -> None:
            data = document
            if not isinstance(document, bytes):
                text = b"[DONE]" if document is None else json.dumps(document).encode()
                data = b"data: " + text + b"\n\n"
            out.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        yield send
        out.wfile.write(b"0\r\n\r\n")


class OpenAIServer:
    """do: what becomes of each request; it may be set anew at any time."""

    def __init__(self, do: Do, models: list[str] | None = None) -> None:
        self.do, self.models = do, models
        self.asked: list[Asked] = []
        self.came = threading.Condition()
        self._release = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.owner = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def questions(self) -> list[str]:
        return [a.question for a in self.asked]

    def handle(self, asked: Asked) -> None:
        with self.came:
            asked.n, asked.release = len(self.asked), self._release
            self.asked.append(asked)
            self.came.notify_all()
        self.do(asked)

    def wait_for(self, n: int, timeout: float = 30.0) -> bool:
        with self.came:
            return self.came.wait_for(lambda: len(self.asked) >= n, timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._http.shutdown()
        self._http.server_close()
