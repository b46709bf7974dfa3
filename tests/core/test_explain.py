"""Failures that an operator meets, by the words they really come with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from core.explain import MAX_LINES, explain, known

SAID = {
    "gpu-memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has",
    "host-memory": "RuntimeError: [enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't "
    "allocate memory: you tried to allocate 9 bytes",
    "ecc": "RuntimeError: CUDA error: uncorrectable ECC error encountered",
    "gpu-lost": "NVRM: Xid (PCI:0009:01:00): 79, pid='<unknown>', GPU has fallen off the bus.",
    "no-cuda": "AssertionError: Torch not compiled with CUDA enabled",
    "nccl": "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3356, ncclSystemError",
    "rendezvous": "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms",
    "disk-full": "OSError: [Errno 28] No space left on device",
    "gated-model": "huggingface_hub.errors.GatedRepoError: 401 Client Error.",
    "no-model": "OSError: mistralai/Mistral-9B is not a local folder and is not a valid model identifier",
    "jump-timeout": "ssh: connect to host jump.example.org port 22: Connection timed out",
    "network": "requests.exceptions.ConnectionError: Max retries exceeded with url: /simple/torch/",
    "nan-loss": "step 40: the loss is nan",
    "missing-package": "ModuleNotFoundError: No module named 'peft'",
    "damaged-file": "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge",
    "time-limit": "*** JOB 7 ON gh042 CANCELLED AT 2026-11-22T10:00:00 DUE TO TIME LIMIT ***",
    "preempted": "*** JOB 7 ON gh042 CANCELLED AT 2026-11-22T10:00:00 DUE TO PREEMPTION ***",
    "permission": "PermissionError: [Errno 13] Permission denied: '/scratch/other'",
    "killed": "Killed",
}


@pytest.mark.parametrize("rule", SAID)
def test_every_rule_by_its_own_words(rule: str) -> None:
    lines = ["loading the base model", "step 1/9", SAID[rule], "  at the end of the trace"]
    found = explain(lines)
    assert found is not None and (found.rule, found.number, found.line) == (rule, 2, SAID[rule])
    assert found.what and found.try_next


def test_every_rule_is_tested() -> None:
    assert {r.id for r in known()} == set(SAID)


def test_nothing_known_is_nothing_said() -> None:
    assert explain(["step 1/9", "loss 0.4", "KeyError: 'x'"]) is None
    assert explain([]) is None


def test_the_more_telling_rule_wins_over_a_later_line() -> None:
    found = explain([SAID["gpu-memory"], "Permission denied", "Killed"])
    assert found is not None and found.rule == "gpu-memory"


def test_only_the_end_of_a_long_log_is_looked_at() -> None:
    assert explain([SAID["ecc"], *["step"] * MAX_LINES]) is None
    assert explain(["x" * 3000 + SAID["ecc"]]) is None  # nor the far end of a huge line


@given(st.lists(st.text(max_size=200), max_size=30))
def test_any_text_is_read(lines: list[str]) -> None:
    found = explain(lines)
    assert found is None or lines[found.number] == found.line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: 3", "no list"),
        ("rules: [{id: a, pattern: '(', what: b, try: c}]", "pattern of 'a' is wrong"),
        ("rules: [{id: a, pattern: x}]", "rule 1 is not of the right form"),
        ("a: [", "cannot be read"),
    ],
)
def test_rules_that_are_wrong_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    (tmp_path / "explain.yaml").write_text(text)
    monkeypatch.setenv("QA_CONFIGS", str(tmp_path))
    with pytest.raises(SettingsError, match=says):
        explain(["x"])
    (tmp_path / "explain.yaml").unlink()
    with pytest.raises(SettingsError):
        known()
