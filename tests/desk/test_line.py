"""The desk's line: asked on the terminal once, never behind the screens' back."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import AuthenticationFailed, UsageError
from remote.sandbox import Sandbox
from remote.sandbox.sandbox import PASSCODE
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


def test_the_second_factor_is_asked_once_and_never_again(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box", second_factor=True) as box:
        line = Line("gh200")
        line._host = box.host
        assert line.link().state == "off"
        operator = Operator(box.password, PASSCODE)
        line.log_in(operator)  # type: ignore[arg-type]
        assert line.link().state == "up" and [h.name for h in line.link().hops]
        assert line.launcher().list() == []
        line.route().close()
        with pytest.raises(AuthenticationFailed) as e:
            line.route()
        assert operator.asked == 2 and "log in" in e.value.try_next
        assert line.link().state == "failed" and line.link().try_next
        line.close()


def test_host_names_are_checked_before_anything_is_drawn() -> None:
    check_host_name("sandbox")
    check_host_name("gh200")
    with pytest.raises(UsageError) as e:
        check_host_name("gh2000")
    assert "gh200" in e.value.try_next
