"""Training against TRL's and LLaMA-Factory's own commands: same model, rows, steps, batch, LoRA, schedule.

    python -m benchmarks.training [--steps 10] [--rounds 2] [--rows 8] [--dtype bfloat16] [--json]

    QA_BENCH_LLAMAFACTORY=/path/to/python   a Python that has llamafactory, in a venv of its own:
        python3.11 -m venv DIR && DIR/bin/pip install llamafactory torch==2.13.0
        DIR/bin/pip uninstall torchvision torchaudio   where their build does not fit that torch
    QA_BENCH_MODEL=smollm2-135m             base model, by name or directory

Every command runs unchanged, in a process of its own, one after the other, round by round; the clock is
when its line for a step arrives here. Start-up is from the start of the process to the end of the first
step, less one median step. Steps after the first two count. Memory is the largest sum over the
command's processes (shared pages once). Loss: mean over rows that none of them trained on, by one
evaluator over the saved adapters, in float32.

TRL is run twice: its script for speed and memory, with both cores, and for start-up its command
`trl sft`, which starts that script through accelerate and gives it one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import Figure, median
from core import base_models, locations

LLAMAFACTORY = "QA_BENCH_LLAMAFACTORY"
HELD_OUT = 48  # rows
WARM = 2  # steps that do not count
LR, SCHEDULE, WARMUP, RANK, ALPHA = "1e-3", "cosine", "2", "16", "32"
SEED = "0"
STEP = re.compile(r"  step +\d+/|'loss': ")


@dataclass(frozen=True, slots=True)
class Work:
    """What all of them do. rows: of a step.  dtype: bfloat16 or float32."""

    model: Path
    folder: Path
    steps: int
    rows: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Run:
    """start_s: process start to first step.  step_s: median.  peak: bytes.  adapter: where it is."""

    start_s: float
    step_s: float
    peak: int
    adapter: Path


def run(
    steps: int = 10, rounds: int = 2, rows: int = 8, dtype: str = "bfloat16"
) -> Iterator[Figure]:
    model = base_models.resolve(os.environ.get("QA_BENCH_MODEL", "smollm2-135m"))
    other = os.environ.get(LLAMAFACTORY)
    with tempfile.TemporaryDirectory() as name:
        work = Work(model, Path(name), steps, rows, dtype)
        _write_rows(work)
        names = ["ours", "TRL", "trl sft", *(["LLaMA-Factory"] if other else [])]
        runs: dict[str, list[Run]] = {n: [] for n in names}
        for at in range(rounds):
            for n in names:
                runs[n].append(_timed(n, work, work.folder / f"{n} {at}"))
        losses = _held_out(work, {n: runs[n][0].adapter for n in names if n != "trl sft"})
        yield from _figures(runs, losses, work)


def _figures(runs: dict[str, list[Run]], loss: dict[str, float], work: Work) -> Iterator[Figure]:
    what = f"{work.steps} steps of {work.rows} rows, {work.dtype}"
    goals = {"TRL": 1 / 2.2, "LLaMA-Factory": 1 / 1.7}
    ours = runs["ours"]
    n = len(ours)
    start, step = median([r.start_s for r in ours]), median([r.step_s for r in ours])
    peak = max(r.peak for r in ours) / 1e9
    cli = median([r.start_s for r in runs["trl sft"]])
    yield Figure("training, process start to first step", "s", start, "trl sft", cli, 0.7, n)
    for peer, goal in goals.items():
        if peer not in runs:
            missing = f"(no LLaMA-Factory: set {LLAMAFACTORY}, see benchmarks/training.py)"
            yield Figure(f"training, a step ({what})", "s", step, missing, 0, round(goal, 3), n)
            continue
        theirs = runs[peer]
        their_step = median([r.step_s for r in theirs])
        their_peak = max(r.peak for r in theirs) / 1e9
        yield Figure(f"training, a step ({what})", "s", step, peer, their_step, round(goal, 3), n)
        yield Figure("training, peak memory", "GB", peak, peer, their_peak, 1.0, n)
        yield Figure("training, held-out loss", "nats", loss["ours"], peer, loss[peer], 1.02, 1)


def _command(name: str, work: Work, out: Path) -> tuple[list[str], dict[str, str], Path]:
    """Words, environment, and where the adapter will be."""
    both = {"OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    if name == "ours":
        return _ours(work, out), {}, out / "adapter"
    if name == "TRL":
        words = [sys.executable, "-m", "trl.scripts.sft", *_trl(work, out)]
        return words, both, out
    if name == "trl sft":
        return [str(Path(sys.executable).with_name("trl")), "sft", *_trl(work, out)], {}, out
    python = Path(os.environ[LLAMAFACTORY])
    (work.folder / "lf.yaml").write_text(_llamafactory(work, out))
    stub = work.folder / "stub"  # imported at its start, used for sound only
    stub.mkdir(exist_ok=True)
    (stub / "torchaudio.py").touch()
    words = [str(python.with_name("llamafactory-cli")), "train", str(work.folder / "lf.yaml")]
    return words, {**both, "PYTHONPATH": str(stub)}, out


def _ours(work: Work, out: Path) -> list[str]:
    words = [sys.executable, "-m", "core.training", "--recipe", "smollm2-135m"]
    words += ["--data", str(work.folder / "pairs.jsonl"), "--out", str(out)]
    words += ["--base-model", str(work.model)]
    settings = {
        "model.dtype": work.dtype,
        "lora.r": RANK,
        "lora.alpha": ALPHA,
        "train.batch_size": str(work.rows),
        "train.lr": LR,
        "train.schedule": SCHEDULE,
        "train.warmup": f"{(int(WARMUP) - 0.5) / work.steps:.4f}",  # a share, rounded up to steps
        "train.epochs": "1",
        "train.seed": SEED,
        "train.checkpoint_every": "0",
        "probe.every": "0",
    }
    return words + [w for key, value in settings.items() for w in ("--set", f"{key}={value}")]


def _trl(work: Work, out: Path) -> list[str]:
    """Its defaults, but for what the work is."""
    settings = {
        "model_name_or_path": str(work.model),
        "dataset_name": str(work.folder / "trl"),
        "output_dir": str(out),
        "dtype": work.dtype,
        "lora_r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": "0",
        "lora_target_modules": "all-linear",
        "per_device_train_batch_size": str(work.rows),
        "num_train_epochs": "1",
        "learning_rate": LR,
        "lr_scheduler_type": SCHEDULE,
        "warmup_steps": WARMUP,
        "seed": SEED,
        "logging_steps": "1",
        "report_to": "none",
    }
    if work.dtype == "float32":
        settings["bf16"] = "false"
    return ["--use_peft", "--use_cpu"] + [w for k, v in settings.items() for w in (f"--{k}", v)]


def _llamafactory(work: Work, out: Path) -> str:
    return json.dumps(
        {
            "model_name_or_path": str(work.model),
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "lora",
            "lora_rank": int(RANK),
            "lora_alpha": int(ALPHA),
            "lora_dropout": 0.0,
            "lora_target": "all",
            "dataset": "rows",
            "dataset_dir": str(work.folder / "lf"),
            "template": "smollm",  # that of this model: smollm2 adds a system prompt
            "cutoff_len": 512,
            "output_dir": str(out),
            "overwrite_output_dir": True,
            "save_only_model": True,
            "per_device_train_batch_size": work.rows,
            "num_train_epochs": 1,
            "learning_rate": float(LR),
            "lr_scheduler_type": SCHEDULE,
            "warmup_steps": int(WARMUP),
            "seed": int(SEED),
            "logging_steps": 1,
            "bf16": work.dtype == "bfloat16",
            "use_cpu": True,
            "report_to": "none",
        }
    )


def _timed(name: str, work: Work, out: Path) -> Run:
    words, env, adapter = _command(name, work, out)
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    env = {**plain, **env, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    began = time.monotonic()
    child = subprocess.Popen(
        words,
        env=env,
        cwd=locations.project_root(),
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    peak = _Peak(child.pid)
    peak.start()
    ends, tail = [], []
    assert child.stdout is not None
    for line in child.stdout:
        tail = [*tail[-20:], line]
        if STEP.search(line):
            ends.append(time.monotonic() - began)
    peak.done.set()
    if child.wait() or len(ends) != work.steps:
        raise RuntimeError(f"{name}: exit {child.returncode}, {len(ends)} steps\n{''.join(tail)}")
    step = median([b - a for a, b in pairwise(ends[WARM - 1 :])])
    found = Run(ends[0] - step, step, peak.bytes, adapter)
    said = f"first step after {found.start_s:.1f} s, {step:.2f} s a step, {peak.bytes / 1e9:.2f} GB"
    print(f"{name}: {said}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


class _Peak(threading.Thread):
    """The most memory that a process and its descendants had at once, looked at every 0.3 s."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.done = threading.Event()
        self.bytes = 0

    def run(self) -> None:
        while not self.done.wait(0.3):
            self.bytes = max(self.bytes, sum(map(_proportional, _family(self._pid))))


