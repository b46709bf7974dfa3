"""Work folders are purged of old files on many sites, the agent's own among them, also while it runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import EnvironmentProblem
from remote.agent_zip import agent_zip
from remote.helper_client import error_from
from remote.launch import DirectLauncher
from remote.route import Route
from tests.openssh import OpenSSHPair
from tests.remote.conftest import end_jobs
from tests.remote.local import sh, until

Purge = Callable[[Path], None]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[OpenSSHPair]:
    with OpenSSHPair(tmp_path / "pair") as it:
        yield it
        end_jobs(Path(it.host.workdir))


def all_of_it(folder: Path) -> None:
    shutil.rmtree(folder)


def files_only(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


def what_nobody_read(folder: Path) -> None:
    """By access time, as purges go: what the helper has loaded stays."""
    (home,) = (p for p in folder.iterdir() if p.is_dir())
    for name in ("incoming", "transfer", "runner"):
        (home / "remote/agent" / f"{name}.py").unlink()
        for compiled in (home / "remote/agent/__pycache__").glob(f"{name}.*"):
            compiled.unlink()


@pytest.mark.parametrize("purge", [all_of_it, files_only, what_nobody_read])
def test_a_helper_that_lost_its_files_is_carried_over_again(
    pair: OpenSSHPair, purge: Purge
) -> None:
    folder = Path(pair.host.workdir) / "agent"
    with Route(pair.host) as route:
        first = route.helper()
        assert first.call("ping")
        purge(folder)
        assert first.call("listing", path=".") is not None  # who asks does not notice
        assert not first.alive and route.helper().alive
        assert (folder / agent_zip().name).with_suffix("").is_dir()


@pytest.mark.parametrize("purge", [all_of_it, files_only])
def test_a_job_is_launched_after_a_purge(pair: OpenSSHPair, purge: Purge) -> None:
    with Route(pair.host) as route:
        assert route.helper().call("ping")
        purge(Path(pair.host.workdir) / "agent")
        launcher = DirectLauncher(route)
        launcher.start(sh("echo there"))
        until(lambda: not launcher.state("job-1").active)
        assert launcher.state("job-1").status == "succeeded"


def test_a_folder_that_is_purged_again_and_again_is_named() -> None:
    error = error_from({"code": "agent_gone", "what": "the agent was removed"})
    assert isinstance(error, EnvironmentProblem) and "workdir" in error.try_next
