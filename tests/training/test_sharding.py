"""A model divided among processes: the settings, what they do, and no pretence where they do nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import locations
from core.errors import EnvironmentProblem, JobFailed, MissingComponent
from core.training import attach, four_bit, promises, sharding
from core.training import recipe as recipes

FSDP = ("train.sharding=fsdp", "train.processes=2")


def test_settings_come_from_the_recipe(models: Path, tmp_path: Path) -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin
    from trl import SFTConfig

    sets = ["train.gradient_checkpointing=true", "fsdp.reshard=false", "fsdp.state=full"]
    recipe = recipes.load_recipe("tiny", [*FSDP, *sets])
    tokenizer, _ = attach.load_tokenizer(models / "tiny")
    plain = recipes.load_recipe("tiny")
    model = attach.attach(attach.load_model(models / "tiny", plain, "eager"), tokenizer, plain, ())
    given = sharding.arguments(recipe, model.model)
    config = SFTConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, gradient_checkpointing=False, **given
    )
    plugin = FullyShardedDataParallelPlugin(**config.fsdp_plugin_args)
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is False
    assert plugin.activation_checkpointing and plugin.cpu_ram_efficient_loading
    assert plugin.transformer_cls_names_to_wrap == ["MistralDecoderLayer"]
    assert "FULL" in str(plugin.state_dict_type)
    assert sharding.arguments(plain, model.model) == {}


def test_a_trainer_that_does_not_divide_is_found_out() -> None:
    recipe = recipes.load_recipe("tiny", FSDP)
    for kind in ("MULTI_CPU", "MULTI_GPU", "NO"):
        with pytest.raises(JobFailed, match=f"the trainer does not: {kind}"):
            sharding.assert_engaged(SimpleNamespace(distributed_type=kind), recipe)
    sharding.assert_engaged(SimpleNamespace(distributed_type="FSDP"), recipe)
    sharding.assert_engaged(SimpleNamespace(distributed_type="NO"), recipes.load_recipe("tiny"))


@pytest.mark.slow
@pytest.mark.xdist_group("slurm")
def test_divided_in_two_and_put_together_again(family_model: Any, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = family_model("llama")
    script = str(Path(__file__).with_name("sharded.py"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    env = {**os.environ, "PYTHONPATH": str(locations.project_root()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, script, str(base), str(tmp_path)],
        env=env,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads([x for x in done.stdout.splitlines() if x.startswith("{")][-1])
    assert "FSDPLlamaDecoderLayer" in told["units"] and told["count"] >= 3
    assert told["share"] == 0.5 and told["gathered"] == 28 and told["moved"] == 14
    assert told["engaged"].endswith("the trainer does not: MULTI_CPU")
    plain = AutoModelForCausalLM.from_pretrained(
        str(base), dtype=torch.float32, attn_implementation="eager"
    )
    again = PeftModel.from_pretrained(plain, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        ours = again(input_ids=torch.arange(5, 45).reshape(2, 20)).logits
    torch.testing.assert_close(ours, torch.load(tmp_path / "logits.pt"), rtol=1e-4, atol=1e-4)


# ---- what this machine cannot do --------------------------------------------------------------


def on(monkeypatch: pytest.MonkeyPatch, device: str, *, packages: bool = False) -> None:
    monkeypatch.setattr("core.training.environment.device", lambda: device)
    monkeypatch.setattr(four_bit, "find_spec", lambda name: object() if packages else None)


@pytest.mark.parametrize("recipe", ["llama-3.1-70b", "mixtral-8x7b", "tiny"])
def test_four_bit_is_refused_for_what_is_missing(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipes.load_recipe(recipe, ["model.quantise=nf4"])
    on(monkeypatch, "cpu")
    with pytest.raises(EnvironmentProblem, match="no accelerator") as e:
        promises.refuse_unkept(asked)
    assert "--set model.quantise=none" in e.value.try_next
    on(monkeypatch, "cuda")
    with pytest.raises(MissingComponent, match="bitsandbytes is not installed") as missing:
        promises.refuse_unkept(asked)
    assert ".[four-bit]" in missing.value.try_next
    on(monkeypatch, "cuda", packages=True)
    promises.refuse_unkept(asked)


def test_dividing_is_refused_where_nothing_can_hold_a_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = recipes.load_recipe("llama-3.1-70b", profile="sharded")
    on(monkeypatch, "cpu")
    with pytest.raises(EnvironmentProblem, match="there is none here") as e:
        promises.refuse_unkept(asked)
    assert "train.sharding=none" in e.value.try_next
    on(monkeypatch, "cuda")
    promises.refuse_unkept(asked)


def test_four_bit_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("LOCAL_RANK", "3")
    found = four_bit.loading(recipes.load_recipe("llama-3.1-70b", profile="recommended"))
    assert found["device_map"] == {"": 3}
    config = found["quantization_config"]
    assert config.load_in_4bit and config.bnb_4bit_use_double_quant
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
    assert config.bnb_4bit_quant_storage == torch.uint8
    divided = four_bit.loading(recipes.load_recipe("llama-3.1-70b", ["model.quantise=nf4", *FSDP]))
    assert divided["quantization_config"].bnb_4bit_quant_storage == torch.bfloat16
    assert four_bit.loading(recipes.load_recipe("llama-3.1-70b")) == {}


def test_the_adapter_of_a_4_bit_model_is_float32_again() -> None:
    import torch

    layer = torch.nn.Linear(4, 4).to(torch.bfloat16)
    layer.bias.requires_grad_(False)
    four_bit.keep_adapter_float32(layer, recipes.load_recipe("tiny"))
    assert layer.weight.dtype == torch.bfloat16
    four_bit.keep_adapter_float32(layer, recipes.load_recipe("tiny", ["model.quantise=nf4"]))
    assert (layer.weight.dtype, layer.bias.dtype) == (torch.float32, torch.bfloat16)
