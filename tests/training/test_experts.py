"""Adapters on a mixture of experts: where they are, of which rank, and that they come back whole."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from core import jobdir
from core.errors import UsageError
from core.training import attach, experts, run
from core.training import recipe as recipes

DESIGN = "lora.targets=[q_proj, k_proj, v_proj, o_proj, gate, w1, w2, w3]"
NEW = (
    "lora.targets=[q_proj, k_proj, v_proj, o_proj]",
    "lora.target_parameters=[mlp.experts.gate_up_proj, mlp.experts.down_proj]",
)


def attached(base: Path, *overrides: str) -> attach.Attached:
    import torch

    recipe = recipes.load_recipe("tiny", ["model.dtype=float32", *overrides])
    tokenizer, _ = attach.load_tokenizer(base)
    model = attach.load_model(base, recipe, "eager")
    torch.manual_seed(0)
    return attach.attach(model, tokenizer, recipe, ())


def ranks(a: attach.Attached) -> dict[str, int]:
    return {r.name.partition("layers.0.")[2]: r.rank for r in a.ranks if "layers.0." in r.name}


def test_the_designs_names_are_the_fused_parameters(family_model: Any) -> None:
    a = attached(family_model("mixtral"), DESIGN)
    attention = {f"self_attn.{n}_proj": 8 for n in "qkvo"}
    fused = {"mlp.gate": 8, "mlp.experts.gate_up_proj": 16, "mlp.experts.down_proj": 8}
    assert ranks(a) == attention | fused
    assert {r.scale for r in a.ranks} == {2.0}  # alpha / r, of the doubled rank as well
    assert {r.experts for r in a.ranks if "experts" in r.name} == {4}
    assert sum(r.parameters for r in a.ranks) == a.trainable
    said = a.sentence()
    assert "w1 → mlp.experts.gate_up_proj" in said and "its rank is 16 for 8" in said
    assert "rank 16 on each of 4: experts.gate_up_proj" in said
    assert len(a.as_dict()["ranks"]) == len(a.modules) == 14


def test_the_prediction_counts_what_is_attached(family_model: Any) -> None:
    from core.training import architectures

    base = family_model("mixtral")
    shape = architectures.from_directory(base)
    for targets in ([DESIGN], NEW, ["lora.targets=all-linear"]):
        a = attached(base, *targets)
        lora = recipes.load_recipe("tiny", [*targets]).lora
        assert shape.lora_parameters(lora) == a.trainable


def test_dropout_is_left_to_the_modules_that_can_have_it(family_model: Any) -> None:
    from torch import nn

    a = attached(family_model("mixtral"), DESIGN, "lora.dropout=0.1")
    shares = [
        m.p
        for name, m in a.model.named_modules()
        if "lora_dropout" in name and isinstance(m, nn.Dropout)
    ]
    assert shares == [0.1] * 8  # q, k, v, o of two layers
    assert "none on experts" in a.sentence()
    assert "dropout" not in attached(family_model("mixtral"), DESIGN).sentence()


def test_peft_does_not_say_that_ranks_in_force_are_ignored(family_model: Any) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        attached(family_model("mixtral"), DESIGN)
    assert not [w for w in said if "rank_pattern" in str(w.message)]


def test_a_misspelt_parameter_is_refused_with_the_nearest(family_model: Any) -> None:
    with pytest.raises(UsageError, match=r"target_parameters: 'mlp\.experts\.gate_up_prj'") as e:
        attached(family_model("mixtral"), "lora.target_parameters=[mlp.experts.gate_up_prj]")
    assert "mlp.experts.gate_up_proj" in e.value.try_next
    with pytest.raises(UsageError, match=r"lora\.targets: 'w1'"):
        attached(family_model("mistral"), "lora.targets=[q_proj, w1]")


def test_an_idle_parameter_inside_another_wrapper_is_found(family_model: Any) -> None:
    """The wrapper of down_proj holds that of gate_up_proj: its factors must not count for both."""
    import torch

    from core.errors import JobFailed

    a = attached(family_model("mixtral"), *NEW)
    before = attach.fingerprints(a.model)
    outer = ("mlp.experts.lora_B", "mlp.experts.lora_A")
    with torch.no_grad():
        for name, p in a.model.named_parameters():
            if p.requires_grad and not ("layers.1." in name and any(o in name for o in outer)):
                p.add_(0.01)
    with pytest.raises(JobFailed, match=r"1 of 12.*layers\.1\.mlp\.experts"):
        attach.check_all_changed(a, before)


def test_experts_that_got_no_token_are_told(family_model: Any) -> None:
    import torch

    a = attached(family_model("mixtral"), *NEW)
    with torch.no_grad():
        for name, p in a.model.named_parameters():
            if "lora_B" in name and "experts" in name:
                p.fill_(0.1)
                if "layers.1." in name:  # (out, rank, experts): the third expert's columns
                    p.view(p.shape[0], -1, 4)[:, :, 2] = 0
    (said,) = attach.left_alone(a)
    assert "2 of 16 adapted expert matrices did not change" in said and "layers.1" in said
    assert attach.left_alone(attached(family_model("llama"))) == []


@pytest.mark.parametrize("family", ["mistral", "llama", "mixtral"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_trained_saved_and_read_by_plain_peft(
    family: str, dropout: float, family_model: Any, request_for: Any
) -> None:
    """From recipe to adapter, by the whole routine; then the same logits without any of this code."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = family_model(family)
    targets = DESIGN if family == "mixtral" else "lora.targets=all-linear"
    sets = ["model.dtype=float32", "train.lr=0.02", "train.epochs=2", f"lora.dropout={dropout}"]
    request = request_for(f"{family}-{dropout}", targets, *sets, base_model=base)
    kept: dict[str, Any] = {}
    real = attach.check_all_changed

    def look(a: attach.Attached, before: Any) -> int:
        kept["model"] = a.model
        return real(a, before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attach, "check_all_changed", look)
        assert run.train(request) == 0
    events = jobdir.read_events(request.events)[0]
    (told,) = [e for e in events if e["kind"] == "phase" and e["name"] == "attach"]
    assert {w["dtype"] for w in told["weights"]} == {"float32"}
    assert {r["rank"] for r in told["ranks"]} == ({8, 16} if family == "mixtral" else {8})

    ids = torch.arange(5, 40)[None]
    with torch.no_grad():
        kept["model"].eval()
        ours = kept["model"](ids).logits
        plain = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
        untouched = plain(ids).logits.clone()
        again = PeftModel.from_pretrained(plain, str(request.out / "adapter")).eval()
        theirs = again(ids).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert (theirs - untouched).abs().max() > 1e-3


def test_by_rank_names_each_kind_once() -> None:
    found = [
        experts.Adapted(f"layers.{n}.self_attn.{p}", 8, 2.0, 1, 10) for n in (0, 1) for p in "qv"
    ]
    assert experts.by_rank(found) == ["rank 8: q, v"]
