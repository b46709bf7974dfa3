"""Training in two processes: one record, one adapter, the same data; a stop is a stop of both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import jobdir
from core.training import checkpoints, distributed
from remote.agent import distributed as starting
from tests.training.conftest import some_pairs, write_pairs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]


def command(pairs: Path, out: Path, *overrides: str, processes: int = 2) -> list[str]:
    sets = [word for o in overrides for word in ("--set", o)]
    words = [sys.executable, "-m", "core.training", "--recipe", "tiny", "--data", str(pairs)]
    spec = {"command": [*words, "--out", str(out), *sets], "processes": processes}
    return starting.argv(spec)


def finished(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, env=dict(os.environ), capture_output=True, text=True, timeout=120)


def of_kind(kind: str, out: Path) -> list[dict[str, Any]]:
    return [e for e in jobdir.read_events(out / "events.jsonl")[0] if e["kind"] == kind]


def metrics(out: Path) -> list[dict[str, Any]]:
    return of_kind("metric", out)


def test_one_process_is_its_own_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert distributed.is_main() and distributed.world_size() == 1
    assert distributed.any_of(True) and not distributed.any_of(False)
    assert distributed.total(7) == 7


def test_two_processes_leave_one_record(models: Path, pairs_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = command(pairs_file, out, "train.epochs=1", "train.batch_size=8")
    done = subprocess.run(argv, env=dict(os.environ), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    steps = metrics(out)
    assert [e["step"] for e in steps] == list(range(1, len(steps) + 1))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["processes"] == 2 and summary["pairs"] == 40
    assert len(steps) == summary["steps"] < 5  # 40 rows, 8 a process: half the steps of one
    assert (out / "adapter" / "adapter_model.safetensors").exists()
    assert done.stdout.count("loading tiny") == 1


@pytest.mark.parametrize("by_hand", [True, False], ids=["by-hand", "library"])
def test_two_processes_take_the_steps_of_one_that_accumulates_twice(
    models: Path, tmp_path: Path, by_hand: bool
) -> None:
    """The same rows in each step, the same loss, the same adapter: of two processes the batch is the sum
    of both. With the layers by hand, and the library's."""
    from safetensors.torch import load_file

    pairs = write_pairs(tmp_path / "even.jsonl", some_pairs(32))
    sets = ["train.epochs=3", "train.batch_size=4", "train.lr=0.01", "model.dtype=float32"]
    sets.append(f"train.low_rank_in_model_dtype={str(by_hand).lower()}")
    curves, adapters = [], []
    for name, processes, accumulate in (("two", 2, 1), ("one", 1, 2)):
        out = tmp_path / name
        more = [f"train.accumulate={accumulate}", f"train.processes={processes}"]
        argv = command(pairs, out, *sets, *more, processes=processes)
        done = subprocess.run(
            argv, env=dict(os.environ), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        steps = metrics(out)
        assert [e["step"] for e in steps] == list(range(1, 13))
        curves.append([e["loss"] for e in steps])
        summary = json.loads((out / "summary.json").read_text())
        assert summary["tokens"] > 0 and summary["layers_by_hand"] == (2 if by_hand else 0)
        adapters.append(load_file(out / "adapter" / "adapter_model.safetensors"))
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)
    assert curves[0][-1] < curves[0][0] - 0.1  # it did learn, so the curve says something
    two, one = adapters
    assert two.keys() == one.keys()
    for name, factor in two.items():
        # sums in another order, through Adam's division: equal to a thousandth of the factor
        assert (factor - one[name]).norm() < 1e-3 * one[name].norm() > 0, name


def test_a_stop_of_one_is_a_checkpoint_of_both(
    models: Path, pairs_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    argv = command(pairs_file, out, "train.epochs=500", "train.batch_size=8")
    child = subprocess.Popen(argv, env=dict(os.environ), stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if "step " in line:
            break
    workers = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    ranks = [pid for pid in workers if b"RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes()]
    os.kill(int(ranks[0]), signal.SIGTERM)  # only the second one hears of it
    rest = child.stdout.read()
    child.wait(60)
    assert "stopped by a signal at step" in rest
    ((step, path), *_) = checkpoints.steps(out / "checkpoints")
    assert checkpoints.fault(path) == "" and step == metrics(out)[-1]["step"]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {p.name for p in path.iterdir()}


def test_two_processes_that_were_stopped_go_on_to_the_same_bits(
    models: Path, pairs_file: Path, tmp_path: Path
) -> None:
    """SIGTERM to the starter, as a scheduler sends it: both stop at one checkpoint, and the resumed run
    ends with the losses and the adapter of one that nothing interrupts. It is stopped inside an epoch."""
    sets = ["train.epochs=12", "train.batch_size=4", "train.checkpoint_every=10", "train.lr=0.01"]
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    done = finished(command(pairs_file, straight, *sets))
    assert done.returncode == 0, done.stderr

    child = subprocess.Popen(
        command(pairs_file, stopped, *sets),
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "step 26/60" in line:
            break
    child.send_signal(signal.SIGTERM)
    rest, _ = child.communicate(timeout=60)
    (at,) = {e["step"] for e in of_kind("phase", stopped) if e["name"] == "preempted"}
    assert f"stopped by a signal at step {at}" in rest and child.returncode != 0
    assert 26 <= at < 60 and not (stopped / "adapter").exists()
    assert checkpoints.fault(stopped / "checkpoints" / f"checkpoint-{at}") == ""

    again = finished([*command(pairs_file, stopped, *sets), "--resume"])
    assert again.returncode == 0, again.stderr
    assert f"from checkpoint-{at}" in again.stdout
    one, two = metrics(straight), metrics(stopped)
    assert [e["step"] for e in two] == list(range(1, 61))  # none twice, none left out
    assert [(e["loss"], e["grad_norm"]) for e in two] == [(e["loss"], e["grad_norm"]) for e in one]
    assert two[-1]["loss"] < two[0]["loss"] - 0.1  # it did learn, so equality says something
    file = Path("adapter") / "adapter_model.safetensors"
    assert (straight / file).read_bytes() == (stopped / file).read_bytes()
