"""`qa web`: the real server on loopback. Who has no token gets nothing; a token works once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import PortTaken
from tests.conftest import require

try:
    import aiohttp
    import textual_serve
except ImportError:
    aiohttp = textual_serve = None  # type: ignore[assignment]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A served app; the address that it printed."""
    require(textual_serve is not None, "textual-serve (pip install -e '.[web]')")
    process = subprocess.Popen(
        [sys.executable, "-m", "tui.cli", "web", "--read-only"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "QA_STATE": str(tmp_path / "state")},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, -signal.SIGINT, 130)
        assert process.stdout.read() == "", "the address is printed once"
    finally:
        process.kill()
        process.wait()


async def test_the_gate(server: str) -> None:
    found = re.fullmatch(r"(http://127\.0\.0\.1:(\d+))/\?token=([\w-]{32,})", server)
    assert found is not None, server
    base, port = found[1], int(found[2])
    async with aiohttp.ClientSession() as stranger:
        for path in ("/", "/?token=wrong", "/static/js/textual.js", "/ws", f"/ws?token={found[3]}"):
            async with stranger.get(base + path) as answer:
                assert answer.status == 403, path
        async with stranger.get(server, headers={"Host": f"evil.example:{port}"}) as answer:
            assert answer.status == 403, "a foreign name that points here"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as mine:
        async with mine.get(server, allow_redirects=False) as answer:
            assert answer.status == 303 and answer.headers["Location"] == "/"
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        async with mine.get(base + "/") as answer:
            assert answer.status == 200 and "ACCESS QA Control" in await answer.text()
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        async with mine.get(base + "/ws", headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 403, "a foreign page"
        async with mine.ws_connect(base + "/ws?width=100&height=30") as socket:
            seen = b""
            while b"Pilot" not in seen:
                message = await asyncio.wait_for(socket.receive(), 60)
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT)
                seen += message.data if isinstance(message.data, bytes) else message.data.encode()
            assert b"READ-ONLY" in seen
    async with aiohttp.ClientSession() as late, late.get(server) as answer:
        assert answer.status == 403, "the token was used"


async def test_only_loopback_is_bound(server: str) -> None:
    port = int(re.search(r":(\d+)/", server)[1])  # type: ignore[index]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    bound = {row[1] for row in lines if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    assert bound == {f"0100007F:{port:04X}"}
    six = Path("/proc/net/tcp6")
    assert not six.exists() or f":{port:04X} 0000000000" not in six.read_text()


def test_a_port_in_use_is_told() -> None:
    require(textual_serve is not None, "textual-serve (pip install -e '.[web]')")
    import socket

    from tui.web import bound

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortTaken):
            bound(taken.getsockname()[1])
    with bound(0) as free:
        assert free.getsockname()[0] == "127.0.0.1"


def test_the_token_is_in_no_command_line() -> None:
    require(textual_serve is not None, "textual-serve (pip install -e '.[web]')")
    from tui.web import Gate, command

    gate = Gate(8000)
    assert gate.token is not None and gate.token in gate.address
    assert "token" not in command("gh200; rm -rf /", read_only=True)
    assert "'gh200; rm -rf /' --read-only" in command("gh200; rm -rf /", read_only=True)
