"""`qa hosts connect|links|disconnect` as they are typed, against an embedded host that stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.errors import Cancelled
from remote.auth import Prompter
from remote.linking.living import disconnect, living
from remote.sandbox import PASSCODE, detached
from remote.sandbox.files import Layout
from remote.sandbox.options import Options
from tests.processes import alive
from tests.remote.local import until
from tests.remote.test_route import Operator
from tui.cli import prompting, root

Qa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def qa(capfd: pytest.CaptureFixture[str]) -> Qa:
    def run(*words: str) -> tuple[int, str, str]:
        code = root.run(words)
        return (code, *capfd.readouterr())

    return run


@pytest.fixture
def layout() -> Iterator[Layout]:
    """Of a sandbox that stays, whose jump host asks for a password and a passcode."""
    from core import locations

    it = Layout((locations.state_dir() / "sandbox").absolute())
    detached.up(it, Options(second_factor=True))
    yield it
    disconnect("sandbox")
    detached.down(it)


def at_the_terminal(monkeypatch: pytest.MonkeyPatch, operator: Any) -> None:
    def prompter() -> Prompter:
        return operator  # type: ignore[no-any-return]

    monkeypatch.setattr(prompting, "terminal_prompter", prompter)


def test_asked_once_then_never_until_it_is_ended(
    qa: Qa, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qa("hosts", "links", "--json")[1].strip() == "[]"
    at_the_terminal(monkeypatch, Operator())
    code, _, err = qa("hosts", "connect", "sandbox")
    assert code == Cancelled.exit_code and err

    password = layout.password.read_text()
    operator = Operator(answers=[password, PASSCODE])
    at_the_terminal(monkeypatch, operator)
    code, out, err = qa("hosts", "connect", "sandbox")
    assert code == 0 and "up" in out and len(operator.prompts) == 2
    until(lambda: next(living()).clients == 0)
    (link,) = json.loads(qa("hosts", "links", "--json")[1])
    assert (link["host"], link["state"], link["needs_you"]) == ("sandbox", "up", False)
    assert password not in out + err + qa("hosts", "links")[1]

    monkeypatch.undo()  # as in a script: nobody can be asked
    monkeypatch.setenv("QA_STATE", str(layout.root.parent))
    code, out, _ = qa("jobs", "list", "--json")
    assert code == 0 and json.loads(out) == []

    code, out, _ = qa("hosts", "disconnect", "sandbox", "--json")
    assert code == 0 and json.loads(out)["ended"] == [link["pid"]]
    until(lambda: not alive(link["pid"]))
    assert qa("hosts", "disconnect", "sandbox")[0] == 0
    code, _, err = qa("jobs", "list", "--json")
    assert code == 3 and "try" in err
    assert qa("hosts", "disconnect", "sandboks")[0] == 2
