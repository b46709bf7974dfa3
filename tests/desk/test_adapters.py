"""The pre-check's look at the host, through the agent's own answers."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import LinkLost
from core.jobdir import JobDir
from core.registry import Registry, open_registry, precheck, snapshots, versions
from core.snapshots import freeze
from remote.agent.helper import Helper
from tests.core.conftest import make_pair
from tests.core.test_releases import make_adapter
from tui.desk import adapters, outcomes


class Bench:
    """A desk whose host is a folder, asked through the agent that would run there."""

    host_name = "gh200"

    def __init__(self, workdir: Path, state: str = "up", lost: bool = False) -> None:
        self.state, self.lost = state, lost
        self.helper = Helper(str(workdir), "agent", io.BytesIO(), io.BytesIO())
        self.line = SimpleNamespace(
            route=lambda: SimpleNamespace(helper=lambda: SimpleNamespace(call=self.call))
        )

    def link(self) -> Any:
        return SimpleNamespace(state=self.state)

    def call(self, op: str, **values: Any) -> Any:
        if self.lost:
            raise LinkLost("the link is gone")
        return getattr(self.helper, f"op_{op}")(**values)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's adapter folder; this machine sees it under another name only."""
    folder = tmp_path / "host" / "adapter"

    def fetch(bench: Any, job_id: str, names: list[str]) -> JobDir:
        job = JobDir(tmp_path / "mirror")
        (job.artifacts / "adapter").mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(folder.parent / name, job.artifacts / name)
        return job

    monkeypatch.setattr(outcomes, "fetch_result", fetch)
    monkeypatch.setattr(precheck, "local_facts", lambda version: None)
    return folder


def registered(reg: Registry, folder: Path, digest: str) -> versions.Version:
    pairs = [make_pair(n) for n in range(2)]
    snapshot = freeze(pairs)
    snapshots.save(reg, snapshot, pairs)
    return versions.register(
        reg, base_model="base", dataset_version=snapshot.id, training_config={},
        train_job="train-1", adapter_path=str(folder), adapter_sha256=digest,
    )  # fmt: skip


def test_the_host_is_asked_where_the_files_are(host: Path, tmp_path: Path) -> None:
    digest = make_adapter(host)
    bench: Any = Bench(tmp_path)
    with open_registry(seed=False) as reg:
        version = registered(reg, host, digest)
        found = precheck.check(version, adapters.look(bench, version))
        assert {c.name: c.ok for c in found} == {
            "files": True, "hash": True, "loadable": True, "template": None,
        }  # fmt: skip
        (host / precheck.WEIGHTS).write_bytes(b"another")
        found = precheck.check(version, adapters.look(bench, version))
        assert {c.name: c.ok for c in found}["hash"] is False
        (host / precheck.WEIGHTS).unlink()
        found = precheck.check(version, adapters.look(bench, version))
        assert "adapter_model.safetensors missing in gh200:" in found[0].detail


def test_nobody_is_kept_waiting_by_a_link_that_is_down(host: Path, tmp_path: Path) -> None:
    with open_registry(seed=False) as reg:
        version = registered(reg, host, make_adapter(host))
        for bench in (Bench(tmp_path, state="lost"), Bench(tmp_path, lost=True)):
            assert adapters.look(bench, version) is None  # type: ignore[arg-type]
            assert precheck.objections(precheck.check(version, None)) == []
