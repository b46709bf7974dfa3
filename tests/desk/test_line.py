"""The desk's line: asked on the terminal once, never behind the screens' back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import LinkLost, QAError, UsageError
from remote.hosts import Host
from remote.linking import spawning
from remote.sandbox import Sandbox
from remote.sandbox.sandbox import PASSCODE
from remote.shared.owner import socket_named
from tests.remote.local import until
from tui.desk.line import Line, check_host_name


class Operator:
    """Answers what is asked, in order, and counts."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def secret(self, title: str, prompt: str) -> str | None:
        self.asked += 1
        return self.answers.pop(0)

    def answer(
        self, title: str, instructions: str, prompts: list[tuple[str, bool]]
    ) -> list[str] | None:
        return [self.secret(title, text) or "" for text, _ in prompts]

    def accept_host_key(self, **about: str) -> bool:
        return False


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "box", second_factor=True) as it:
        yield it


def line_to(box: Sandbox) -> Line:
    line = Line("gh200")
    line._host = box.host
    return line


def test_the_second_factor_is_asked_once_and_a_cut_does_not_ask_by_itself(box: Sandbox) -> None:
    line = line_to(box)
    assert line.link().state == "off"
    operator = Operator(*[box.password, PASSCODE] * 2)
    line.log_in(operator)  # type: ignore[arg-type]
    assert line.link().state == "up" and [h.name for h in line.link().hops]
    assert line.launcher().list() == []
    box.cut()
    until(lambda: line.link().state == "lost" and line.link().try_next)
    assert line.link().needs_you
    with pytest.raises(LinkLost) as e:
        line.route()
    assert operator.asked == 2 and e.value.try_next
    line.log_in(operator)  # type: ignore[arg-type]
    assert line.link().state == "up" and operator.asked == 4
    line.close()


def test_nobody_is_asked_a_second_time(box: Sandbox) -> None:
    first, second, third = line_to(box), line_to(box), line_to(box)
    operator = Operator(box.password, PASSCODE)
    first.log_in(operator)  # type: ignore[arg-type]
    assert second.launcher().list() == [] and second.link().state == "up"
    assert [h.name for h in second.link().hops] == [h.name for h in first.link().hops]
    first.close()
    assert second.launcher().list() == [] and third.launcher().list() == []
    assert operator.asked == 2 and second.link().state == "up"
    second.close()
    third.close()


def test_a_link_process_that_cannot_be_made_is_told(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QA_STATE", str(tmp_path / "file"))
    line = line_to(box)
    with pytest.raises(QAError):
        line.route()
    assert line.link().state == "failed" and line.link().error and line.link().try_next
    line.close()


def test_a_key_brings_a_cut_line_back_by_itself(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box") as box:
        line = line_to(box)
        line.route()
        box.cut()
        until(lambda: line.link().state == "lost")
        until(lambda: line.link().state == "up")
        assert line.launcher().list() == []
        line.close()


def test_host_names_are_checked_before_anything_is_drawn() -> None:
    check_host_name("sandbox")
    check_host_name("gh200")
    with pytest.raises(UsageError) as e:
        check_host_name("gh2000")
    assert "gh200" in e.value.try_next


def test_a_link_process_loads_while_the_way_to_the_host_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(tmp_path / "box") as box:
        loading: list[bool] = []
        known = replace(box.host, name="gh200")

        def host(line: Line) -> Host:
            loading.append(log_of("gh200") in spawning._spares)
            line._host = known
            return known

        monkeypatch.setattr(Line, "host", host)
        monkeypatch.setattr(
            "remote.linking.starting.spawn", lambda log: pytest.fail("a second one")
        )
        line = Line("gh200")
        try:
            line.log_in(Operator())  # type: ignore[arg-type]
            assert line.launcher().list() == []
        finally:
            line.close()
        assert loading == [True] and not spawning._spares


def test_what_was_loaded_for_a_host_nobody_knows_ends() -> None:
    line = Line("gh2000")
    spares: list[Any] = []
    spawn = spawning.spawn

    def noted(log: Path) -> Any:
        spares.append(spawn(log))
        return spares[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spawning, "spawn", noted)
        with pytest.raises(UsageError):
            line.route()
    (spare,) = spares
    assert spare.poll() == 0 and spare.stdin.closed and not spawning._spares
    assert line.link().state == "failed"
    line.close()


def log_of(link: str) -> Path:
    return socket_named(link).with_suffix(".log")
