"""Talking to a running server of the sandbox over its control socket."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from core import errors
from core.errors import EnvironmentProblem, QAError
from remote.sandbox.files import Layout
from remote.sandbox.records import Record

ANSWER_S = 30.0


def ask(layout: Layout, record: Record, line: str) -> dict[str, Any]:
    """One line and its answer. Raises what the server says; EnvironmentProblem if it says nothing."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(ANSWER_S)
            s.connect(record.control)
            s.sendall(line.encode() + b"\n")
            heard = b""
            while not heard.endswith(b"\n"):
                data = s.recv(65536)
                if not data:
                    raise ConnectionError("it hung up")
                heard += data
    except OSError as exc:
        gone = not record.alive
        raise EnvironmentProblem(
            "the sandbox ended unexpectedly" if gone else "the sandbox does not answer",
            why=last_line(layout) if gone else str(exc),
            try_next=f"see {layout.log}",
        ) from exc
    return answer(heard)


def answer(line: bytes) -> dict[str, Any]:
    """A JSON line of the server. Raises the error that it carries."""
    message: dict[str, Any] = json.loads(line)
    if "error" in message:
        raise _carried(message)
    return message


def last_line(layout: Layout) -> str:
    """Of the servers' log."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path(layout.log).read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _carried(message: dict[str, Any]) -> QAError:
    """The error of the server process, as the same type here."""
    kind = getattr(errors, str(message["error"]), QAError)
    if not (isinstance(kind, type) and issubclass(kind, QAError)):
        kind = QAError
    return kind(
        str(message["what"]),
        why=str(message.get("why", "")),
        try_next=str(message.get("try_next", "")),
    )
