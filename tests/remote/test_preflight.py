"""Judging a host by its facts, and looking at a real one."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.preflight import Finding, judge, judge_noise, preflight
from remote.preflight.findings_gpu import judge_torch
from remote.route import Route
from remote.sandbox import Sandbox
from tests import fake_smi

GH200 = {
    "name": "NVIDIA GH200 480GB",
    "driver": "555.42.06",
    "memory_mib": "97871",
    "free_mib": "97300",
    "compute_cap": "9.0",
    "mig": "Disabled",
    "ecc": "0",
}
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
    "gpus": [GH200],
    "cuda_driver_api": "12.5",
}  # fmt: skip


def look(**changes: Any) -> dict[str, Finding]:
    return {f.id: f for f in judge({**GOOD, **changes}, 1000.0, 1001.0)}


def test_a_good_host_passes_everything() -> None:
    assert {f.outcome for f in look().values()} == {"pass", "info"}
    assert look()["builds"].outcome == "info"
    assert "CUDA 12.x" in look()["cuda"].consequence


@pytest.mark.parametrize(
    ("changes", "where", "outcome", "says"),
    [
        ({"torch_cuda": "13.0"}, "cuda", "fail", "CUDA 13 needs driver 580"),
        ({"torch_cuda": ""}, "cuda", "fail", "GPU would not be used"),
        ({"torch_cuda": None}, "cuda", "warn", "CUDA 12.x"),
        ({"torch_cuda": "13.0", "gpus": [{"name": "x", "driver": "580.95"}]}, "cuda", "pass", ""),
        ({"gpus": []}, "cuda", "info", ""),
        ({"torch_cuda": None}, "builds", "warn", "CUDA 13 needs driver 580"),
        (
            {"torch_cuda": None},
            "builds",
            "warn",
            "two ways: (1) ask the administrators for driver 580",
        ),
        ({"torch_cuda": "13.0"}, "builds", "warn", "(2) stay on this driver"),
        (
            {"gpus": [{**GH200, "driver": "580.95"}]},
            "builds",
            "pass",
            "no ready-made build for aarch64",
        ),
        ({"libc": "glibc 2.17"}, "builds", "info", "glibc 2.28; this host has 2.17"),
        ({"gpus": [{**GH200, "driver": "470.1"}]}, "builds", "warn", "too old for CUDA 12"),
        ({"gpus": [{**GH200, "free_mib": "40000"}]}, "hbm", "warn", "in use by something else"),
        ({"gpus": [{**GH200, "mig": "Enabled"}]}, "hbm", "warn", "MIG"),
        ({"gpus": [{**GH200, "ecc": "3"}]}, "hbm", "warn", "3 uncorrected memory errors"),
        ({"gpus": [{**GH200, "free_mib": "[N/A]", "ecc": "[N/A]"}]}, "hbm", "pass", ""),
        ({"python": "3.9.18", "newer_pythons": {"3.12": "/opt/py"}}, "python", "fail", "/opt/py"),
        ({"python": "3.9.18", "tools": {"uv": "/usr/bin/uv"}}, "python", "fail", "uv is there"),
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


@pytest.mark.parametrize(
    ("card", "where", "outcome", "says"),
    [
        ("gh200", "gpu", "pass", "NVIDIA GH200 480GB 97871 MiB"),
        ("gh200", "hbm", "warn", "34.4 of 95.6 GiB free"),
        ("gh200", "builds", "warn", "torch, default build (CUDA 13): cannot work"),
        ("h100_mig", "hbm", "warn", "2 uncorrected memory errors"),
        ("lost", "gpu", "fail", "Unable to determine the device handle"),
        ("garbage", "gpu", "warn", "none seen"),
    ],
)
def test_a_host_with_a_gpu(tmp_path: Path, card: str, where: str, outcome: str, says: str) -> None:
    smi = fake_smi.install(tmp_path / "bin", card)
    with Sandbox(tmp_path / "box") as box:
        env = {**box.host.env, "PATH": f"{smi.parent}:{os.environ['PATH']}"}
        with Route(replace(box.host, env=env)) as route:
            finding = {f.id: f for f in preflight(route)}[where]
    assert (finding.outcome, says in f"{finding.detail} {finding.consequence}") == (outcome, True)


def test_torch_itself_is_asked_on_request(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box") as box, Route(box.host) as route:
        finding = {f.id: f for f in preflight(route, torch=True)}["torch"]
    assert finding.outcome == "warn" and "bf16 right" in finding.detail


def test_what_torch_answers_is_judged() -> None:
    good = {"torch": "2.13.0", "device": "GH200", "bf16_matmul": True, "cuda_available": True}
    assert judge_torch(good, "").outcome == "pass"
    assert judge_torch({**good, "bf16_matmul": False}, "").outcome == "fail"
    blind = judge_torch({**good, "cuda_available": False, "cuda_build": None}, "")
    assert blind.outcome == "warn" and "without CUDA" in blind.consequence
    assert judge_torch(None, "ImportError: x\x1b[2J").outcome == "fail"


def test_an_index_that_is_not_there_is_said_without_its_password(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box") as box:
        index = {
            "PIP_INDEX_URL": "http://me:s3cret@127.0.0.1:9/simple",
            "PIP_CONFIG_FILE": os.devnull,
        }
        with Route(replace(box.host, env={**box.host.env, **index})) as route:
            finding = {f.id: f for f in preflight(route, index=True)}["index"]
    assert finding.outcome == "warn" and "proxy" in finding.try_next
    assert "s3cret" not in repr(finding)


def test_noise() -> None:
    assert judge_noise("m\n", "m").outcome == "pass"
    assert judge_noise("hi\x1b[2J\nm\n", "m").outcome == "warn"
    assert "\x1b" not in judge_noise("hi\x1b[2J\nm\n", "m").detail


def test_the_slurm_block_is_held_against_the_real_slurm(slurm: Any, tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box") as box:
        found = []
        for partition in (None, "gpuA100"):
            block = replace(slurm.settings(), partition=partition)
            with Route(replace(box.host, launcher="slurm", slurm=block)) as route:
                found.append({f.id: f for f in preflight(route)}["slurm"])
    fits, misfits = found
    assert fits.outcome == "pass" and "ghx4* 2 of 2 nodes idle" in fits.detail
    assert misfits.outcome == "fail" and "no partition 'gpuA100'" in misfits.consequence
    assert "hosts.yaml" in misfits.try_next