def _family(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        children = [int(c) for t in tasks for c in (t / "children").read_text().split()]
    except OSError:  # it has ended
        return []
    return [pid, *(p for c in children for p in _family(c))]


def _proportional(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _write_rows(work: Work) -> None:
    """The same pairs in the shape that each of them reads, and others held out."""
    corpus = locations.configs() / "corpus" / "compute-resources_qa_pairs.jsonl"
    lines = corpus.read_text("utf-8").splitlines()
    need = work.steps * work.rows
    if need + HELD_OUT > len(lines):
        raise ValueError(
            f"{len(lines)} pairs: at most {(len(lines) - HELD_OUT) // work.rows} steps"
        )
    held = set(range(0, len(lines), len(lines) // HELD_OUT))
    train = [line for n, line in enumerate(lines) if n not in held]
    train = [train[n * len(train) // need] for n in range(need)]
    (work.folder / "pairs.jsonl").write_text("\n".join(train) + "\n")
    (work.folder / "held.jsonl").write_text("\n".join(lines[n] for n in sorted(held)) + "\n")
    turns = [json.loads(line)["messages"] for line in train]
    for name in ("trl", "lf"):
        (work.folder / name).mkdir()
    trl = [json.dumps({"prompt": t[:-1], "completion": t[-1:]}) for t in turns]
    (work.folder / "trl" / "train.jsonl").write_text("\n".join(trl) + "\n")
    lf = [{"instruction": t[0]["content"], "input": "", "output": t[1]["content"]} for t in turns]
    (work.folder / "lf" / "rows.json").write_text(json.dumps(lf))
    info = {"rows": {"file_name": "rows.json"}}
    (work.folder / "lf" / "dataset_info.json").write_text(json.dumps(info))


def _held_out(work: Work, adapters: dict[str, Path]) -> dict[str, float]:
    words = [sys.executable, "-m", "benchmarks.training_loss", str(work.model)]
    words += [str(work.folder / "held.jsonl"), *map(str, adapters.values())]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, check=True, cwd=locations.project_root()
    )
    losses: list[float] = json.loads(done.stdout.splitlines()[-1])
    return dict(zip(adapters, losses, strict=True))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.steps <= WARM:
        parser.error(
            f"--steps {options.steps}: the first {WARM} are not timed, so {WARM + 1} at least"
        )
    for figure in run(options.steps, options.rounds, options.rows, options.dtype):
        print(figure.as_json() if options.json else figure.as_text(), flush=True)


if __name__ == "__main__":
    main()
