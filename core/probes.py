"""Small questions put to a GPU host before real work: `python -m core.probes torch|model|data|training …`.

Each prints one JSON object and exits 0; an expected fault is a typed error on stderr. They run where the
work will run, with the interpreter the work will use, so that an answer means something.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from core.errors import MissingComponent, QAError, UsageError


def torch_probe() -> dict[str, Any]:
    """What `torch.cuda.is_available()` says, the device, and whether a bf16 product comes out right."""
    torch = _torch()
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    a = torch.eye(64, dtype=torch.bfloat16, device=device) * 2
    return {
        "torch": torch.__version__,
        "cuda_build": torch.version.cuda,
        "cuda_available": cuda,
        "device": torch.cuda.get_device_name(0) if cuda else "CPU",
        "memory_bytes": torch.cuda.mem_get_info()[1] if cuda else None,
        "bf16_matmul": bool(((a @ a).float().diagonal() == 4).all()),
        "threads": torch.get_num_threads(),
    }


def model_probe(name: str) -> dict[str, Any]:
    """Load base model `name` in bf16 and let it say a few words."""
    torch = _torch()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from core import base_models

    start = time.perf_counter()
    path = base_models.resolve(name)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).eval()
    loaded = time.perf_counter() - start
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is Delta at NCSA?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    ).to(device)
    with torch.no_grad():
        out = model.generate(**prompt, max_new_tokens=16, do_sample=False)
    said = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    return {
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "bytes": sum(p.numel() * p.element_size() for p in model.parameters()),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": device,
        "load_s": round(loaded, 2),
        "says": said,
    }


def data_probe(file: str, model: str) -> dict[str, Any]:
    """Read pairs as training will, with the tokenizer of `model`; checks masks, ends and markers."""
    from transformers import AutoTokenizer

    from core import base_models
    from core.training.data import describe, encode, learned_text, read_conversations

    tokenizer = AutoTokenizer.from_pretrained(base_models.resolve(model))
    rows = encode(
        read_conversations(Path(file)),
        tokenizer,
        eos_ids={tokenizer.eos_token_id},
        max_length=8192,
    )
    return {**describe(rows), "learned_text": learned_text(rows, tokenizer)}


def training_probe(settings: dict[str, Any], *, here: bool) -> dict[str, Any]:
    """Whether a training with these settings would be refused, and the refusal (core.training.readiness).

    It is an answer, not a fault: {"refused": …} with the error's class, what, why and try_next.
    """
    from core.training.readiness import look

    try:
        return {"refused": None, **look(settings, here=here)}
    except ModuleNotFoundError as e:
        missing = MissingComponent(
            f"the package {e.name} is not installed for {sys.executable}",
            try_next="pip install -c constraints.txt '.[train]' into the environment named in hosts.yaml",
        )
        return {"refused": missing.as_dict()}
    except QAError as e:
        return {"refused": e.as_dict()}


def _torch() -> Any:
    try:
        import torch
    except ImportError as e:
        raise MissingComponent(
            "torch is not installed for this Python",
            why=f"{sys.executable}: {e}",
            try_next="pip install -c constraints.txt '.[train]' into the environment named in hosts.yaml",
        ) from e
    return torch


def main(argv: list[str]) -> int:
    try:
        match argv:
            case ["torch"]:
                answer = torch_probe()
            case ["model", name]:
                answer = model_probe(name)
            case ["data", file, model]:
                answer = data_probe(file, model)
            case ["training", where] if where in ("here", "elsewhere"):
                answer = training_probe(json.load(sys.stdin), here=where == "here")
            case _:
                raise UsageError(
                    "usage: core.probes torch | model NAME | data FILE MODEL | "
                    "training here|elsewhere <SETTINGS"
                )
    except QAError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    print(json.dumps(answer, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
