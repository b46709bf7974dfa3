"""How long lists over a screen look. Update with `--snapshot-update`, then look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ui.conftest import NARROW, WIDE, looks

ROOMY = (200, 60)
LOOKS = (("pairs", ("2", "j", "j", "j", "enter")), ("trail", ("6", "l")))


@pytest.mark.parametrize("size", [NARROW, WIDE, ROOMY], ids=["80x24", "120x40", "200x60"])
@pytest.mark.parametrize(("name", "keys"), LOOKS, ids=[name for name, _ in LOOKS])
def test_looks(
    tmp_path: Path,
    snap_compare: Callable[..., bool],
    name: str,
    keys: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    app, before = looks(tmp_path, "up", keys)
    assert snap_compare(app, terminal_size=size, run_before=before)
