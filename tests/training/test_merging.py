"""Sums are exact, roundings are counted, and a merge that loses too much is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from core.errors import DiskFull, EnvironmentProblem, MissingComponent, UsageError
from core.training import export, lowrank, merging, survival
from core.training.adapter_files import read
from core.training.failures import MergeLoss
from core.training.lowrank import Factors, beside
from core.training.merging import Part
from tests.conftest import require
from tests.training.adapters import make, mixtral

EXPERTS = {
    "by parameter": {
        "target_modules": ["q_proj", "v_proj"],
        "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    },
    "by the old names": {"target_modules": ["q_proj", "gate", "w1", "w2", "w3"]},
}


def quiet(text: str) -> None: ...


@pytest.fixture(scope="session")
def base(tiny_model: Path) -> Path:
    return tiny_model


@pytest.fixture(scope="session")
def two(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    other = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "up_proj"]}
    return make(base, folder / "first", seed=1), make(base, folder / "second", seed=2, **other)


def logits(model: Any, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    with torch.inference_mode():
        return model(torch.randint(3, 60, (2, 12))).logits.float()


# -- the sum ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    ranks=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    experts=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
def test_factors_side_by_side_are_the_sum(ranks: list[int], experts: int, seed: int) -> None:
    torch.manual_seed(seed)
    parts = [Factors(torch.randn(experts, r, 6), torch.randn(experts, 7, r)) for r in ranks]
    total = beside(parts)
    assert total.rank == sum(ranks)
    assert torch.allclose(total.update(), sum(p.update() for p in parts), atol=1e-4)
    assert total.true_rank() == min(sum(ranks), 6)
    stored = lowrank._stored("m", total, total.rank + 2)  # as in a file, padded
    a = stored["m.lora_A.weight"].reshape(experts, -1, 6)
    b = stored["m.lora_B.weight"].reshape(7, -1, experts).permute(2, 0, 1)
    assert torch.allclose(b @ a, total.update(), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(rank=st.integers(1, 6), keep=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_cutting_says_what_it_loses(rank: int, keep: int, seed: int) -> None:
    torch.manual_seed(seed)
    whole = Factors(torch.randn(1, rank, 9), torch.randn(1, 8, rank))
    cut, lost = whole.cut(keep)
    assert cut.rank == min(rank, keep)
    gap = float((cut.update() - whole.update()).norm() / whole.update().norm())
    assert gap == pytest.approx(lost, abs=1e-4)


def test_two_adapters_merged_are_both_at_work(base: Path, two: tuple[Path, Path]) -> None:
    """In float32 the merged model is the base with both adapters beside it."""
    parts = [Part(two[0]), Part(two[1], 0.5)]
    model = merging.load_base(base).float()
    peft = merging.attach_parts(model, parts)
    wanted = logits(peft)
    found = merging.fold_in(peft, parts, torch.float32)
    assert torch.allclose(logits(peft.unload()), wanted, atol=1e-4)
    assert found.total.survival > 0.999 and found.total.unmoved < 0.01
    ranks = {x.name.rpartition(".")[2]: x.rank for x in found.layers}
    assert ranks == {"q_proj": 6, "v_proj": 4, "down_proj": 4, "up_proj": 2}


def test_the_sum_is_one_plain_adapter(base: Path, two: tuple[Path, Path], tmp_path: Path) -> None:
    from peft import PeftModel

    parts = [Part(two[0]), Part(two[1], 0.5)]
    wanted = logits(merging.attach_parts(merging.load_base(base), parts))
    figures = export.peft(parts, tmp_path / "sum", say=quiet)
    assert (figures["rank"], figures["lost"], figures["max_lora_rank"]) == (6, 0.0, 8)
    alone = PeftModel.from_pretrained(merging.load_base(base), str(tmp_path / "sum")).eval()
    assert torch.allclose(logits(alone), wanted, atol=0.02)
    about = json.loads((tmp_path / "sum" / "about.json").read_text())
    assert [p["adapter"] for p in about["sum_of"]] == ["first", "second"]
    cut = export.peft(parts, tmp_path / "cut", rank=3, say=quiet)
    assert cut["rank"] == 3 and 0.05 < cut["lost"] < 0.9


@pytest.mark.parametrize("how", EXPERTS)
def test_experts_are_merged_and_summed(how: str, tmp_path: Path) -> None:
    """Fused experts, PEFT's nested wrappers, ranks by pattern: against PEFT's own forward."""
    from peft import PeftModel

    source = mixtral(tmp_path / "mix")
    made = [make(source, tmp_path / f"a{n}", seed=n, **EXPERTS[how]) for n in (1, 2)]
    parts = [Part(made[0]), Part(made[1], 2.0)]
    peft = merging.attach_parts(merging.load_base(source).float(), parts)
    wanted = logits(peft)
    found = merging.fold_in(peft, parts, torch.float32)
    plain = peft.unload()
    assert torch.allclose(logits(plain), wanted, atol=1e-4)
    assert {x.name.rpartition(".")[2] for x in found.layers} >= {"gate_up_proj", "down_proj"}
    plain.save_pretrained(
        tmp_path / "merged"
    )  # an expert a tensor, by the names other readers know
    assert torch.allclose(logits(merging.load_base(tmp_path / "merged")), wanted, atol=1e-4)
    with safe_open(tmp_path / "merged" / "model.safetensors", "pt") as file:
        assert "model.layers.0.block_sparse_moe.experts.3.w1.weight" in file.keys()  # noqa: SIM118
    export.peft(parts, tmp_path / "sum", base=str(source), say=quiet)
    alone = PeftModel.from_pretrained(
        merging.load_base(source).float(), str(tmp_path / "sum")
    ).eval()
    assert torch.allclose(logits(alone), wanted, atol=1e-4)


# -- what is left of an update ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "survives", "unmoved"),
    [(0.001, 0.20, 0.78), (0.003, 0.51, 0.48), (0.03, 0.94, 0.06)],
)
def test_small_updates_drown_in_rounding(change: float, survives: float, unmoved: float) -> None:
    """The figures of a published-size experiment, on a smaller matrix."""
    torch.manual_seed(0)
    weight = (torch.randn(768, 768) * 0.02).bfloat16()
    update = torch.randn(768, 32) @ torch.randn(32, 768)
    update *= change * float(weight.float().norm()) / float(update.norm())
    _, layer = survival.fold("w", weight, update, torch.bfloat16)
    assert layer.change == pytest.approx(change, rel=1e-3)
    assert layer.survival == pytest.approx(survives, abs=0.03)
    assert layer.unmoved == pytest.approx(unmoved, abs=0.03)
    _, exact = survival.fold("w", weight, update, torch.float32)
    assert exact.survival > 0.9999


def test_a_chain_of_merges_loses_what_one_sum_keeps() -> None:
    torch.manual_seed(0)
    weight = (torch.randn(512, 512) * 0.02).bfloat16()
    updates = []
    for _ in range(16):
        update = torch.randn(512, 16) @ torch.randn(16, 512)
        updates.append(update * (0.003 * float(weight.float().norm()) / float(update.norm())))
    total = torch.stack(updates).sum(0)
    _, once = survival.fold("w", weight, total, torch.bfloat16)
    chained = weight
    for update in updates:
        chained, _ = survival.fold("w", chained, update, torch.bfloat16)
    left = chained.float() - weight.float()
    chain = 1 - float((left - total).norm() / total.norm())
    assert once.survival == pytest.approx(0.86, abs=0.03)
    assert chain == pytest.approx(0.51, abs=0.04)


def test_a_merge_that_loses_too_much_is_refused(base: Path, tmp_path: Path) -> None:
    small = make(base, tmp_path / "small", size=1e-4)
    with pytest.raises(MergeLoss, match=r"only \d+\.\d% of the update would survive") as e:
        export.merged([Part(small)], tmp_path / "out", base=str(base), say=quiet)
    assert "--format peft" in e.value.try_next and "incremental.min_survival=" in e.value.try_next
    assert [p.name for p in tmp_path.iterdir()] == ["small"]  # nothing half-written
    export.merged([Part(small)], tmp_path / "out", base=str(base), dtype="float32", say=quiet)


def test_an_infinite_sum_is_refused() -> None:
    with pytest.raises(MergeLoss, match="numbers that are none"):
        survival.fold("w", torch.ones(2, 2), torch.full((2, 2), 1e6), torch.float16)


def test_a_layer_nobody_updates_loses_nothing() -> None:
    _, layer = survival.fold("w", torch.ones(2, 2), torch.zeros(2, 2), torch.bfloat16)
    assert (layer.survival, layer.unmoved, layer.change) == (1.0, 0.0, 0.0)


# -- the merged model ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def merged_model(
    base: Path, two: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("merged") / "model"
    export.merged(
        [Part(p) for p in two],
        out,
        base=str(base),
        max_shard_size="100KB",
        prompts=["Hi"],
        say=quiet,
    )
    return out


def test_the_merged_model_is_whole(merged_model: Path, base: Path) -> None:
    from core import base_models
    from core.training.attach import load_tokenizer

    shards = sorted(p.name for p in merged_model.glob("*.safetensors"))
    assert len(shards) > 1 and not list(merged_model.glob("*.bin"))
    assert base_models.resolve(merged_model) == merged_model.resolve()
    tokenizer, _ = load_tokenizer(merged_model)
    assert tokenizer.chat_template == load_tokenizer(base)[0].chat_template
    record = json.loads((merged_model / "merge.json").read_text())
    assert record["base_model"] == "tiny" and len(record["adapters"]) == 2
    check = record["logits"]
    assert check["prompts"] == 1 and check["top1_agreement"] > 0.8
    assert 0 < check["max_abs_diff"] < check["moved"]  # rounding is less than what was learned
    assert record["survival"]["survival"] > 0.9 and len(record["survival"]["layers"]) == 8
    assert "Trained, not judged" in (merged_model / "README.md").read_text()


def test_a_merge_is_no_base_to_merge_into(
    merged_model: Path, two: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(merged_model, tmp_path / "tiny")
    with pytest.raises(UsageError, match="were merged into these weights already") as e:
        export.merged([Part(two[0])], tmp_path / "out", base=str(tmp_path / "tiny"), say=quiet)
    assert "all adapters at once" in e.value.try_next


def test_quantised_weights_are_no_base(two: tuple[Path, Path], base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "tiny")
    (tmp_path / "tiny" / "manifest.json").unlink()
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes"}
    (tmp_path / "tiny" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="quantised"):
        export.merged([Part(two[0])], tmp_path / "out", base=str(tmp_path / "tiny"), say=quiet)


# -- what does not fit, is damaged, or has no room ----------------------------------------------------


def test_adapters_of_different_bases_are_not_added(two: tuple[Path, Path], tmp_path: Path) -> None:
    other = shutil.copytree(two[1], tmp_path / "other")
    config = json.loads((other / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "mistral-7b"
    (other / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="was trained on mistral-7b"):
        export.peft([Part(two[0]), Part(other)], tmp_path / "out", say=quiet)


def test_an_adapter_for_another_base_is_refused(
    two: tuple[Path, Path], base: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(base, tmp_path / "smollm2-135m")
    (other / "manifest.json").unlink()
    with pytest.raises(UsageError, match="for the base model tiny, not"):
        export.merged([Part(two[0])], tmp_path / "out", base=str(other), say=quiet)
    foreign = mixtral(tmp_path / "mixtral")  # the name fits, the weights do not
    with pytest.raises(UsageError, match="does not fit this base model"):
        merging.attach_parts(merging.load_base(foreign), [Part(two[0])])


def test_a_model_without_its_tokenizer_is_not_exported(
    two: tuple[Path, Path], base: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(base, tmp_path / "tiny")
    for name in ("tokenizer.json", "manifest.json"):
        (bare / name).unlink()
    with pytest.raises(MissingComponent, match="the tokenizer is missing"):
        export.merged([Part(two[0])], tmp_path / "out", base=str(bare), say=quiet)


def test_damaged_weights_are_named(two: tuple[Path, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    cut = shutil.copytree(two[0], tmp_path / "cut")
    weights = cut / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(EnvironmentProblem, match="the weights are damaged"):
        read(cut)
    weights.write_bytes(b"\xff" * 64)
    with pytest.raises(EnvironmentProblem, match="the weights are damaged"):
        read(cut)
    broken = shutil.copytree(two[0], tmp_path / "nan")
    tensors = load_file(broken / weights.name)
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    save_file(tensors, broken / weights.name)
    with pytest.raises(EnvironmentProblem, match="numbers that are none"):
        lowrank.load(read(broken))


def test_no_room_is_found_before_anything_is_loaded(
    two: tuple[Path, Path], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9, 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(merging, "load_base", lambda path: pytest.fail("loaded"))
    with pytest.raises(DiskFull, match="GB are needed"):
        export.merged([Part(two[0])], tmp_path / "out", base=str(base), say=quiet)


def test_a_disk_that_fills_up_leaves_nothing(
    two: tuple[Path, Path], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "full", str(full)]
    require(subprocess.run(mount, capture_output=True).returncode == 0, "the right to mount")
    monkeypatch.setattr(export, "check_room", lambda out, needed: None)
    try:
        with pytest.raises(DiskFull, match="the disk became full"):
            export.merged([Part(two[0])], full / "out", base=str(base), say=quiet)
        assert list(full.iterdir()) == []
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_nothing_is_overwritten(two: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(UsageError, match="is there already"):
        export.peft([Part(two[0])], tmp_path / "out", say=quiet)
