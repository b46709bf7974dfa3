"""How the Jobs screen looks. Update with `--snapshot-update`, then look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ui.conftest import NARROW, WIDE, looks
from tests.ui.fakes import State

LOOKS: tuple[tuple[str, State, tuple[str, ...]], ...] = (
    ("running", "up", ("4",)),
    ("failed", "up", ("4", "j", "j")),
    ("artifacts", "up", ("4", "a")),
    ("lost", "lost", ("4",)),
    ("empty", "empty", ("4",)),
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
