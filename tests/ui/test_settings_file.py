"""The operator's settings file: read as far as it holds, changed one line at a time."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from tui import settings_file
from tui.settings_file import AppSettings, with_entry


def test_no_file_is_the_default(tmp_path: Path) -> None:
    assert settings_file.load(tmp_path / "none.toml") == (AppSettings(), [])


def test_what_holds_is_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        'theme = "access-light"\nread_only = "yes"\nreduced_motoin = true\nproduction = ["gh200"]\n'
    )
    found, problems = settings_file.load(file)
    assert found == AppSettings(theme="access-light", production=("gh200",))
    wrong, unknown = problems
    assert wrong.what == f"{file}:2: 'read_only' has to be true or false"
    assert unknown.what == f"{file}:3: unknown key 'reduced_motoin'"
    assert unknown.try_next == "did you mean 'reduced_motion'?"


@pytest.mark.parametrize("text", ["theme = ", "\udcff", "[[["])
def test_an_unreadable_file_is_one_problem(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    found, (problem,) = settings_file.load(file)
    assert found == AppSettings() and str(file) in problem.what


def test_storing_keeps_everything_else_and_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text('# mine\ntheme = "access-dark"  # evenings\nread_only = true\n[later]\nx = 1\n')
    file = tmp_path / "config" / "settings.toml"
    file.parent.mkdir()
    file.symlink_to(real)
    settings_file.store("theme", "access-light", file)
    settings_file.store("reduced_motion", True, file)
    assert file.is_symlink()
    assert real.read_text() == (
        '# mine\ntheme = "access-light"\nread_only = true\nreduced_motion = true\n[later]\nx = 1\n'
    )


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="theme could not be stored"):
        settings_file.store("theme", "x", tmp_path / "file" / "settings.toml")


@given(
    st.lists(st.sampled_from(['a = 1', "# note", "", 'theme = "x"', "[t]", "theme2 = 2"]), unique=True),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)  # fmt: skip
def test_an_entry_is_found_again_in_valid_toml(lines: list[str], value: str) -> None:
    import json

    text = with_entry("\n".join(lines), "theme", json.dumps(value, ensure_ascii=False))
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assert "\x7f" in value  # the one control that JSON leaves as it is
        return
    assert found["theme"] == value
    assert ("theme2 = 2" in lines) == ("theme2" in found or "theme2" in found.get("t", {}))
