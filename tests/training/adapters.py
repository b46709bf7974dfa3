"""Adapters made without a training: random factors of a chosen size on a tiny base."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def make(base: Path, out: Path, *, seed: int = 0, size: float = 0.05, **lora: Any) -> Path:
    """A LoRA adapter of `base` in `out`. size: standard deviation of B, which decides the update's."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj", "down_proj"],
        "task_type": "CAUSAL_LM",
        **lora,
    }
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype="auto")
    peft = get_peft_model(model, LoraConfig(**settings))
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, size)
    for config in peft.peft_config.values():
        config.base_model_name_or_path = base.name
    peft.save_pretrained(str(out), save_embedding_layers=False)
    return out


def mixtral(out: Path) -> Path:
    """A random Mixtral of two layers and four experts, in bf16, without a tokenizer."""
    import torch
    from transformers import MixtralConfig, MixtralForCausalLM

    config = MixtralConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
        num_local_experts=4,
        num_experts_per_tok=2,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        MixtralForCausalLM(config).to(torch.bfloat16).save_pretrained(out)
    return out
