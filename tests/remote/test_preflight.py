"""Judging a host by its facts, and looking at a real one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.preflight import Finding, judge, judge_noise, preflight
from remote.route import Route
from remote.sandbox import Sandbox

GOOD: dict[str, Any] = {
    "now": 1000.5,
    "system": "Linux",
    "os_name": "Ubuntu 22.04.4 LTS",
    "machine": "aarch64",
    "libc": "glibc 2.35",
    "python": "3.12.4",
    "executable": "/opt/qa/bin/python",
    "cpus": 72,
    "memory": 480 << 30,
    "disk_free": 900 << 30,
    "disk_total": 1000 << 30,
    "workdir": "/home/me/access-qa",
    "workdir_fs": "ext4",
    "workdir_writable": True,
    "packages": dict.fromkeys(["torch", "transformers", "peft", "trl", "datasets", "accelerate"], "1"),
    "torch_cuda": "12.6",
    "gpus": [{"name": "NVIDIA GH200 480GB", "driver": "555.42.06", "memory_mib": "97871"}],
    "cuda_driver_api": "12.5",
}  # fmt: skip


def look(**changes: Any) -> dict[str, Finding]:
    return {f.id: f for f in judge({**GOOD, **changes}, 1000.0, 1001.0)}


def test_a_good_host_passes_everything() -> None:
    assert {f.outcome for f in look().values()} == {"pass"}
    assert "CUDA 12.x" in look()["cuda"].consequence


@pytest.mark.parametrize(
    ("changes", "where", "outcome", "says"),
    [
        ({"torch_cuda": "13.0"}, "cuda", "fail", "CUDA 13 needs driver 580"),
        ({"torch_cuda": ""}, "cuda", "fail", "GPU would not be used"),
        ({"torch_cuda": None}, "cuda", "warn", "CUDA 12.x"),
        ({"torch_cuda": "13.0", "gpus": [{"name": "x", "driver": "580.95"}]}, "cuda", "pass", ""),
        ({"gpus": []}, "cuda", "info", ""),
        ({"gpus": []}, "gpu", "warn", "CPU"),
        ({"python": "3.9.18"}, "python", "fail", "3.11"),
        ({"packages": {"torch": "2.9"}}, "packages", "fail", "cannot start"),
        ({"disk_free": 1 << 30}, "disk", "fail", "full disk"),
        ({"disk_free": 20 << 30}, "disk", "warn", "7B"),
        ({"workdir_fs": "nfs4"}, "workdir", "warn", ""),
        ({"workdir_writable": False}, "workdir", "fail", ""),
        ({"memory": 2 << 30}, "memory", "warn", ""),
        ({"machine": "riscv64"}, "system", "warn", ""),
        ({"now": 4600.0}, "clock", "warn", "NTP"),
        ({"now": 990.0}, "clock", "warn", "NTP"),
        ({"now": 1001.9}, "clock", "pass", ""),
    ],
)
def test_what_would_fail_is_said_with_its_consequence(
    changes: dict[str, Any], where: str, outcome: str, says: str
) -> None:
    finding = look(**changes)[where]
    assert finding.outcome == outcome
    assert says in f"{finding.consequence} {finding.try_next}"
    assert finding.outcome != "fail" or finding.try_next


junk = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.just({})


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), junk))
def test_no_answer_breaks_the_judge(facts: dict[str, Any]) -> None:
    for finding in judge(facts, 0.0, 1.0):
        assert finding.outcome in ("pass", "warn", "fail", "info")
        assert not any(ord(c) < 32 for c in finding.detail)


def test_a_real_host(route: Route) -> None:
    found = {f.id: f for f in preflight(route)}
    assert found["python"].outcome == "pass"
    assert found["clock"].outcome == found["workdir"].outcome == found["shell"].outcome == "pass"
    assert "torch" in found["packages"].detail


def test_a_noisy_start_up_file_is_found_and_survived(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box") as box:
        home = tmp_path / "box" / "host" / "home"
        (home / ".bashrc").write_text("echo 'Welcome to gh1!'\n")
        with Route(box.host) as route:
            assert route.helper().call("ping")
            found = {f.id: f for f in preflight(route)}
            assert found["shell"].outcome == "warn" and "Welcome to gh1!" in found["shell"].detail
        shutil.rmtree(home, ignore_errors=True)


def test_noise() -> None:
    assert judge_noise("m\n", "m").outcome == "pass"
    assert judge_noise("hi\x1b[2J\nm\n", "m").outcome == "warn"
    assert "\x1b" not in judge_noise("hi\x1b[2J\nm\n", "m").detail
