"""How `qa` explains itself: grouped, whole sentences, and shell completion that works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer._click.core import Command
from typer.main import get_command

from tui.cli import help as helping
from tui.cli.root import app, run

ROOT = Path(__file__).parents[2]


def every_group(command: Command, *words: str) -> Iterator[tuple[str, ...]]:
    commands = getattr(command, "commands", None)
    if commands is not None:
        yield words
        for name, below in commands.items():
            yield from every_group(below, *words, name)


@pytest.mark.parametrize("words", every_group(get_command(app)), ids=" ".join)
def test_no_sentence_is_cut_and_none_is_missing(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    body = text.split("\n\n", 1)[1]
    assert not re.search(r"\w\.\.\.$", body, re.M), "cut short"
    command = get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    flat = " ".join(text.split())
    for name, below in command.commands.items():  # type: ignore[attr-defined]
        said = helping.sentence(below)
        assert said, f"{name} says nothing"
        assert f"{name} {said}" in flat


def test_every_command_of_qa_has_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert f"\n{helping.REST}:" not in out
    assert [line[:-1] for line in out.splitlines() if line.rstrip(":") in helping.PANELS] == list(
        helping.PANELS
    )


def complete(shell: str, typed: str) -> str:
    """What the shell's completion script would be told."""
    words = typed.split(" ")
    env = {**os.environ, "_QA_COMPLETE": f"complete_{shell}", "COMP_WORDS": typed,
           "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_ARGS": typed,
           "_TYPER_COMPLETE_FISH_ACTION": "get-args"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_answers(shell: str) -> None:
    assert "versions" in complete(shell, "qa ver")
    found = complete(shell, "qa versions pro")
    assert "promote" in found and "propose" in found and "archive" not in found


def test_the_completion_script_names_qa(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))  # not make's sh
    with pytest.raises(SystemExit) as left:
        run(["--show-completion"])
    assert left.value.code == 0
    assert "_QA_COMPLETE=complete_" in capsys.readouterr().out


def test_version_names_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.search(
        r"access-qa-control \d.*\ntextual \d.*\n(.*\n)*python \d", capsys.readouterr().out
    )


def test_the_key_map_can_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from tui.cli.app import open_app

    monkeypatch.setenv("QA_USER_CONFIG", str(tmp_path))
    assert open_app(["--keys"]) == 0
    assert re.search(r"^app\.help +\? +", capsys.readouterr().out, re.M)
    (tmp_path / "keys.toml").write_text('[train]\nstart = "/x"\nstop = "X"\n')
    assert open_app(["--keys", "--json"]) == 2
    out, err = capsys.readouterr()
    rows = {r["action"]: r for r in json.loads(out)}
    assert rows["train.stop"]["keys"] == "X" and rows["train.stop"]["yours"]
    assert "train.start: '/x' is no key" in err


def test_the_app_without_a_terminal_names_the_other_ways(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tui.cli.app import open_app

    assert open_app([]) == 2
    assert "qa web" in capsys.readouterr().err
