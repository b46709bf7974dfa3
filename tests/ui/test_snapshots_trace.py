"""How the Trace screen looks. Update with `--snapshot-update`, then look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ui.conftest import NARROW, WIDE, looks
from tests.ui.fakes import State

ASKED = ("8", "a", "D", "question_mark", "enter")
LOOKS: tuple[tuple[str, State, tuple[str, ...]], ...] = (
    ("empty", "empty", ("8",)),
    ("answers", "up", ("8",)),
    ("traced", "up", ("8", "enter")),
    ("suspect", "up", ("8", "enter", "j")),
    ("correct", "up", ("8", "enter", "j", "c")),
    ("ask", "up", ("8", "a")),
    ("asked", "up", ASKED),
    ("side-by-side", "up", (*ASKED, "w", "j", "j", "enter")),
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
) -> None:
    app, before = looks(tmp_path, state, keys)
    assert snap_compare(app, terminal_size=size, run_before=before)
