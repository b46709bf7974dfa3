"""LoRA is really attached, and a module that learned nothing is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import EnvironmentProblem, JobFailed, UsageError
from core.training import attach, failures
from core.training import recipe as recipes


def attached(models: Path, *overrides: str) -> attach.Attached:
    recipe = recipes.load_recipe("tiny", overrides)
    tokenizer, _ = attach.load_tokenizer(models / "tiny")
    model = attach.load_model(models / "tiny", recipe, "eager")
    return attach.attach(model, tokenizer, recipe, ())


def nudge(parameters: Any) -> None:
    import torch

    with torch.no_grad():
        for p in parameters:
            p.add_(0.01)


def test_modules_named_are_the_modules_adapted(models: Path) -> None:
    qv = attached(models, "lora.targets=[q_proj, v_proj]")
    assert len(qv.modules) == 4 and all(m.endswith(("q_proj", "v_proj")) for m in qv.modules)
    everything = attached(models)
    assert len(everything.modules) == 14
    assert not any("lm_head" in m for m in everything.modules)


def test_weights_stay_bf16_and_the_adapter_is_fp32(models: Path) -> None:
    import torch

    kinds = {(p.requires_grad, p.dtype) for p in attached(models).model.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}


def test_an_idle_module_is_named(models: Path) -> None:
    a = attached(models)
    before = attach.fingerprints(a.model)
    with pytest.raises(JobFailed, match="14 of 14 adapted modules did not change"):
        attach.check_all_changed(a, before)
    idle = "layers.1.mlp.down_proj"
    nudge(p for n, p in a.model.named_parameters() if p.requires_grad and idle not in n)
    with pytest.raises(JobFailed, match=rf"1 of 14.*{idle}"):
        attach.check_all_changed(a, before)
    nudge(p for n, p in a.model.named_parameters() if p.requires_grad and idle in n)
    assert attach.check_all_changed(a, before) == 14


def test_the_head_cannot_be_a_target(models: Path) -> None:
    with pytest.raises(UsageError, match="lm_head"):
        attached(models, "lora.targets=[lm_head]")


def test_attention_falls_back_aloud() -> None:
    recipe = recipes.load_recipe("mistral-7b")  # wants flash
    if attach.device() == "cpu":
        assert attach.attention(recipe, 100)[0] == "eager"
        name, note = attach.attention(recipe, 1000)
        assert name == "sdpa" and "no accelerator here" in note
    fixed = recipes.load_recipe("tiny", ["model.attention=sdpa"])
    assert attach.attention(fixed, 100)[0] == "sdpa"


def test_cut_weights_are_an_environment_problem(models: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(models / "tiny", tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(EnvironmentProblem):
        attach.load_model(tmp_path / "cut", recipes.load_recipe("tiny"), "eager")


def test_a_model_without_chat_template_is_refused(models: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(models / "tiny", tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="no chat template"):
        attach.load_tokenizer(tmp_path / "base")


def test_running_out_of_memory_is_recognised() -> None:
    """The allocator's own error, provoked."""
    import torch

    with pytest.raises(RuntimeError) as e:
        torch.empty(1 << 60, dtype=torch.uint8)
    known = failures.recognise(e.value)
    assert isinstance(known, failures.OutOfMemory) and "batch_size" in known.try_next
    assert failures.recognise(RuntimeError("shape mismatch")) is None
