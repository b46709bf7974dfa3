"""Answering golden questions against lm-evaluation-harness.

    QA_BENCH_LM_EVAL=/path/to/python   a Python that has lm-eval, torch and transformers
    QA_BENCH_QUESTIONS=128             how many questions of the golden set
    QA_BENCH_MODEL=smollm2-135m        base model, by name or directory
    QA_BENCH_BATCH=256                 most questions at a time, ours
    QA_BENCH_PEER_BATCHES=1,32,128     theirs; with 1, which is their default, 16 questions are asked

Same model, dtype, prompts, token limit, greedy; the clock runs from the first prompt to the last
answer, after one short answer to warm up. Told on standard error: how many answers are the same text
as theirs, and as ours asked one at a time, in bf16 and in fp32.
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
ONE_BY_ONE = 16  # of theirs: their default takes seconds a question
CHECKED = 8  # of ours, asked alone and in a batch


def run() -> Iterator[Figure]:
    count = int(os.environ.get("QA_BENCH_QUESTIONS", "128"))
    batch = int(os.environ.get("QA_BENCH_BATCH", "256"))
    sizes = os.environ.get("QA_BENCH_PEER_BATCHES", "1,32,128")
    other = os.environ.get("QA_BENCH_LM_EVAL")
    model = str(base_models.resolve(os.environ.get("QA_BENCH_MODEL", "smollm2-135m")))
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.json"
        task.write_text(
            json.dumps({"model": model, "questions": _questions(count), "batch": batch})
        )
        ours = _process(sys.executable, "benchmarks.evaluation", task)
        for dtype, n in ours["differ"].items():
            _tell(f"{dtype}: {n} of {CHECKED} answers differ from the one given alone")
        what, each = f"answer a question, {count} of them", ours["s"] / count
        if other is None:
            yield Figure(what, "s", each, "(no lm-eval)", 0, 0.5, 1)
            return
        for size in map(int, sizes.split(",")):
            asked = range(count) if size > 1 else range(0, count, max(1, count // ONE_BY_ONE))
            prompts = [ours["prompts"][n] for n in asked]
            task.write_text(json.dumps({"model": model, "prompts": prompts}))
            theirs = _process(other, "benchmarks.evaluation_lm_eval", task, str(size))
            mine = [ours["answers"][n] for n in asked]
            same = sum(a == b for a, b in zip(mine, theirs["answers"], strict=True))
            _tell(f"lm-eval batch {size}: {same} of {len(prompts)} answers are the same text")
            yield Figure(
                what, "s", each, f"lm-eval batch {size}", theirs["s"] / len(prompts), 0.5, 1
            )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
    base = Path(given["model"])
    model = generate.load(base, dtype="bfloat16", max_new_tokens=MAX_NEW_TOKENS, device="cpu")
    model.settle()
    asked = [Asked(str(n), text) for n, text in enumerate(given["questions"])]
    start = time.perf_counter()
    answers = {a.id: a for b in model.answer_batches(asked, given["batch"]) for a in b}
    seconds = time.perf_counter() - start
    few = asked[:: max(1, len(asked) // CHECKED)][:CHECKED]
    alone = {q.id: model.answer_alone(q).answer for q in few}
    full = generate.load(base, dtype="float32", max_new_tokens=MAX_NEW_TOKENS, device="cpu")
    exact = {a.id: a.answer for b in full.answer_batches(few, given["batch"]) for a in b}
    return {
        "s": seconds,
        "answers": [answers[q.id].answer for q in asked],
        "prompts": [model.tokenizer.decode(model.prompt_ids(q.question)) for q in asked],
        "differ": {
            "bfloat16": sum(answers[i].answer != text for i, text in alone.items()),
            "float32": sum(full.answer_alone(q).answer != exact[q.id] for q in few),
        },
    }


if __name__ == "__main__":
    print(json.dumps(_ours(Path(sys.argv[1]))))
