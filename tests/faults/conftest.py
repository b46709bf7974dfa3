"""The two places where things are made to go wrong: OpenSSH behind a real network, and the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remote.sandbox import Sandbox
from tests.netns import NetnsBed
from tests.remote.conftest import end_jobs


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[NetnsBed]:
    with NetnsBed(tmp_path / "bed") as it:
        yield it
        end_jobs(Path(it.host.workdir))


@pytest.fixture
def sandbox_with(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    """A started sandbox with those options."""
    made: list[Sandbox] = []

    def make(**options: Any) -> Sandbox:
        made.append(Sandbox(tmp_path / f"sandbox{len(made)}", **options))
        made[-1].start()
        return made[-1]

    yield make
    for sandbox in made:
        if sandbox.running:
            sandbox.all_clear()
            end_jobs(Path(sandbox.host.workdir))
        sandbox.stop()


@pytest.fixture
def sandbox(sandbox_with: Callable[..., Sandbox]) -> Sandbox:
    return sandbox_with()
