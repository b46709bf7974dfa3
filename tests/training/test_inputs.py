"""Base models, data and machines that a training cannot be made with: each says so, at `qa-train`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import base_models
from core.errors import EnvironmentProblem, UsageError
from core.jobdir import read_events
from core.training import adapter_fit, cli, inputs, refusals, run
from core.training import recipe as recipes
from tests.training.conftest import some_pairs, write_pairs

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def base(models: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model without a manifest, as a download would be: to be spoilt."""
    out = tmp_path / "base"
    shutil.copytree(models / "tiny", out)
    (out / "manifest.json").unlink()
    return out


@pytest.fixture
def train(
    models: Path, pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """train("--set", …, data=…) -> (exit code, standard error) of `qa-train --recipe tiny`."""

    def start(*words: str, data: Path = pairs_file, recipe: str = "tiny") -> tuple[int, str]:
        common = ["--recipe", recipe, "--data", str(data), "--out", str(tmp_path / "out")]
        return cli.main([*common, *words]), capsys.readouterr().err

    return start


def events(tmp_path: Path) -> list[dict[str, Any]]:
    """Of the `train` fixture's run."""
    return read_events(tmp_path / "out" / "events.jsonl")[0]


def refused(train: Any, base: Path, code: int, *words: str) -> str:
    found, said = train("--base-model", str(base))
    assert found == code and "try:" in said
    assert all(word in said for word in words), said
    return str(said)


def test_a_copy_is_trained_on(train: Any, base: Path) -> None:
    assert train("--base-model", str(base), "--set", "train.epochs=1") == (0, "")


def test_the_page_for_those_who_may_not_have_it(train: Any, base: Path) -> None:
    page = "Access to model meta-llama/Llama-3.1-8B-Instruct is restricted. You must have access."
    (base / "config.json").write_text(page)
    refused(train, base, 6, "the model is gated", "HF_TOKEN", "Access to model meta-llama")


def test_a_configuration_of_something_else(train: Any, base: Path) -> None:
    (base / "config.json").write_text("<!doctype html><title>\x1b[31mProxy</title>")
    said = refused(train, base, 6, "no model's configuration", "download or copy")
    assert "\x1b" not in said and "gated" not in said


def test_pointers_in_place_of_weights(train: Any, base: Path) -> None:
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 14483498224\n"
    )
    (base / "model.safetensors").write_text(pointer)
    refused(train, base, 6, "a pointer to the weights", "git lfs pull")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b[:-500],
        lambda b: b[:4],
        lambda b: b"",
        lambda b: b + b"tail",
        lambda b: b"\xff" * 8 + b[8:],
        lambda b: b[:8] + b"not json" + b[16:],
        lambda b: b"<html>504 Gateway Timeout</html>" * 100,
    ],
)
def test_damaged_weights(train: Any, base: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = base / "model.safetensors"
    file.write_bytes(spoil(file.read_bytes()))
    refused(train, base, 6, "model.safetensors", "download or copy")


def test_half_a_download(train: Any, base: Path) -> None:
    weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (base / "model.safetensors").rename(base / weights["a"])
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    refused(train, base, 6, "1 of 2 files of weights are missing", weights["b"])
    (base / "model.safetensors.index.json").write_text("{")
    refused(train, base, 6, "index.json: cannot be read")


def test_one_flipped_bit_in_a_model_with_a_manifest(
    train: Any, models: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(models / "tiny", copy)
    raw = bytearray((copy / "model.safetensors").read_bytes())
    raw[-100] ^= 0x40
    (copy / "model.safetensors").write_bytes(raw)
    refused(train, copy, 6, "another sha256")


def test_no_base_model_at_all(train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    code, said = train(recipe="llama-3-8b")
    assert code == 6 and "not on this machine" in said and "hf download meta-llama/" in said
    assert "gated, and there is no token" in said and "accept the licence" in said
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    code, said = train(recipe="llama-3-8b")
    assert code == 6 and "no token" not in said and "hf_secret" not in said
    code, said = train("--set", "model.name=someone/some-model")
    assert code == 6 and "hf download someone/some-model" in said and "licence" not in said
    code, said = train("--base-model", str(tmp_path / "nowhere"))
    assert code == 6 and "hf download" not in said and "a directory that holds a model" in said


def test_another_revision(train: Any, base: Path, request_for: Any) -> None:
    wanted = ("--base-model", str(base), "--set", f"model.revision={COMMIT[:12]}")
    code, said = train(*wanted)
    assert code == 2 and "does not say which it is" in said and "--revision" in said
    note = base / ".cache" / "huggingface" / "download" / "config.json.metadata"
    note.parent.mkdir(parents=True)
    note.write_text(f"{'f' * 40}\netag\n1.0\n")
    code, said = train(*wanted)
    assert code == 2 and "but ffffffffffff" in said
    note.write_text(f"{COMMIT}\netag\n1.0\n")
    request = request_for("revision", f"model.revision={COMMIT[:12]}", base_model=base)
    assert run.train(request) == 0
    summary = json.loads((request.out / "summary.json").read_text())
    assert summary["base_model_revision"] == COMMIT


def test_the_revision_of_a_snapshot_of_the_hubs_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--o--m" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    assert inputs.revision(snapshot) == COMMIT
    assert inputs.revision(tmp_path) == ""


def test_an_adapter_for_another_base_of_the_same_name(
    train: Any, request_for: Any, family_model: Any, tmp_path: Path
) -> None:
    """Names agree, shapes do not: the factors themselves are looked at."""
    first = request_for("first", "train.epochs=1")
    assert run.train(first) == 0
    adapter = first.out / "adapter"
    other = family_model("llama")  # another width of the MLP
    code, said = train("--init-adapter", str(adapter), "--base-model", str(other))
    assert code == 2 and "an adapter for another base model" in said and "try:" in said
    assert "the base has 96" in said
    assert not any(e["kind"] == "phase" for e in events(tmp_path))  # before anything was loaded


def test_an_adapter_by_the_name_its_base_has_in_the_hub(request_for: Any) -> None:
    mistral = recipes.load_recipe("mistral-7b")
    name = base_models.REPOSITORIES["mistral-7b"]
    refusals.check_adapter({"base_model_name_or_path": name}, mistral, "here")
    with pytest.raises(UsageError, match="an adapter for the base model meta-llama"):
        refusals.check_adapter({"base_model_name_or_path": "meta-llama/x"}, mistral, "here")


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("model.layers.0.mlp.up_proj.lora_A.weight", (8, 64), ""),
        ("model.layers.0.mlp.up_proj.lora_A.weight", (8, 65), "with 65 inputs, the base has 64"),
        ("model.layers.0.mlp.up_proj.lora_B.weight", (95, 8), "with 95 outputs, the base has 96"),
        ("model.layers.7.mlp.up_proj.lora_A.weight", (8, 64), "no such module"),
        ("model.layers.0.mlp.experts.lora_A.weight", (8, 3), ""),
        ("model.layers.0.mlp.experts.3.up_proj.lora_A.weight", (8, 3), ""),
    ],
)
def test_what_has_no_place_in_the_weights(name: str, shape: tuple[int, ...], said: str) -> None:
    weights = {"model.layers.0.mlp.up_proj.weight": (96, 64)}
    found = "; ".join(adapter_fit.misfits({f"base_model.model.{name}": shape}, weights))
    assert bool(found) == bool(said) and said in found


def test_an_adapter_that_is_cut_short(train: Any, request_for: Any, tmp_path: Path) -> None:
    first = request_for("first", "train.epochs=1")
    assert run.train(first) == 0
    weights = first.out / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, said = train("--init-adapter", str(first.out / "adapter"))
    assert code == 6 and "the weights are damaged" in said and "try:" in said
    weights.unlink()
    code, said = train("--init-adapter", str(first.out / "adapter"))
    assert code == 6 and "no adapter there" in said and "adapter_model.safetensors" in said
    assert not any(e["kind"] == "phase" for e in events(tmp_path))


def test_more_processes_than_were_started(train: Any) -> None:
    code, said = train("--set", "train.processes=4")
    assert code == 2 and "asks for 4 processes, 1 was started" in said
    assert "torchrun --nproc-per-node=4" in said and "train.processes=1" in said


def test_more_processes_than_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from core.training import distributed

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "4")
    with pytest.raises(UsageError, match="4 processes were started on this machine, it has 1"):
        distributed.settle_on_device()


