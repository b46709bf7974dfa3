"""Four-bit export of a merged model with llm-compressor: planned and checked anywhere, run where a GPU is.

    OUT/plan.json           method, scheme, what is left in 16 bit, which versions it is written for
    OUT/calibration.jsonl   pairs of the snapshot, each domain by its share
    OUT/model/              what the run leaves, in the compressed-tensors form that vLLM reads

llm-compressor pins its own transformers, so it has an environment of its own on the host, like vLLM:

    python -m core.training.quantised OUT

Planning is light; only `run` imports torch.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from core.errors import MissingComponent, QAError, UsageError
from core.jobdir import write_atomic
from core.pairs import Pair, write_pairs
from core.training.export import check_out, check_tokenizer, whole
from core.training.replay import sample

Method = Literal["gptq", "awq"]
SCHEMES: dict[str, str] = {"gptq": "W4A16", "awq": "W4A16_ASYM"}
GROUP = 128  # weights that share a scale, in both schemes
ROWS = 512
ROWS_LEAST = 64
MAX_TOKENS = 2048
# the head and the routers of experts decide among many by small differences
LEFT_ALONE = ("lm_head", r"re:.*\.gate$")
REQUIRES = {"llmcompressor": ">=0.14,<0.15", "transformers": ">=5.15,<=5.17"}
INSTALL = "pip install " + " ".join(shlex.quote(f"{k}{v}") for k, v in REQUIRES.items())
PLAN, CALIBRATION, MODEL = "plan.json", "calibration.jsonl", "model"


@dataclass(frozen=True, slots=True)
class Plan:
    """model: the merged model's directory on the host.  rows, max_tokens: of the calibration."""

    method: Method
    model: str
    scheme: str
    rows: int
    max_tokens: int = MAX_TOKENS
    group: int = GROUP
    left_alone: tuple[str, ...] = LEFT_ALONE
    seed: int = 0


def write_plan(
    method: Method,
    model: Path,
    pairs: Sequence[Pair],
    out: Path,
    *,
    rows: int = ROWS,
    seed: int = 0,
) -> Plan:
    """Check everything that can be checked without a GPU, and write plan and calibration rows.

    Raises UsageError (no merged model, a shape that the scheme does not take, too few pairs),
    MissingComponent (no tokenizer).
    """
    check_model(model)
    check_out(out)
    if len(pairs) < ROWS_LEAST:
        raise UsageError(
            f"{len(pairs)} pairs to calibrate with; at least {ROWS_LEAST} are needed",
            why="the scales of 128 weights each are fitted to what flows through them",
            try_next="name the snapshot that the model was trained on",
        )
    chosen = sample(pairs, rows, seed)
    plan = Plan(method, str(model.resolve()), SCHEMES[method], len(chosen), seed=seed)
    with whole(out) as temp:
        write_pairs(temp / CALIBRATION, chosen)
        text = json.dumps({**asdict(plan), "requires": REQUIRES}, indent=1, ensure_ascii=False)
        write_atomic(temp / PLAN, text.encode())
    return plan


