"""The host as an operator looks at it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import HostUnreachable, QAError
from tests.openssh import OpenSSHPair
from tests.ui import fakes_host
from tests.ui.conftest import NARROW, WIDE, press, running, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tui.desk.api_host import HostKey, Setting, TunnelRow
from tui.desk.workbench import Workbench
from tui.present import host
from tui.widgets.confirm import Confirm, Problem
from tui.widgets.lists import RowList
from tui.widgets.login import Questions


async def test_the_way_with_round_trips_settings_and_keys(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await press(pilot, "9")
        screen = shown(app)
        for part in ("jump host jump.example.org", "12 ms", "31 ms", "GH200", "92 %"):
            assert part in screen
        assert "authority" in screen and "SHA256:nThbg6" in screen  # of the hop under the cursor
        await press(pilot, "j")
        assert "SHA256:uNiVz" in shown(app) and "SHA256:nThbg6" not in shown(app)


async def test_a_check_shows_the_worst_first_with_consequence_and_remedy(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, _):
        await press(pilot, "9")
        assert "not looked at yet" in shown(app)
        await press(pilot, "c")
        await until(pilot, lambda: "1 fail, 1 warn" in shown(app))
        assert app.screen.query_one(RowList).chosen == "finding packages"
        assert "torch would not see the GPU" in shown(app)


async def test_a_check_that_fails_says_why_and_can_be_asked_again(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    desk.fail["host.check"] = HostUnreachable("gh200 went away", try_next="ctrl+r")
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "9", "c")
        await until(pilot, lambda: isinstance(app.screen, Problem))
        await press(pilot, "escape")
        del desk.fail["host.check"]
        await press(pilot, "c")
        await until(pilot, lambda: "1 fail" in shown(app))


async def test_tunnels_are_opened_and_closed(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "9", "t")
        await until(pilot, lambda: isinstance(app.screen, Questions))
        await write(pilot, "8000")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: ("host.open_tunnel", 8000, 0) in desk.calls)
        await until(pilot, lambda: "127.0.0.1:45123 → port 8000" in shown(app))
        assert app.screen.query_one(RowList).chosen == "tunnel 8000" and "4.2 MB" in shown(app)
        await press(pilot, "x")
        await until(pilot, lambda: "→ port 8000" not in shown(app))


async def test_a_port_that_is_none_is_refused_with_words(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "9", "t")
        await until(pilot, lambda: isinstance(app.screen, Questions))
        await write(pilot, "http")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, Problem))
        assert "'http' is no port" in shown(app)
        assert not [c for c in desk.calls if c[0] == "host.open_tunnel"]


async def test_the_environment_is_made_after_a_yes(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "9", "F")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        assert ("host.fix",) not in desk.calls
        await pilot.press("y")
        await until(pilot, lambda: ("host.fix",) in desk.calls)
        await until(pilot, lambda: app.current_mode in ("train", "jobs"))


async def test_without_a_link_the_keys_say_why_and_the_file_s_facts_stay(tmp_path: Path) -> None:
    async with running(tmp_path, "lost") as (app, pilot, desk):
        await press(pilot, "9")
        assert "╳ host gh200" in shown(app) and "SHA256:nThbg6" in shown(app)
        await pilot.press("c")
        await until(pilot, lambda: "the link is lost to gh200" in told(app))
        assert ("host.check",) not in desk.calls


async def test_hostile_words_are_text(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07[bold red]x[/]\u202e\x00" * 40
    desk = FakeDesk(tmp_path / "jobs")
    view = fakes_host.VIEW
    desk.host.shown = replace(
        view,
        title=evil,
        hops=(evil, "host gh200"),
        settings=(Setting(evil, evil, evil), *view.settings),
        keys=(HostKey(evil, evil, "revoked", evil, evil, evil),),
        notes=(evil,),
    )
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "9", "c", "G", "g", "j", "j", "j")
        assert "[bold red]x[/]" in shown(app)
        assert not any(c in shown(app) for c in "\x1b\x07\x00\u202e")


@pytest.mark.parametrize("width", [1, 3, 60])
def test_history_keeps_peaks_and_gaps(width: int) -> None:
    shares = [0.0] * 50 + [1.0] + [0.0] * 49 + [None] * 100
    lines = host.history(shares, width, 2).plain.split("\n")
    assert len(lines) == 3 and any("█" in line for line in lines[:2])
    assert all(len(line) <= width for line in lines)


def test_a_tunnel_in_trouble_says_so() -> None:
    row = TunnelRow(8000, "127.0.0.1:9", 0, 0, 0, 0, "nothing answers at port 8000")
    assert host.tunnel_row(row, 40).plain.startswith("▲")
    assert "nothing answers" in host.tunnel_detail(row, "gh200", 60).plain


def test_the_real_desk_tells_settings_and_keys_without_connecting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known_hosts"
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIGzUa+9qCQW3nXg1mAWrQJZk9cVf4c8S4mX5cE7uJrkU"
    known.write_text(f"# mine\n[127.0.0.1]:2200 ssh-ed25519 {blob}\nother ssh-ed25519 {blob}\n")
    (tmp_path / "hosts.yaml").write_text(
        "hosts:\n  far:\n    title: Far\n    address: 127.0.0.1\n    port: 2200\n    user: me\n"
        f"    known_hosts: {known}\n    workdir: /tmp/x\n"
    )
    monkeypatch.setenv("QA_CONFIGS", str(tmp_path))
    bench = Workbench("far")
    view = bench.host.view()
    assert view.hops == ("host far",) and bench.link().state == "off"
    (key,) = view.keys
    assert (key.kind, key.where) == ("key", f"{known}:2") and key.fingerprint.startswith("SHA256:")
    assert bench.host.devices() == () and bench.host.checked() is None
    with pytest.raises(QAError, match="no tunnel"):
        bench.host.close_tunnel(8000)
    bench.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[OpenSSHPair]:
    with OpenSSHPair(tmp_path / "pair") as it:
        yield it


def test_the_real_desk_checks_and_tunnels_through_two_hops(pair: OpenSSHPair) -> None:
    bench = Workbench("gh200")
    bench.line._host = pair.host
    try:
        assert {f.id for f in bench.host.check().findings} >= {"system", "python", "disk", "clock"}
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            row = bench.host.open_tunnel(port)
            assert bench.host.open_tunnel(port) == row  # the one that is there
            here, _, local = row.address.partition(":")
            with socket.create_connection((here, int(local)), 20) as client:
                far, _ = server.accept()
                client.sendall(b"hello")
                assert far.recv(5) == b"hello"
                assert bench.host.tunnels()[0].open == 1
                far.close()
        deadline = time.monotonic() + 20
        while not bench.host.devices():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert bench.host.devices()[-1].gauge.kind == "cpu"
    finally:
        bench.close()
