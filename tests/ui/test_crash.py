"""When the app itself fails: what the log holds, what the terminal shows, and the way back in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.ui.conftest import make_app, press, settle
from tests.ui.fakes import FakeDesk
from tui import app as app_module
from tui import crash

SECRET = "hunter2-and-more"


def failing(passphrase: str) -> None:
    opened = f"key opened with {passphrase}"
    raise ValueError(f"login failed: password={passphrase} {len(opened)}")


def caught() -> Exception:
    try:
        failing(SECRET)
    except ValueError as error:
        return error
    raise AssertionError


def test_the_log_has_the_trace_and_no_values(tmp_path: Path) -> None:
    found = crash.record(caught())
    assert found.log is not None
    text = found.log.read_text()
    assert "in failing" in text and "ValueError" in text and "textual 8" in text
    assert SECRET not in text and SECRET not in found.error
    assert stat.S_IMODE(found.log.stat().st_mode) == 0o600
    assert found.log.is_relative_to(tmp_path / "state")


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}", f"'api_key': '{SECRET}'", f"Authorization: Bearer {SECRET}",
        f"token = {SECRET}", f"https://me:{SECRET}@example.org/x", f"hf_{SECRET}", f"env said {SECRET}",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
        f'{{"passcode": "{SECRET}"}}',
    ],
)  # fmt: skip
def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    if "env said" not in text:
        monkeypatch.delenv("WANDB_API_KEY")
    assert SECRET not in crash.hide(text) and crash.HIDDEN in crash.hide(text)


def test_plain_words_stay() -> None:
    said = "File \"tui/app.py\", line 7, in run: tokenizer has 5 tokens, KeyError: 'step'"
    assert crash.hide(said) == said


def test_the_newest_twenty_logs_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "crashes"
    folder.mkdir(parents=True)
    for n in range(30):
        (folder / f"crash-20200101T0000{n:02}-1.log").touch()
    found = crash.record(caught())
    left = sorted(folder.iterdir())
    assert len(left) == crash.KEPT and left[-1] == found.log


def test_a_full_disk_is_no_second_crash(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    found = crash.record(caught())
    assert found.log is None and "could not be written" in crash.screen(found, "gh200")


async def test_an_error_nobody_caught_ends_the_app_with_a_log(tmp_path: Path) -> None:
    app = make_app(FakeDesk(tmp_path / "jobs"))
    with pytest.raises(ZeroDivisionError):
        async with app.run_test() as pilot:
            await settle(pilot)
            app.call_later(lambda: 1 / 0)
            await press(pilot, "1")
    assert app.crash is not None and app.crash.log is not None
    assert "ZeroDivisionError" in app.crash.log.read_text()


def test_after_a_crash_the_app_is_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    shown: list[app_module.ControlCentre] = []

    def run(self: app_module.ControlCentre) -> None:
        shown.append(self)
        if len(shown) == 1:
            raise RuntimeError(f"boom, token={SECRET}")

    monkeypatch.setattr(app_module.ControlCentre, "run", run)
    monkeypatch.setattr(crash, "asks_to_reopen", lambda: True)
    assert app_module.run(desk) == 0
    said = capsys.readouterr().err
    assert len(shown) == 2 and "RuntimeError: boom" in said and SECRET not in said
    assert "the jobs on gh200: they go on" in said
    shown.clear()
    monkeypatch.setattr(crash, "asks_to_reopen", lambda: False)
    assert app_module.run(desk) == 1
