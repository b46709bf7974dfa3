"""Loss of adapters on rows that none of them trained on: BASE PAIRS ADAPTER… → JSON list.

Mean negative log-likelihood of the answer's tokens, end of turn included, in float32, each row alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core.training import environment


def main(base: Path, pairs: Path, adapters: list[Path]) -> list[float]:
    environment.prepare()
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from core.training import data
    from core.training.tokenizer import load_tokenizer

    environment.silence_libraries()
    tokenizer, eos = load_tokenizer(base)
    found = data.read_conversations(pairs)
    rows = data.encode(found, tokenizer, eos_ids=eos, max_length=4096)
    losses = []
    for adapter in adapters:
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
        total = 0.0
        with torch.inference_mode():
            for row in rows:
                ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
                total += model(input_ids=ids, labels=labels).loss.item() * row.learned
        losses.append(total / sum(row.learned for row in rows))
    return losses


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), [*map(Path, sys.argv[3:])])))