def test_an_empty_snapshot_and_one_of_a_single_row(train: Any, tmp_path: Path) -> None:
    code, said = train(data=write_pairs(tmp_path / "none.jsonl", []))
    assert code == 2 and "no pairs in it" in said and "try:" in said
    code, said = train(data=write_pairs(tmp_path / "one.jsonl", some_pairs(1)))
    assert code == 2 and "one pair is no training set" in said and "qa snapshots freeze" in said
    assert "one.jsonl:1 (pair_0)" in said
    assert not any(e["kind"] == "phase" for e in events(tmp_path))


def test_an_answer_of_a_megabyte(train: Any, tmp_path: Path) -> None:
    rows = some_pairs(3)
    rows[1]["messages"][1]["content"] = "a" * 1_000_000
    big = write_pairs(tmp_path / "big.jsonl", rows)
    code, said = train(data=big)
    assert code == 2 and "big.jsonl:2 (pair_1)" in said and len(said) < 1000


def test_each_is_in_the_events_as_well(base: Path, request_for: Any) -> None:
    (base / "model.safetensors").write_bytes(b"")
    request = request_for("events", base_model=base)
    with pytest.raises(EnvironmentProblem):
        run.train(request)
    last = read_events(request.events)[0][-1]
    assert (last["kind"], last["error"]) == ("error", "EnvironmentProblem") and last["try_next"]


@pytest.mark.parametrize("sub", ["", "sub"], ids=["a file", "under a file"])
def test_a_place_that_cannot_be_written_to(
    models: Path, pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], sub: str
) -> None:
    """Said before anything is read or loaded, and what stands there stays."""
    there = tmp_path / "results"
    there.write_text("of another run")
    out = there / sub
    assert cli.main(["--recipe", "tiny", "--data", str(pairs_file), "--out", str(out)]) == 6
    said = capsys.readouterr().err
    assert f"{out}: cannot be written" in said and "try: another folder (--out)" in said
    assert there.read_text() == "of another run"
