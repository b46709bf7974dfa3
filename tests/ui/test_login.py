"""Logging in from inside the app: what a hop asks appears in a dialog, and only the hop gets the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from remote.linking.living import disconnect
from remote.sandbox import Sandbox
from remote.sandbox.sandbox import PASSCODE
from tests.ui.conftest import NARROW, WIDE, make_app, running, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tui.app import ControlCentre
from tui.desk.workbench import Workbench
from tui.widgets.confirm import Problem
from tui.widgets.login import HostKey, Login

EVIL = "\x1b]52;c;aGk=\x07[red]Duo[/red]\u202e"
KEY = {
    "hop": "jump jump.example.org",
    "name": "jump.example.org",
    "key_type": "ssh-ed25519",
    "fingerprint": "SHA256:abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
}


def asking(root: Path, ask: Any) -> FakeDesk:
    desk = FakeDesk(root / "jobs", "off")
    desk.logs_in = ask
    return desk


async def test_two_prompts_one_dialog_dots_only_where_asked(tmp_path: Path) -> None:
    desk = asking(
        tmp_path, lambda p: p.answer("jump host", EVIL, [("Password: ", False), ("Passcode", True)])
    )
    app = make_app(desk)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: isinstance(app.screen, Login))
        await until(pilot, lambda: "[red]Duo[/red]" in shown(app))
        seen = shown(app)
        assert "\x1b" not in seen and "\u202e" not in seen
        await write(pilot, "s3cret")
        assert "s3cret" not in shown(app)
        await pilot.press("enter")
        await write(pilot, "123456")
        await until(pilot, lambda: "123456" in shown(app))
        fields = list(app.screen.query(Input))
        await pilot.press("enter")
        await until(pilot, lambda: desk.logged_in == ["s3cret", "123456"])
        assert [f.value for f in fields] == ["", ""]
        assert not app.screen.query("#answer-0")
    assert app.defects == []


async def test_escape_answers_no(tmp_path: Path) -> None:
    said: list[Any] = []
    desk = asking(tmp_path, lambda p: said.append(p.secret("key", "Passphrase")))
    app = make_app(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, Login))
        await pilot.press("escape")
        await until(pilot, lambda: said == [None])


async def test_a_server_that_asks_nothing_is_answered_without_a_dialog(tmp_path: Path) -> None:
    desk = asking(tmp_path, lambda p: p.answer("jump host", "Welcome", []))
    async with running(tmp_path, desk=desk) as (_, pilot, _desk):
        await until(pilot, lambda: desk.logged_in == [])


@pytest.mark.parametrize(
    ("typed", "verdict"), [("", False), ("y", False), ("yes", False), ("accept", True)]
)
async def test_an_unknown_host_key_needs_the_word(
    tmp_path: Path, typed: str, verdict: bool
) -> None:
    desk = asking(tmp_path, lambda p: p.accept_host_key(**KEY))
    app = make_app(desk)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HostKey))
        for part in (KEY["hop"], KEY["key_type"], KEY["fingerprint"], "accept"):
            await until(pilot, lambda: part in shown(app), part)  # noqa: B023
        await write(pilot, typed)
        await pilot.press("enter")
        await until(pilot, lambda: desk.logged_in is verdict)


async def test_the_second_factor_of_a_real_jump_host_is_typed_into_the_app(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box", second_factor=True) as box:
        desk = Workbench("gh200")
        desk.line._host = box.host
        app = ControlCentre(desk)
        async with app.run_test(size=WIDE) as pilot:
            for secret in (box.password, PASSCODE):
                await until(pilot, lambda: isinstance(app.screen, Login))
                dialog = app.screen
                await write(pilot, secret)
                await pilot.press("enter")
                await until(pilot, lambda: app.screen is not dialog)  # noqa: B023
            await until(pilot, lambda: desk.link().state == "up")
            await until(pilot, lambda: all(w.is_finished for w in app.workers), "the connecting")
            assert disconnect(box.host.name)
            await until(pilot, lambda: desk.link().needs_you, "the loss")
            await pilot.press("ctrl+r")
            await until(pilot, lambda: isinstance(app.screen, Login))
            await pilot.press("escape")
            await until(
                pilot, lambda: isinstance(app.screen, Problem) or "Not connected" in told(app)
            )
        desk.close()
        for path in (tmp_path / "state").rglob("*"):
            if path.is_file():
                assert box.password.encode() not in path.read_bytes()
    assert app.defects == []
