"""The operator's own keys: what holds, what is refused and why, and that the app obeys them."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.ui.conftest import make_app, press, settle, shown, until
from tests.ui.fakes import FakeDesk
from tui import keymap
from tui.bindings import EVERYWHERE, LISTS, PLACES, place
from tui.keymap import KeyMap
from tui.preferences import Preferences
from tui.settings_file import AppSettings
from tui.widgets.confirm import Page

IDS = [k.id for k in keymap.every_key()]


def write(folder: Path, text: str) -> Path:
    file = folder / "keys.toml"
    file.write_text(text, "utf-8")
    return file


def test_every_key_has_an_id_of_its_own() -> None:
    assert len(IDS) == len(set(IDS))
    assert {"train.start", "app.go_pilot", "app.help", "list.down"} <= set(IDS)


def test_tables_dotted_keys_and_quoted_ids_mean_the_same(tmp_path: Path) -> None:
    for text in ('[train]\nstart = "S"', 'train.start = "S"', '"train.start" = ["S"]'):
        found, problems = keymap.load(write(tmp_path, text))
        assert (dict(found.own), problems) == ({"train.start": ("S",)}, [])


def test_a_missing_file_is_the_programs_own_map(tmp_path: Path) -> None:
    assert keymap.load(tmp_path / "keys.toml") == (KeyMap(), [])


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ('train.sotp = "S"', "no action 'train.sotp'", "did you mean 'train.stop'?"),
        ('train.stop = "ctrl-x"', "'ctrl-x' is no key", "did you mean 'ctrl+x'?"),
        ('train.stop = "escape"', "'escape' is no key", "always leads back"),
        ('train.stop = "q"', "'q' is the key of 'app.quit'", "give 'app.quit' another key too"),
        ('train.stop = "s"', "'s' is the key of 'train.start'", "'train.start'"),
        ("train.stop = 7", "has to be a key or a list of keys", ""),
        ("train.stop = []", "has to be a key or a list of keys", ""),
        ('pilot.run_check = "r"', "no action 'pilot.run_check'", ""),
        ("train.stop = ", "not valid TOML", ""),
    ],
)
def test_what_cannot_hold_is_told_and_left_out(
    tmp_path: Path, text: str, what: str, hint: str
) -> None:
    found, (problem,) = keymap.load(write(tmp_path, f'# mine\n[versions]\nmark = "M"\n{text}\n'))
    if "TOML" not in what:
        found, (problem,) = keymap.load(write(tmp_path, f'# mine\n{text}\n"versions.mark" = "M"\n'))
        assert dict(found.own) == {"versions.mark": ("M",)}
        assert f"{tmp_path / 'keys.toml'}:2: " in problem.what, "the line is named"
    assert what in problem.what and hint in problem.try_next


def test_two_keys_can_change_places() -> None:
    found, faults = keymap.check({"train.start": "x", "train.stop": "s"})
    assert faults == [] and dict(found.own) == {"train.start": ("x",), "train.stop": ("s",)}


def test_the_same_key_on_two_screens_is_no_clash() -> None:
    assert keymap.check({"train.start": "c"})[1] == []


def test_signs_and_names_of_keys() -> None:
    for sign, name in (("/", "slash"), ("?", "question_mark"), ("S", "S"), ("ctrl+x", "ctrl+x"),
                       ("f5", "f5"), ("shift+tab", "shift+tab"), ("+", "plus")):  # fmt: skip
        assert keymap.key_name(sign) == name
        assert keymap.written(name) in (sign, name)
    for wrong in ("", " ", "ctrl+", "strg+x", "ctrlx", "\x1b"):
        assert keymap.key_name(wrong) is None


@given(st.dictionaries(st.sampled_from(IDS), st.text(max_size=8) | st.lists(st.text(max_size=3))))
@example({"pilot.note": ["0", "0"]})
@example({"pilot.note": ["~", "tilde"]})
@example({"train.zoom": "1", "train.start": "z"})
def test_no_map_leaves_a_key_with_two_meanings(wanted: dict[str, object]) -> None:
    found, _ = keymap.check(wanted)
    for where in PLACES:
        rows = [k for k in found.keys((*where.keys, *EVERYWHERE)) if k.bound]
        names = [name for k in rows for name in k.key.split(",")]
        assert len(names) == len(set(names)), found.own


async def test_the_app_obeys_and_shows_the_map(tmp_path: Path) -> None:
    own, faults = keymap.check(
        {"pilot.note": "f5", "app.help": "f1", "app.go_versions": "f6", "list.down": "f8"}
    )
    assert faults == []
    app = make_app(FakeDesk(tmp_path / "jobs"), preferences=Preferences(keymap=own))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        bar = shown(app).split("\n")[-1]
        assert "f5 note" in bar and "f1 help" in bar
        before = app.screen.query_one("#list").highlighted  # type: ignore[attr-defined]
        await press(pilot, "f8")
        assert app.screen.query_one("#list").highlighted == before + 1  # type: ignore[attr-defined]
        await press(pilot, "j")
        assert app.screen.query_one("#list").highlighted == before + 1  # type: ignore[attr-defined]
        await press(pilot, "question_mark")
        assert len(app.screen_stack) == 1, "the old key does nothing any more"
        await press(pilot, "f1")
        assert isinstance(app.screen, Page) and "f5" in shown(app)
        await press(pilot, "escape", "f6")
        await until(pilot, lambda: app.current_mode == "versions")
        await press(pilot, "1")
        await until(pilot, lambda: app.current_mode == "pilot")
    assert app.defects == []


async def test_faults_of_the_map_are_said_when_the_app_starts(tmp_path: Path) -> None:
    own, problems = keymap.load(write(tmp_path, 'train.sotp = "S"'))
    desk = FakeDesk(tmp_path / "jobs")
    app = make_app(desk, preferences=Preferences(keymap=own, problems=problems))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "did you mean 'train.stop'?" in app.notices.session[0].text


# the same acts as commands


def test_every_command_named_beside_a_key_exists() -> None:
    from typer.main import get_command

    from tui.cli.app import parser
    from tui.cli.root import app as root

    commands = get_command(root)
    for key in keymap.every_key():
        if not key.command:
            continue
        words = shlex.split(key.command)
        assert words[0] == "qa", key
        found = commands
        for n, word in enumerate(words[1:], 1):
            if word.startswith("--"):
                options = parser()._option_string_actions if words[1] == "app" else {
                    o for p in found.params for o in p.opts
                }  # fmt: skip
                assert word in options, key
            else:
                found = found.commands[word]  # type: ignore[attr-defined]
                assert n < 4


def test_keys_are_told_by_the_screen_they_are_of() -> None:
    assert all(k.id.startswith(f"{p.mode}.") for p in PLACES for k in p.keys)
    assert all(k.id.startswith("list.") for k in LISTS)
    assert place("pilot").keys[0].id == "pilot.run_check"


def test_the_examples_of_the_documentation_hold() -> None:
    text = (Path(__file__).parents[2] / "docs" / "app.md").read_text("utf-8")
    keys, settings = re.findall(r"```toml\n(.*?)```", text, re.S)
    wanted = {
        f"{mode}.{act}": k for mode, acts in tomllib.loads(keys).items() for act, k in acts.items()
    }
    found, faults = keymap.check(wanted)
    assert faults == [] and set(found.own) == set(wanted)
    assert set(tomllib.loads(settings)) == {f.name for f in fields(AppSettings)}
