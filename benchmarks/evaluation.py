"""Answering golden questions against lm-evaluation-harness.

    QA_BENCH_LM_EVAL=/path/to/python   a Python that has lm-eval, torch and transformers
    QA_BENCH_QUESTIONS=128             how many questions of the golden set
    QA_BENCH_ASK=base                  base, base+retrieval, or tuned with QA_BENCH_ADAPTER=DIR
    QA_BENCH_MODEL=smollm2-135m        base model, by name or directory
    QA_BENCH_BATCH=256                 most questions at a time, ours
    QA_BENCH_PEER_BATCHES=1,32,128     theirs; with 1, which is their default, 16 questions are asked
    QA_BENCH_ROUNDS=1                  ours, theirs, ours, theirs …: the median of each
    QA_BENCH_THREADS=0                 on both sides; 0: what qa-eval settles on, on both sides

Same model, dtype, prompts, token limit, greedy, adapter merged on both sides; the clock runs from the
first prompt to the last answer, after one short answer to warm up. Loading is left out on both sides.
Time of the clock and of the CPU are two figures: beside other programs only the second means something,
and with one thread only. Told on standard error: the load, how many answers are the same text as theirs,
and as ours asked one at a time, in bf16 and in fp32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, median
from core import base_models, locations

MAX_NEW_TOKENS = 64
ONE_BY_ONE = 16  # of theirs: their default takes seconds a question
CHECKED = 8  # of ours, asked alone and in a batch
TIMES = {"s": "time", "cpu_s": "CPU time"}


def run() -> Iterator[Figure]:
    from core.training import environment

    environment.prepare()  # how threads wait for each other: the same on both sides
    count = int(os.environ.get("QA_BENCH_QUESTIONS", "128"))
    sizes = os.environ.get("QA_BENCH_PEER_BATCHES", "1,32,128")
    rounds = int(os.environ.get("QA_BENCH_ROUNDS", "1"))
    other = os.environ.get("QA_BENCH_LM_EVAL")
    asking = os.environ.get("QA_BENCH_ASK", "base")
    adapter = os.environ["QA_BENCH_ADAPTER"] if asking == "tuned" else None
    model = str(base_models.resolve(os.environ.get("QA_BENCH_MODEL", "smollm2-135m")))
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.json"
        peer_task = Path(folder) / "peer.json"
        given = {
            "model": model,
            "adapter": adapter,
            "questions": _questions(count, asking),
            "batch": int(os.environ.get("QA_BENCH_BATCH", "256")),
            "threads": int(os.environ.get("QA_BENCH_THREADS", "0")),
            "merged": str(Path(folder) / "merged"),
        }
        task.write_text(json.dumps({**given, "check": True}))
        first = _ours(task)
        for dtype, n in first["differ"].items():
            _tell(f"{dtype}: {n} of {CHECKED} answers differ from the one given alone")
        what = f"answer a question, {asking}, {count} of them, {first['threads']} threads"
        if other is None:
            each = first["s"] / count
            yield Figure(what, "s", each, "(no lm-eval)", 0, 0.5, 1)
            return
        task.write_text(json.dumps({**given, "threads": first["threads"], "check": False}))
        for size in map(int, sizes.split(",")):
            asked = range(count) if size > 1 else range(0, count, max(1, count // ONE_BY_ONE))
            prompts = [first["prompts"][n] for n in asked]
            peer = {
                "model": given["merged"] if adapter else model,
                "threads": first["threads"],
                "prompts": prompts,
            }
            peer_task.write_text(json.dumps(peer))
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(_ours(task))
                theirs.append(_process(other, "benchmarks.evaluation_lm_eval", peer_task, size))
            mine = [first["answers"][n] for n in asked]
            same = sum(a == b for a, b in zip(mine, theirs[0]["answers"], strict=True))
            _tell(f"lm-eval batch {size}: {same} of {len(prompts)} answers are the same text")
            _tell(f"load {os.getloadavg()[0]:.1f}")
            for key, name in TIMES.items():
                yield Figure(
                    f"{what}, {name}",
                    "s",
                    median([o[key] for o in ours]) / count,
                    f"lm-eval batch {size}",
                    median([t[key] for t in theirs]) / len(prompts),
                    0.5,
                    rounds,
                )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _ours(task: Path) -> dict[str, Any]:
    return _process(sys.executable, "benchmarks.evaluation", task)


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


def _questions(count: int, asking: str) -> list[str]:
    """The whole user's turn of each, as qa-eval words it."""
    from core.evaluation.augment import Augmenter
    from core.evaluation.golden import load_golden
    from core.pairs import read_pairs

    corpus = locations.configs() / "corpus"
    golden = load_golden(corpus / "golden.jsonl")
    some = [golden[n * len(golden) // count] for n in range(count)]
    if asking != "base+retrieval":
        return [q.question for q in some]
    with Augmenter(read_pairs(sorted(corpus.glob("*_qa_pairs.jsonl"))).pairs) as augmenter:
        return [augmenter.word(q).asked.question for q in some]


def _answer(task: Path) -> dict[str, Any]:
    """In a process of its own, as qa-eval does it."""
    from core.training import environment

    environment.prepare()
    import torch

    from core.evaluation import generate
    from core.evaluation.engines import Asked

    given = json.loads(task.read_text())
    base = Path(given["model"])
    adapter = Path(given["adapter"]) if given["adapter"] else None

    def loaded(dtype: generate.Dtype) -> generate.Generator:
        return generate.load(
            base, adapter, dtype=dtype, max_new_tokens=MAX_NEW_TOKENS, device="cpu"
        )

    model = loaded("bfloat16")
    threads = given["threads"] or model.settle()
    torch.set_num_threads(threads)
    model = replace(model, beside=generate.side_by_side(model.model, model.way, threads))
    asked = [Asked(str(n), text) for n, text in enumerate(given["questions"])]
    model.answer_alone(Asked("warm", "Hello"))
    start, cpu = time.perf_counter(), time.process_time()
    answers = {a.id: a for b in model.answer_batches(asked, given["batch"]) for a in b}
    took = {"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    found = {**took, "threads": threads}
    if not given["check"]:
        return found
    if adapter is not None:
        model.model.save_pretrained(given["merged"])
        model.tokenizer.save_pretrained(given["merged"])
    few = asked[:: max(1, len(asked) // CHECKED)][:CHECKED]
    full = loaded("float32")
    exact = {a.id: a.answer for b in full.answer_batches(few, given["batch"]) for a in b}
    return {
        **found,
        "answers": [answers[q.id].answer for q in asked],
        "prompts": [model.tokenizer.decode(model.prompt_ids(q.question)) for q in asked],
        "differ": {
            "bfloat16": sum(answers[q.id].answer != model.answer_alone(q).answer for q in few),
            "float32": sum(full.answer_alone(q).answer != exact[q.id] for q in few),
        },
    }


if __name__ == "__main__":
    print(json.dumps(_answer(Path(sys.argv[1]))))
