"""What summary.json says of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.training.summary import driver, hardware


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  555.42.06  Release Build\n"
            "GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n",
            "555.42.06",
        ),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82  Wed Aug 27\n", "580.82"),
        ("nothing of the kind", None),
    ],
)
def test_the_driver_is_read_from_the_kernel_module(
    tmp_path: Path, text: str, version: str | None
) -> None:
    file = tmp_path / "version"
    file.write_text(text)
    assert driver(file) == version
    assert driver(tmp_path / "none") is None


def test_without_an_accelerator_there_is_none_to_name(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        assert hardware()["gpu"] and hardware()["cuda"]
    else:
        found = hardware(tmp_path / "none")
        assert found["gpu"] is found["driver"] is found["gpu_memory_bytes"] is None
        assert found["device"] == "cpu" and found["torch"] == torch.__version__
        assert found["cpus"] >= 1
