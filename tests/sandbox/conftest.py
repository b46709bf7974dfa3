"""One sandbox a module for the tests that leave it as it was; and its OpenSSH twin beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remote.sandbox import Sandbox
from tests.openssh import OpenSSHPair
from tests.sandbox.wire import Link, connect

BOTH = [pytest.param("sandbox"), pytest.param("openssh", marks=pytest.mark.openssh)]


@pytest.fixture(scope="module", params=BOTH)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox | OpenSSHPair]:
    """The sandbox, and then two real OpenSSH servers: what holds for one must hold for the other."""
    directory = tmp_path_factory.mktemp(request.param)
    made = Sandbox(directory) if request.param == "sandbox" else OpenSSHPair(directory)
    with made:
        yield made
    if isinstance(made, Sandbox):
        nothing_went_wrong_unseen(made)


@pytest.fixture
def link(pair: Sandbox | OpenSSHPair) -> Iterator[Link]:
    link = connect(pair.host)
    yield link
    link.close()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One of its own, for a test that breaks it."""
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox
    nothing_went_wrong_unseen(sandbox)


def nothing_went_wrong_unseen(sandbox: Sandbox) -> None:
    """asyncio swallows what a callback raises; the log has it."""
    log = (sandbox.directory / "server.log").read_text()
    assert "Traceback" not in log and "xception" not in log, log[:3000]
