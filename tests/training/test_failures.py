"""What ends a training is named, with what to do: each one provoked, not made up."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import locations
from core.errors import DiskFull, MissingComponent
from core.jobdir import read_events
from core.training import failures, run
from core.training.failures import Diverged, LossWatch
from tests.conftest import require
from tests.training.conftest import some_pairs, write_pairs

GIB = 1 << 30


def watch(losses: list[float]) -> list[int]:
    """The steps at which a fault is found."""
    looking = LossWatch()
    return [n for n, loss in enumerate(losses, 1) if looking.see(n, loss, 1.0)]


def test_a_loss_that_runs_away_is_found_once_it_stays_there() -> None:
    falling = [4.0, 3.0, 2.0, 1.0, 0.5, 0.4, 0.4, 0.4, *[0.2] * 8]
    assert watch([*falling, *[9.0] * 7]) == []  # perhaps hard rows
    assert watch([*falling, *[9.0] * 8]) == [len(falling) + 8]
    assert watch([*falling, *[9.0] * 7, 0.4, *[9.0] * 7]) == []
    assert watch([*falling, *[1.4] * 20]) == []  # as bad as at the start: it has forgotten
    assert watch([4.0, *[3.0] * 10, *[5.0] * 20]) == []  # it never learned: no explosion either
    assert watch([4.0, *[3.0] * 10, *[7.0] * 8]) == [19]
    assert watch([4.0, 4.0, *[90.0] * 8]) == [10]  # blown up at once


def test_a_run_that_goes_on_from_an_adapter_may_leave_where_it_began() -> None:
    low = [0.012, 0.03, 0.02, 0.06, 0.06, 0.05, 0.06, 0.052]
    assert watch([*low, *[0.16, 0.18, 0.1, 0.51, 0.2, 0.3, 0.2, 0.3, 0.2, 0.1]]) == []
    assert watch([*low, *[1.1] * 8]) == [16]


@given(st.lists(st.floats(0.01, 5.0), min_size=1, max_size=60))
def test_no_loss_within_the_first_ones_is_a_fault(losses: list[float]) -> None:
    assert watch([*[5.0] * LossWatch.FEW, *losses]) == []


@pytest.mark.parametrize(
    ("loss", "norm", "said"),
    [
        (float("nan"), 1.0, "the loss is nan"),
        (float("inf"), None, "the loss is inf"),
        (2.0, float("nan"), "the gradient norm is nan"),
    ],
)
def test_what_is_no_number(loss: float, norm: float | None, said: str) -> None:
    found = LossWatch().see(7, loss, norm)
    assert isinstance(found, Diverged) and found.what == f"step 7: {said}"
    assert LossWatch().see(7, 2.0, None) is None


@pytest.mark.slow
def test_weights_that_break_in_the_middle_end_the_run_with_advice(
    request_for: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that has learned, and whose adapter is then spoilt in memory, as a fault there would."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file
    from transformers import TrainerCallback

    from core.training import trainer

    loud = tmp_path / "loud"  # the tiny model's logits are too small to be very wrong
    shutil.copytree(models / "tiny", loud)
    (loud / "manifest.json").unlink()
    tensors = load_file(loud / "model.safetensors")
    tensors["model.embed_tokens.weight"] *= 30
    save_file(tensors, loud / "model.safetensors", metadata={"format": "pt"})
    sets = ("train.lr=0.05", "lora.alpha=512", "train.batch_size=8", "train.warmup=0.3")
    first = request_for("first", *sets, "train.epochs=8", base_model=loud)
    assert run.train(first) == 0

    class Spoils(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
            if state.global_step == 12:
                with torch.no_grad():
                    for p in kw["model"].parameters():
                        if p.requires_grad:
                            p.add_(torch.randn_like(p))

    real = trainer.build

    def build(attached: Any, rows: Any, recipe: Any, folder: Any, callbacks: Any, **kw: Any) -> Any:
        return real(attached, rows, recipe, folder, [*callbacks, Spoils()], **kw)

    monkeypatch.setattr(trainer, "build", build)
    gently = ("train.lr=1e-5", *sets[1:], "train.epochs=8")
    second = request_for("second", *gently, base_model=loud, init_adapter=first.out / "adapter")
    with pytest.raises(Diverged, match=r"step 20: the loss has exploded") as e:
        run.train(second)
    assert "--set train.lr" in e.value.try_next and e.value.exit_code == 4
    assert read_events(second.events)[0][-1]["error"] == "Diverged"
    assert not (second.out / "adapter").exists()


def as_process(request: Any, *sets: str, **options: Any) -> tuple[int, str]:
    """(exit code, standard error) of `qa-train` in a process of its own."""
    words = [part for text in sets for part in ("--set", text)]
    command = [sys.executable, "-m", "core.training", "--recipe", "tiny", *words]
    env = {**os.environ, "PYTHONPATH": str(locations.project_root()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--data", str(request.data), "--out", str(request.out)],
        env=env,
        capture_output=True,
        text=True,
        timeout=180,
        **options,
    )
    return done.returncode, done.stderr


def at_most(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.mark.slow
def test_memory_that_runs_out(request_for: Any, tmp_path: Path) -> None:
    """A limit on the process, and rows whose attention scores alone are larger than it."""
    require(sys.platform == "linux", "a limit on a process's memory")
    rows = some_pairs(320)
    for row in rows:
        row["messages"][1]["content"] += " and so on" * 120
    data = write_pairs(tmp_path / "long.jsonl", rows)
    request = request_for("small", data=data)
    sets = ("train.batch_size=320", "train.max_length=1024", "train.epochs=1", "train.warmup=0")
    code, said = as_process(request, *sets, preexec_fn=at_most(5 * GIB))
    assert code == 6, said
    assert "memory ran out" in said and "train.batch_size" in said
    error = read_events(request.events)[0][-1]
    assert error["error"] == "OutOfMemory" and "gradient_checkpointing" in error["try_next"]


def test_a_disk_that_fills_up_while_a_checkpoint_is_written(
    request_for: Any, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "full", str(full)]
    require(subprocess.run(mount, capture_output=True).returncode == 0, "the right to mount")
    try:
        request = request_for("full", "train.epochs=9", "train.keep_checkpoints=9")
        with pytest.raises(DiskFull, match="the disk is full") as e:
            run.train(request)
        assert "--resume" in e.value.try_next
        assert list(request.checkpoints.glob("checkpoint-*"))  # those before it are there
    finally:
        subprocess.run(["umount", "-l", str(full)], check=True)


def test_out_of_memory_of_the_allocator_and_of_an_accelerator() -> None:
    import torch

    with pytest.raises(RuntimeError) as e:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert isinstance(failures.recognise(e.value), failures.OutOfMemory)
    gpu = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    known = failures.recognise(gpu)
    assert isinstance(known, failures.OutOfMemory) and "2.00 GiB" in known.why
    assert failures.recognise(RuntimeError("shape mismatch")) is None


def test_disk_full_in_the_words_of_torch() -> None:
    import torch

    require(Path("/dev/full").exists(), "/dev/full")
    with pytest.raises((RuntimeError, OSError)) as e:
        torch.save({"a": torch.zeros(1 << 20)}, "/dev/full")
    assert isinstance(failures.recognise(e.value), DiskFull), repr(e.value)


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(ModuleNotFoundError) as e:
        __import__("no_such_package_here")
    known = failures.recognise(e.value)
    assert isinstance(known, MissingComponent) and "no_such_package_here" in known.what
    assert json.loads(json.dumps(known.as_dict()))["try_next"]
