"""Answering golden questions against lm-evaluation-harness.

    QA_BENCH_LM_EVAL=/path/to/python   a Python that has lm-eval, torch and transformers
    QA_BENCH_QUESTIONS=32              how many questions of the golden set
    QA_BENCH_MODEL=smollm2-135m        base model, by name or directory
    QA_BENCH_BATCH=32

Same model, dtype, prompts, token limit, greedy; the clock runs from the first prompt to the last
answer, after one short answer to warm up. lm-eval is timed with its default (one question at a time)
and with our batch size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from core import base_models, locations

MAX_NEW_TOKENS = 64


def run() -> Iterator[Figure]:
    count = int(os.environ.get("QA_BENCH_QUESTIONS", "32"))
    batch = int(os.environ.get("QA_BENCH_BATCH", "32"))
    other = os.environ.get("QA_BENCH_LM_EVAL")
    model = base_models.resolve(os.environ.get("QA_BENCH_MODEL", "smollm2-135m"))
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.json"
        task.write_text(
            json.dumps({"model": str(model), "questions": _questions(count), "batch": batch})
        )
        ours = _process(sys.executable, "benchmarks.evaluation", task)
        if other is None:
            yield Figure(
                f"answer {count} questions, batch {batch}",
                "s",
                ours["s"],
                "(no lm-eval)",
                0,
                0.5,
                1,
            )
            return
        # the prompts as text, and the answers to compare with
        task.write_text(json.dumps({"model": str(model), "prompts": ours["prompts"]}))
        for size, name in ((1, "lm-eval"), (batch, f"lm-eval batch {batch}")):
            theirs = _process(other, "benchmarks.evaluation_lm_eval", task, str(size))
            same = sum(a == b for a, b in zip(ours["answers"], theirs["answers"], strict=True))
            print(f"{name}: {same} of {count} answers are the same text", file=sys.stderr)
            what = f"answer {count} questions, batch {batch}"
            yield Figure(what, "s", ours["s"], name, theirs["s"], 0.5, 1)


def _process(python: str, module: str, *args: object) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-m", module, *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=locations.project_root(),
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _questions(count: int) -> list[str]:
    from core.evaluation.golden import load_golden

    questions = load_golden(locations.configs() / "corpus" / "golden.jsonl")
    return [questions[n * len(questions) // count].question for n in range(count)]


def _ours(task: Path) -> dict[str, Any]:
    """In a process of its own, as qa-eval does it."""
    from core.training import environment

    environment.prepare()
    from core.evaluation import generate
    from core.evaluation.engines import Asked

    given = json.loads(task.read_text())
    model = generate.load(
        Path(given["model"]), dtype="bfloat16", max_new_tokens=MAX_NEW_TOKENS, device="cpu"
    )
    model.settle()
    asked = [Asked(str(n), text) for n, text in enumerate(given["questions"])]
    start = time.perf_counter()
    answers = {a.id: a for b in model.answer_batches(asked, given["batch"]) for a in b}
    seconds = time.perf_counter() - start
    prompts = [model.tokenizer.decode(model.prompt_ids(q.question)) for q in asked]
    return {"s": seconds, "answers": [answers[q.id].answer for q in asked], "prompts": prompts}


if __name__ == "__main__":
    print(json.dumps(_ours(Path(sys.argv[1]))))