def check_model(model: Path) -> None:
    """Raises UsageError, MissingComponent."""
    try:
        config = json.loads((model / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        adapter = (model / "adapter_config.json").is_file()
        raise UsageError(
            f"{model}: an adapter, not a model" if adapter else f"{model}: not a model directory",
            why="weights are quantised after the adapter is in them",
            try_next="qa adapter export DIR --format merged --out MODEL, then this on MODEL",
        ) from None
    if not any(model.glob("*.safetensors")):
        raise UsageError(f"{model}: no *.safetensors in it")
    if config.get("quantization_config"):
        raise UsageError(f"{model}: it is quantised already", try_next="name the 16-bit model")
    check_tokenizer(model)
    widths = {k: config.get(k) for k in ("hidden_size", "intermediate_size")}
    odd = [f"{k} {v}" for k, v in widths.items() if not isinstance(v, int) or v % GROUP]
    if odd:
        raise UsageError(
            f"{model}: {' and '.join(odd)} cannot be divided into groups of {GROUP}",
            why="every group of weights has one scale, and the kernels know no other size",
            try_next="serve it in 16 bit; a model this small gains nothing",
        )


def command(out: Path, python: str = "python") -> str:
    """What is to be typed on the host, in the environment of llm-compressor."""
    return f"{python} -m core.training.quantised {shlex.quote(str(out))}"


def missing() -> MissingComponent | None:
    """What keeps this machine from running a plan; None if nothing does. Imports torch last."""
    for name, wanted in REQUIRES.items():
        try:
            has = version(name)
        except PackageNotFoundError:
            has = ""
        if not has or not _in_range(has, wanted):
            return MissingComponent(
                f"{name} {wanted} is needed, {f'{has} is here' if has else 'none is here'}",
                why="it pins its own transformers and lives in an environment of its own",
                try_next=f"on the GPU host, in an environment of its own: {INSTALL}",
            )
    import torch

    if not torch.cuda.is_available():
        return MissingComponent(
            "quantising needs a GPU, and torch sees none here",
            why="every layer's input is computed for each of the calibration rows",
            try_next="copy the directory and the merged model to the GPU host and run it there",
        )
    return None


def _in_range(has: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return has.split("+")[0] in SpecifierSet(wanted, prereleases=True)


def run(out: Path) -> dict[str, Any]:
    """Carry out the plan in `out`. Raises MissingComponent, UsageError, DiskFull."""
    plan = read_plan(out)
    lacking = missing()
    if lacking is not None:
        raise lacking
    check_model(Path(plan.model))
    return quantise(plan, out)


def quantise(plan: Plan, out: Path) -> dict[str, Any]:
    """The work itself, on whatever device torch has."""
    import torch
    from datasets import Dataset
    from llmcompressor import oneshot  # type: ignore[import-not-found]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(plan.model, local_files_only=True)
    rows, left_out = _tokens(out / CALIBRATION, tokenizer, plan.max_tokens)
    model: Any = AutoModelForCausalLM.from_pretrained(
        plan.model, dtype="auto", local_files_only=True
    )
    check_out(out / MODEL)
    oneshot(
        model=model,
        tokenizer=tokenizer,
        dataset=Dataset.from_list(rows),
        recipe=modifiers(plan),
        max_seq_length=plan.max_tokens,
        num_calibration_samples=len(rows),
        shuffle_calibration_samples=False,
    )
    with whole(out / MODEL) as temp:
        model.save_pretrained(str(temp), save_compressed=True)
        tokenizer.save_pretrained(str(temp))
        about = {
            **asdict(plan),
            "calibrated_on": len(rows),
            "too_long": left_out,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "versions": {k: version(k) for k in ("torch", *REQUIRES)},
        }
        write_atomic(temp / "quantised.json", json.dumps(about, indent=1).encode())
    return about


def modifiers(plan: Plan) -> list[Any]:
    """llm-compressor's recipe."""
    left_alone = list(plan.left_alone)
    if plan.method == "gptq":
        from llmcompressor.modifiers.gptq import GPTQModifier  # type: ignore[import-not-found]

        return [GPTQModifier(targets="Linear", scheme=plan.scheme, ignore=left_alone)]
    from llmcompressor.modifiers.quantization import QuantizationModifier  # type: ignore[import-not-found]
    from llmcompressor.modifiers.transform.awq import AWQModifier  # type: ignore[import-not-found]

    return [
        AWQModifier(duo_scaling="both"),
        QuantizationModifier(targets=["Linear"], scheme=plan.scheme, ignore=left_alone),
    ]


def _tokens(path: Path, tokenizer: Any, most: int) -> tuple[list[dict[str, Any]], int]:
    """Whole conversations through the chat template; none is cut, longer ones are left out."""
    from core.training.data import read_conversations

    rows, left_out = [], 0
    for row in read_conversations(path):
        turns = [*row.prompt, row.completion]
        ids = list(tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False))
        if len(ids) > most:
            left_out += 1
        else:
            rows.append({"input_ids": ids, "attention_mask": [1] * len(ids)})
    if len(rows) < ROWS_LEAST:
        raise UsageError(f"{path}: {left_out} of the rows are longer than {most} tokens")
    return rows, left_out


def read_plan(out: Path) -> Plan:
    """Raises UsageError."""
    try:
        found = json.loads((out / PLAN).read_text("utf-8"))
        found.pop("requires", None)
        plan = Plan(**{**found, "left_alone": tuple(found["left_alone"])})
        if SCHEMES.get(plan.method) != plan.scheme:
            raise ValueError(f"{plan.method} with scheme {plan.scheme}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(
            f"{out}: no plan to carry out",
            why=str(e)[:300],
            try_next="qa adapter export MODEL --format gptq --out OUT",
        ) from e
    return plan


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1 or argv[0].startswith("-"):
        print("usage: python -m core.training.quantised OUT", file=sys.stderr)
        return 2
    try:
        print(json.dumps(run(Path(argv[0])), ensure_ascii=False))
    except QAError as e:
        print(str(e), file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
