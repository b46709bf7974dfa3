"""Where each value of this desk was found: command line, variable, file, or nobody set it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ui.conftest import running, settle, until
from tui import origins
from tui.widgets.confirm import Page


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desk whose operator wrote a file with one entry that cannot hold."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "settings.toml").write_text(
        '# mine\nhost = "gh200"\ntimes = "utc"\nread_only = "yes"\nproduction = ["gh200", "deltaai"]\n'
    )
    monkeypatch.setenv("QA_USER_CONFIG", str(folder))
    for name in ("QA_HOST", "QA_REDUCED_MOTION", "QA_REGISTRY", "NO_COLOR", "QA_OPERATOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


def found(**more: object) -> dict[str, tuple[str, str]]:
    return {s.label: (s.value, s.origin) for s in origins.told(**more)}  # type: ignore[arg-type]


def test_file_variable_and_default_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = found()
    assert rows["host"] == ("gh200", "settings.toml:2")
    assert rows["times"] == ("utc", "settings.toml:3")
    assert rows["read only"] == ("no", "default"), "an entry that cannot hold is not an origin"
    assert rows["production"] == ("gh200, deltaai", "settings.toml:5")
    assert rows["theme"] == ("access-dark", "default")
    assert rows["keys"] == ("as they come", "default")
    assert rows["own settings"][1] == "QA_USER_CONFIG"
    monkeypatch.setenv("QA_HOST", "sandbox")
    monkeypatch.setenv("QA_REDUCED_MOTION", "1")
    monkeypatch.setenv("QA_OPERATOR", "jsmith")
    monkeypatch.setenv("QA_REGISTRY", "/srv/registry.db")
    rows = found()
    assert rows["host"] == ("sandbox", "QA_HOST")
    assert rows["reduced motion"] == ("yes", "QA_REDUCED_MOTION")
    assert rows["operator"] == ("jsmith", "QA_OPERATOR")
    assert rows["registry"] == ("/srv/registry.db", "QA_REGISTRY")


def test_the_command_line_goes_first_and_a_change_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_HOST", "sandbox")
    rows = found(given=["host"], now={"host": "deltaai", "times": "age"})
    assert rows["host"] == ("deltaai", "--host")
    assert rows["times"] == ("age", "changed in the app")


def test_the_command_prints_them_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    from tui.cli.root import run

    assert run(["settings", "--json"]) == 2
    told = capsys.readouterr()
    assert {"label": "times", "value": "utc", "origin": "settings.toml:3"} in json.loads(told.out)
    assert "'read_only' has to be true or false" in told.err


async def test_the_app_shows_them(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        app.action_settings()
        await until(pilot, lambda: isinstance(app.screen, Page))
        await settle(pilot)
        said = str(app.screen.query_one("#body").render())  # type: ignore[attr-defined]
        assert "settings.toml:5" in said and "QA_USER_CONFIG" in said
