"""The shorter way through a model: taken only where it says what the model says."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from tests.conftest import require

PROMPTS = [[7, 3, 11, 5, 9, 2, 8, 4, 6], [5, 8, 2, 13, 4], [9, 3, 12, 3, 7], [4]]
SIZE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
KINDS = {
    "mistral": {"sliding_window": None},
    "llama": {},
    "llama with biases": {"attention_bias": True, "mlp_bias": True},
    "llama with scaled positions": {"rope_parameters": LLAMA3},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
}


def made(kind: str, dtype: str = "float32") -> Any:
    """A random model whose every token depends on all before it."""
    require(find_spec("torch"), "torch")
    import torch
    import transformers

    name = kind.split()[0].capitalize()
    config = getattr(transformers, f"{name}Config")(**SIZE, **KINDS[kind])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = getattr(transformers, f"{name}ForCausalLM")(config)
        for p in model.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, std=0.3)
    return model.to(getattr(torch, dtype)).eval()


def tokens(model: Any, prompts: list[list[int]], way: Any) -> list[list[int]]:
    from core.evaluation.decode import greedy

    limits: dict[str, Any] = {"max_new_tokens": 16, "stop_ids": {1, 17}, "pad_id": 0}
    parts = greedy(model, prompts, device="cpu", way=way, **limits)
    return [s.tokens for s in sorted((s for p in parts for s in p), key=lambda s: s.n)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_tokens_are_those_of_generate(kind: str) -> None:
    model = made(kind)
    from core.evaluation.decode import _by_generate
    from core.evaluation.straight import straight

    way = straight(model)
    assert way is not None
    calls: list[int] = []

    def counted(*given: Any) -> Any:
        calls.append(1)
        return way(*given)

    said = tokens(model, PROMPTS, counted)
    assert calls and said == _by_generate(model, PROMPTS, 16, {1, 17}, 0, "cpu")
    assert said == [tokens(model, [p], way)[0] for p in PROMPTS]
    assert len({tuple(t) for t in said}) == len(PROMPTS)  # they do depend on the prompt


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mistral", "llama"])
def test_in_bfloat16_the_logits_are_the_same_to_the_last_bit(kind: str) -> None:
    model = made(kind, "bfloat16")
    from core.evaluation.packing import pack
    from core.evaluation.straight import straight

    assert straight(model) is not None
    pack(model)  # what qa-eval does first, where the CPU can
    assert straight(model) is not None


@pytest.mark.slow
def test_an_adapter_beside_the_weights_is_gone_through() -> None:
    model = made("mistral")
    import torch
    from peft import LoraConfig, get_peft_model

    from core.evaluation.straight import straight

    plain = tokens(model, PROMPTS, straight(model))
    tuned: Any = get_peft_model(model, LoraConfig(r=2, target_modules=["v_proj", "down_proj"]))
    with torch.random.fork_rng():
        torch.manual_seed(4)
        for name, p in tuned.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, std=0.5)
    way = straight(tuned.eval())
    assert way is not None
    said = tokens(tuned, PROMPTS, way)
    assert said == tokens(tuned, PROMPTS, None) != plain


@pytest.mark.slow
def test_a_model_that_does_something_else_is_left_to_itself() -> None:
    model = made("mistral")
    import torch
    from transformers import MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

    from core.evaluation.straight import straight

    class Other(MistralForCausalLM):  # type: ignore[misc]  # transformers is untyped
        pass

    assert straight(Other(model.config)) is None
    assert straight(Qwen2ForCausalLM(Qwen2Config(**SIZE))) is None
    # of a known family, and changed where the shorter way does not look
    attention = model.model.layers[1].self_attn
    forward = attention.forward

    def doubled(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, Any]:
        seen, weights = forward(*args, **kwargs)
        return seen * 2, weights

    attention.forward = doubled
    assert straight(model) is None
