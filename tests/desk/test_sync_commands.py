"""`qa sync` and `qa tunnel` as they are typed, against the embedded host."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core import locations
from tui.cli import root
from tui.cli.sync import size, transfer_line

Qa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def qa(capfd: pytest.CaptureFixture[str]) -> Qa:
    def run(*words: str) -> tuple[int, str, str]:
        code = root.run(words)
        return (code, *capfd.readouterr())

    return run


def test_there_and_back(qa: Qa, tmp_path: Path) -> None:
    mine = tmp_path / "rows"
    mine.mkdir()
    (mine / "a\x1b[2Jb.jsonl").write_bytes(b"{}\n" * 400)
    (mine / "b.jsonl").write_bytes(b"{}\n")
    refused = qa("sync", "push", str(mine))
    assert refused[0] == 2 and "\x1b" not in refused[1] + refused[2]
    (mine / "a\x1b[2Jb.jsonl").rename(mine / "a.jsonl")
    one = tmp_path / "one [x].txt"
    one.write_text("1")

    code, out, err = qa("sync", "push", str(mine), str(one), "--to", "in/x", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0 and plan["bytes"] == 1204
    assert {c["name"]: c["kind"] for c in plan["changes"]} == {
        "in/x/rows/a.jsonl": "new",
        "in/x/rows/b.jsonl": "new",
        "in/x/one [x].txt": "new",
    }
    code, out, err = qa("sync", "push", str(mine), str(one), "--to", "in/x")
    assert code == 0 and out.startswith("3 files (1.2 kB) on sandbox, 0 were there")
    code, out, _ = qa("sync", "push", str(mine), str(one), "--to", "in/x", "--json")
    assert json.loads(out) == {"files": 0, "bytes": 0, "skipped": 3, "wire": 0}
    assert len(qa("sync", "push", str(mine), "--to", "in/x", "--dry-run")[1].splitlines()) == 4

    into = tmp_path / "back"
    code, out, err = qa("sync", "pull", "in/x", "in/x/one [x].txt", "--into", str(into))
    assert code == 0 and len(out.splitlines()) == 4
    assert (into / "x/rows/a.jsonl").read_bytes() == (mine / "a.jsonl").read_bytes()
    assert (into / "one [x].txt").read_text() == "1"
    code, out, err = qa("sync", "pull", "in/x", "--into", str(into), "--dry-run")
    assert code == 0 and "3 are the same" in err
    code, out, err = qa("sync", "pull", "nothing", "--into", str(into))
    assert code == 2 and out == "" and "no 'nothing'" in err
    assert qa("sync", "push", str(tmp_path / "none"))[0] == 2
    assert qa("sync", "push", str(mine), "--to", "../out")[0] == 2


def test_a_line_of_progress() -> None:
    from remote.sync import Transfer

    line = transfer_line(Transfer(12_500_000, 300_000_000, 98_100_000.0, 3.1, "rows.jsonl"))
    assert line == "12.5 MB of 300.0 MB   4 %   98.1 MB/s   0:03 left   rows.jsonl"
    assert transfer_line(Transfer(0, 0, 0.0, None, "")) == "0 B of 0 B   100 %   0 B/s"
    assert [size(n) for n in (0, 999, 1000, 2.5e9, 9e13)] == [
        *("0 B", "999 B", "1.0 kB", "2.5 GB", "90000.0 GB")
    ]


def test_a_tunnel_until_it_is_interrupted(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.sendall(sock.recv(100).upper())

    threading.Thread(target=answer, daemon=True).start()
    port = str(listener.getsockname()[1])
    argv = [sys.executable, "-m", "tui.cli", "tunnel", "sandbox", port]
    pipe = subprocess.PIPE
    command = subprocess.Popen(
        argv, stdout=pipe, stderr=pipe, env=os.environ, text=True,
        # a test run started in the background of a script inherits that Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert command.stdout and command.stderr
    try:
        address = command.stdout.readline().strip()
        host, _, local = address.partition(":")
        assert host == "127.0.0.1"
        with socket.create_connection((host, int(local)), 20) as sock:
            sock.settimeout(20)
            sock.sendall(b"hello")
            assert sock.recv(100) == b"HELLO"
        command.send_signal(signal.SIGINT)
        assert command.wait(30) == 0
        assert "is port" in command.stderr.read()
    finally:
        command.kill()
        command.wait()
        command.stdout.close()
        command.stderr.close()
        listener.close()


def test_the_port_is_looked_at_first(qa: Qa) -> None:
    assert qa("tunnel", "sandbox", "70000")[0] == 2
    assert qa("tunnel", "no-such-host", "80")[0] == 2
    assert not (locations.state_dir() / "sandbox").exists()
