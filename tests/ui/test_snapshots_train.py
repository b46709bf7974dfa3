"""How the Train screen looks. Update with `--snapshot-update`, then look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ui import fakes_plans
from tests.ui.conftest import NARROW, WIDE, looks
from tests.ui.fakes import State

LOOKS: tuple[tuple[str, State, tuple[str, ...]], ...] = (
    ("running", "up", ("3",)),
    ("cross-hair", "up", ("3", "p", "L", "left", "left")),
    ("smoothed", "up", ("3", "a")),
    ("recall", "up", ("3", "r")),
    ("paused", "up", ("3", "g")),
    ("failed", "up", ("3", "o", "j", "j", "enter")),
    ("lost", "lost", ("3",)),
    ("empty", "empty", ("3",)),
    ("plan", "up", ("3", "s")),
    ("plan-blocked", "up", ("3", "s", "w")),
    ("plan-no-room", "up", ("3", "s", "j", "j")),
)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])
@pytest.mark.parametrize(("name", "state", "keys"), LOOKS, ids=[name for name, *_ in LOOKS])
def test_looks(
    tmp_path: Path,
    snap_compare: Callable[..., bool],
    name: str,
    state: State,
    keys: tuple[str, ...],
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "plan-blocked":
        monkeypatch.setattr(fakes_plans, "LINT", (fakes_plans.L4, fakes_plans.L2))
    app, before = looks(tmp_path, state, keys)
    assert snap_compare(app, terminal_size=size, run_before=before)
