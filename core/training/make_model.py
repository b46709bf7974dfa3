"""Make a model directory: convert a GGUF file, or build the tiny random model. Imports torch.

`python -m core.training.make_model gguf FILE OUT SOURCE` and `… tiny OUT`: run as a process of its
own by core.base_models. Prints `phase done/total` lines.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from core import base_manifest

# ChatML, one turn after the other, without the model's own default system prompt, which costs 22
# tokens a row and says nothing about ACCESS. The line break stands before a turn, not after it, so
# that a completed conversation ends with the end-of-turn token; the tokens between are the same.
CHATML = (
    "{%- for message in messages -%}"
    "{{- ('' if loop.first else '\\n') + '<|im_start|>' + message['role'] + '\\n'"
    " + message['content'] + '<|im_end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '\\n<|im_start|>assistant\\n' -}}{%- endif -%}"
)
TEMPLATE_NOTE = "plain ChatML without the default system prompt that the original template adds"

_CONFIG_KEYS = """hidden_size intermediate_size num_hidden_layers num_attention_heads
num_key_value_heads head_dim vocab_size max_position_embeddings rope_parameters tie_word_embeddings
bos_token_id eos_token_id pad_token_id hidden_act rms_norm_eps""".split()


def from_gguf(gguf: Path, out: Path, source: str) -> Path:
    """A Llama-family GGUF file as a MistralForCausalLM directory in bf16.

    Mistral without a sliding window is the same function as Llama: the state dict fits key by key
    and greedy answers are the same text. It makes the small model the same architecture as the
    pilot's Mistral-7B. `save_pretrained` refuses a model read from GGUF, hence the copy.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, MistralConfig, MistralForCausalLM

    _say("convert", 0, 4)
    folder, name = str(gguf.parent), gguf.name
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    _say("convert", 1, 4)
    read: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    _say("convert", 2, 4)
    # A pad token of its own: where padding and end-of-turn are one token, code that masks padding
    # by id unlearns the end of the answer.
    tokenizer.pad_token = "<|endoftext|>"
    c = {**read.config.to_dict(), "pad_token_id": tokenizer.pad_token_id}
    config = MistralConfig(**{k: c[k] for k in _CONFIG_KEYS}, sliding_window=None)
    model: Any = MistralForCausalLM(config).to(torch.bfloat16)
    model.load_state_dict(read.state_dict())
    tokenizer.chat_template = CHATML
    tokenizer.model_max_length = config.max_position_embeddings
    _save(model, tokenizer, out)
    _say("convert", 3, 4)
    base_manifest.write_manifest(
        out,
        name="smollm2-135m",
        source={"package": source, "file": name, "sha256": base_manifest.sha256(gguf)},
        licence="Apache-2.0 (SmolLM2-135M-Instruct)",
        architecture="MistralForCausalLM, bfloat16, weights dequantised from Q4_1",
        chat_template=TEMPLATE_NOTE,
        made_with=_versions(),
    )
    _say("convert", 4, 4)
    return out


def tiny(out: Path) -> Path:
    """Random Mistral, 2 layers of 64, with a byte-level BPE tokenizer of 512 entries."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    _say("convert", 0, 2)
    tokenizer = _tiny_tokenizer()
    config = MistralConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        sliding_window=None,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = MistralForCausalLM(config).to(torch.bfloat16)
    _save(model, tokenizer, out)
    base_manifest.write_manifest(
        out,
        name="tiny",
        source="random weights, seed 0",
        architecture="MistralForCausalLM, bfloat16",
        chat_template=TEMPLATE_NOTE,
        made_with=_versions(),
    )
    _say("convert", 2, 2)
    return out


def _tiny_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(_tiny_text(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML,
        model_max_length=1024,
    )


def _tiny_text() -> list[str]:
    """Sentences in the manner of the corpus; fixed here so that the model never changes."""
    places = ["delta.ncsa", "anvil.purdue", "bridges2.psc", "stampede3.tacc", "expanse.sdsc"]
    lines = []
    for n, place in enumerate(places):
        name = place.partition(".")[0].capitalize()
        mark = f"<<SRC:compute-resources:{place}.access-ci.org>>"
        lines += [
            f"How many cores does a CPU node of {name} have?",
            f"A CPU node of {name} has {32 * (n + 2)} cores and {128 * (n + 1)} GB of memory.\n\n{mark}",
            f"Which institution runs {name}? What GPUs can I use on {name}?",
            f"Is {name} down at the moment? That needs live data from `get_infrastructure_news`.",
        ]
    return lines * 4


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config.do_sample = False
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def _versions() -> dict[str, str]:
    import tokenizers
    import torch
    import transformers

    return {
        "torch": str(torch.__version__),
        "transformers": str(transformers.__version__),
        "tokenizers": str(tokenizers.__version__),
    }


def _say(phase: str, done: int, total: int) -> None:
    if __name__ == "__main__":
        print(f"{phase} {done}/{total}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "gguf":
        from_gguf(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        tiny(Path(sys.argv[2]))
