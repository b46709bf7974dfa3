"""lm-evaluation-harness' side of benchmarks/evaluation.py, for a Python that has it: TASK BATCH → JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

MAX_NEW_TOKENS = 64


def main(task: Path, batch: int) -> dict[str, object]:
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    given = json.loads(task.read_text())
    torch.set_num_threads(given["threads"])
    model = HFLM(pretrained=given["model"], device="cpu", dtype="bfloat16", batch_size=batch)

    def asked(prompts: list[str], tokens: int) -> list[Instance]:
        settings = {"until": ["<|im_end|>"], "max_gen_toks": tokens, "do_sample": False}
        return [
            Instance(request_type="generate_until", doc={}, arguments=(p, settings), idx=n)
            for n, p in enumerate(prompts)
        ]

    model.generate_until(asked(given["prompts"][:1], 3), disable_tqdm=True)
    start, cpu = time.perf_counter(), time.process_time()
    answers = model.generate_until(asked(given["prompts"], MAX_NEW_TOKENS), disable_tqdm=True)
    took = {"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    return {**took, "answers": [a.strip() for a in answers]}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
