"""The whole routine on the tiny model: what it leaves, how it stops, how it fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import jobdir, locations
from core.errors import DiskFull, MissingComponent, UsageError
from core.training import cli, run
from core.training import recipe as recipes
from tests.conftest import require
from tests.training.conftest import some_pairs, write_pairs

SHORT = ("train.epochs=1", "train.batch_size=8")


def events_of(path: Path, kind: str) -> list[dict[str, Any]]:
    return [e for e in jobdir.read_events(path)[0] if e["kind"] == kind]


def test_it_learns_and_leaves_what_it_promises(
    request_for: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    request = request_for("one", "train.epochs=12", "train.lr=0.02")
    assert run.train(request) == 0
    summary = json.loads((request.out / "summary.json").read_text())
    assert summary["loss_last"] < 0.9 * summary["loss_first"]
    assert summary["steps"] == 12 * 3 and summary["pairs"] == 40 and summary["tokens"] > 0
    assert summary["modules_changed"] == 14 and summary["light_loss"]
    assert {"torch", "transformers", "peft", "trl", "python"} <= set(summary["versions"])
    assert len(summary["base_model_sha256"]) == len(summary["chat_template_sha256"]) == 64

    names = {p.name for p in (request.out / "adapter").iterdir()}
    weights = {"adapter_model.safetensors", "adapter_config.json"}
    assert names == weights | {"recipe.yaml", "README.md", "about.json", "chat_template.jinja"}
    assert recipes.load_recipe(request.out / "adapter" / "recipe.yaml") == request.recipe
    config = json.loads((request.out / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert not request.checkpoints.exists()

    steps = events_of(request.events, "metric")
    assert [e["step"] for e in steps] == list(range(1, 37))
    wanted = {"max_steps", "epoch", "loss", "lr", "tokens_per_s", "eta_s", "memory_bytes"}
    assert all(wanted <= set(e) for e in steps)
    assert [e["name"] for e in events_of(request.events, "phase")] == [
        "load",
        "check",
        "attach",
        "train",
        "save",
    ]
    assert jobdir.read_events(request.events)[0][-1]["kind"] == "result"

    out, err = capfd.readouterr()
    lines = [line for line in out.splitlines() if "step " in line and "loss " in line]
    assert len(lines) == 36 and all("tok/s" in line and "ETA" in line for line in lines)
    assert "\r" not in out + err and "it/s" not in out + err and not err.strip()


def test_the_adapter_loads_in_plain_peft_and_changes_the_model(
    request_for: Any, models: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    request = request_for("one", "train.epochs=2", "train.lr=0.02")
    run.train(request)
    base = AutoModelForCausalLM.from_pretrained(str(models / "tiny"))
    ids = torch.arange(5, 25)[None]
    plain = base(ids).logits.detach().clone()
    tuned = PeftModel.from_pretrained(base, str(request.out / "adapter"))
    assert (tuned(ids).logits - plain).abs().max() > 1e-3


def test_same_seed_same_adapter(request_for: Any) -> None:
    first, second = request_for("a", *SHORT), request_for("b", *SHORT)
    other = request_for("c", *SHORT, "train.seed=1")
    hashes = []
    for request in (first, second, other):
        run.train(request)
        hashes.append(json.loads((request.out / "summary.json").read_text())["adapter_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_going_on_from_an_adapter(request_for: Any) -> None:
    first = request_for("first", "train.epochs=8", "train.lr=0.02")
    run.train(first)
    second = request_for("second", *SHORT, init_adapter=first.out / "adapter")
    run.train(second)
    a, b = (json.loads((r.out / "summary.json").read_text()) for r in (first, second))
    assert b["loss_first"] < a["loss_first"] - 0.3  # it starts where the first one ended
    assert b["adapter_sha256"] != a["adapter_sha256"] and b["init_adapter"]


def test_an_adapter_that_does_not_fit_is_refused(request_for: Any, tmp_path: Path) -> None:
    first = request_for("first", *SHORT)
    run.train(first)
    made = first.out / "adapter"
    with pytest.raises(UsageError, match=r"lora\.r = 8, the recipe says 4") as e:
        run.train(request_for("r", *SHORT, "lora.r=4", init_adapter=made))
    assert "--set lora.r=8" in e.value.try_next
    with pytest.raises(MissingComponent, match="no adapter there"):
        run.train(request_for("none", *SHORT, init_adapter=tmp_path))
    config = made / "adapter_config.json"
    config.write_text(config.read_text().replace('"tiny"', '"mistral-7b"'))
    with pytest.raises(UsageError, match="an adapter for the base model mistral-7b"):
        run.train(request_for("base", *SHORT, init_adapter=made))


def test_smoke_is_one_epoch_over_few_rows(request_for: Any) -> None:
    request = request_for("smoke", smoke=True)
    assert run.train(request) == 0
    summary = json.loads((request.out / "summary.json").read_text())
    assert (summary["epochs"], summary["pairs"], summary["smoke"]) == (1, 20, True)


def test_a_misspelt_target_is_refused_with_the_nearest(request_for: Any) -> None:
    with pytest.raises(UsageError) as e:
        run.train(request_for("t", "lora.targets=[q_proj, v_porj]"))
    assert "'v_porj'" in e.value.what and "did you mean 'v_proj'" in e.value.try_next


def test_a_run_that_blows_up_says_so(request_for: Any) -> None:
    """An adapter with a number that is none, as a broken run would leave it."""
    from safetensors.torch import load_file, save_file

    from core.training.failures import Diverged

    first = request_for("first", *SHORT)
    run.train(first)
    weights = first.out / "adapter" / "adapter_model.safetensors"
    tensors = load_file(weights)
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    save_file(tensors, weights)
    second = request_for("second", *SHORT, init_adapter=first.out / "adapter")
    with pytest.raises(Diverged, match="step 1: the loss is nan") as e:
        run.train(second)
    assert "train.lr" in e.value.try_next and e.value.exit_code == 4
    assert not (second.out / "adapter").exists()
    assert events_of(second.events, "error")[-1]["error"] == "Diverged"


def test_a_full_disk_is_recognised(request_for: Any, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "full", str(full)]
    require(subprocess.run(mount, capture_output=True).returncode == 0, "the right to mount")
    try:
        with pytest.raises(DiskFull, match="the disk is full"):
            run.train(request_for("full", *SHORT))
    finally:
        subprocess.run(["umount", "-l", str(full)], check=True)


def test_events_that_find_no_room_do_not_end_a_training(request_for: Any) -> None:
    require(Path("/dev/full").exists(), "/dev/full")
    assert run.train(request_for("deaf", *SHORT, events=Path("/dev/full"))) == 0


# ---- stopping and going on --------------------------------------------------------------------

LONG = ("train.epochs=40", "train.checkpoint_every=25", "train.batch_size=8", "train.lr=1e-3")


def as_command(request: run.Request, *more: str) -> list[str]:
    sets = [part for text in LONG for part in ("--set", text)]
    command = [sys.executable, "-m", "core.training", "--recipe", "tiny", *sets]
    return [*command, "--data", str(request.data), "--out", str(request.out), *more]


def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(locations.project_root())}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, text=True, stdout=pipe, stderr=pipe, **options)


def wait_for_step(process: subprocess.Popen[str], events: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(e["step"] >= step for e in events_of(events, "metric")):
            return
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)
    raise AssertionError("no training step within two minutes")


@pytest.fixture
def straight(request_for: Any) -> str:
    """sha256 of the adapter of a run that nothing interrupts."""
    request = request_for("straight", *LONG)
    assert run.train(request) == 0
    return str(json.loads((request.out / "summary.json").read_text())["adapter_sha256"])


def adapter_sha256(request: run.Request) -> str:
    return str(json.loads((request.out / "summary.json").read_text())["adapter_sha256"])


def test_sigterm_leaves_a_checkpoint_and_resuming_gives_the_same_bits(
    request_for: Any, straight: str
) -> None:
    request = request_for("stopped", *LONG)
    process = start(as_command(request))
    wait_for_step(process, request.events, 30)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == jobdir.EXIT_PREEMPTED, err
    stopped_at = events_of(request.events, "checkpoint")[-1]["step"]
    assert f"stopped by a signal at step {stopped_at}" in out
    assert 30 <= stopped_at < 200 and not (request.out / "adapter").exists()

    assert run.train(replace(request, resume=True)) == 0
    steps = [e["step"] for e in events_of(request.events, "metric")]
    assert steps == list(range(1, 201))  # nothing done twice, nothing left out
    assert adapter_sha256(request) == straight
    assert json.loads((request.out / "summary.json").read_text())["layers_by_hand"] == 2


def test_kill_leaves_usable_checkpoints_and_a_torn_one_is_passed_over(
    request_for: Any, straight: str
) -> None:
    request = request_for("killed", *LONG)
    process = start(as_command(request))
    wait_for_step(process, request.events, 60)
    process.kill()
    process.communicate(timeout=60)
    newest = max(request.checkpoints.glob("checkpoint-*"), key=lambda p: int(p.name[11:]))
    torn = newest.with_name("checkpoint-190")  # what a kill in the middle of writing leaves
    shutil.copytree(newest, torn)
    optimizer = torn / "optimizer.pt"
    optimizer.write_bytes(optimizer.read_bytes()[:1000])

    assert run.train(replace(request, resume=True)) == 0
    warnings = [e["text"] for e in events_of(request.events, "warning")]
    assert any("checkpoint-190 is not used: optimizer.pt" in w for w in warnings)
    assert adapter_sha256(request) == straight


def test_a_checkpoint_of_other_data_is_not_resumed(request_for: Any, tmp_path: Path) -> None:
    request = request_for("one", *LONG)
    process = start(as_command(request))
    wait_for_step(process, request.events, 30)
    process.kill()
    process.communicate(timeout=60)
    other = write_pairs(tmp_path / "other.jsonl", some_pairs(39))
    with pytest.raises(UsageError, match="belongs to another run"):
        run.train(replace(request, data=other, resume=True))


# ---- as a job, and from the command line ------------------------------------------------------


def test_as_a_job(models: Path, pairs_file: Path, tmp_path: Path) -> None:
    spec = jobdir.JobSpec(
        id="train-1",
        routine="train",
        command=[],
        settings={
            "recipe": recipes.load_recipe("tiny", ["train.epochs=1"]).resolved(),
            "data": str(pairs_file),
            "base_model": None,
            "smoke": False,
            "init_adapter": None,
            "seed": 7,
        },
    )
    job = jobdir.JobDir(tmp_path / "jobs" / "train-1").create(spec)
    process = start([sys.executable, "-m", "core.training", "--job", "."], cwd=job.path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "done: 3 steps" in out
    summary = json.loads((job.artifacts / "summary.json").read_text())
    assert summary["seed"] == 7 and (job.artifacts / "adapter" / "recipe.yaml").is_file()
    last = jobdir.read_events(job.events)[0][-1]
    assert last["kind"] == "result" and last["adapter_sha256"] == summary["adapter_sha256"]


def test_errors_end_with_their_exit_code(
    models: Path, tmp_path: Path, pairs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--recipe", "tiny", "--out", str(tmp_path / "o")]
    assert cli.main([*common, "--data", str(tmp_path / "none.jsonl")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert cli.main([*common, "--data", str(pairs_file), "--set", "lora.rr=2"]) == 2
    assert "try:" in capsys.readouterr().err
    nowhere = ["--base-model", str(tmp_path / "nowhere")]
    assert cli.main([*common, "--data", str(pairs_file), *nowhere]) == 6
    assert cli.main(["--recipe", "tiny"]) == 2
    assert "--data, --out missing" in capsys.readouterr().err


def test_help_needs_neither_torch_nor_pydantic() -> None:
    code = (
        "import sys\nfrom core.training import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "bad = {'torch', 'pydantic', 'yaml'} & set(sys.modules)\nsys.exit(str(bad) if bad else 0)"
    )
    process = start([sys.executable, "-c", code])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "--init-adapter" in out


def test_a_snapshot_of_one_row_is_refused(request_for: Any, tmp_path: Path) -> None:
    one = write_pairs(tmp_path / "one.jsonl", some_pairs(1))
    with pytest.raises(UsageError, match="one pair is no training set"):
        run.train(request_for("one-row", "train.epochs=3", data=one))


def test_an_answer_of_a_megabyte_is_refused_by_id(request_for: Any, tmp_path: Path) -> None:
    rows = some_pairs(12)
    rows[1]["messages"][1]["content"] = "all of it " * 100_000
    big = write_pairs(tmp_path / "big.jsonl", rows)
    with pytest.raises(UsageError, match="pair_1"):
        run.train(request_for("big", *SHORT, data=big))


@pytest.mark.slow
def test_the_real_model_learns(tmp_path: Path, pairs_file: Path) -> None:
    """The shipped recipe on the real model: a few steps, and the loss goes down."""
    from core import base_models

    base_models.fetch("smollm2-135m")
    recipe = recipes.load_recipe("smollm2-135m", ["train.epochs=2"])
    out = tmp_path / "real"
    out.mkdir()
    assert run.train(run.Request(recipe, pairs_file, out, out / "e.jsonl", out / "ck")) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["loss_last"] < summary["loss_first"] / 2
    assert summary["modules_changed"] == 210 and summary["light_loss"]
