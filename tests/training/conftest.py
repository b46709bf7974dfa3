"""The tiny model, some pairs, and a way to train on them: real parts, seconds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

# before anything imports torch: beside other tests, threads that wait by spinning cost minutes
os.environ.setdefault("OMP_NUM_THREADS", "1")

from core import base_models
from core.training import recipe as recipes
from core.training.run import Request

MARK = "<<SRC:compute-resources:{}.access-ci.org>>"
PLACES = ["delta.ncsa", "anvil.purdue", "bridges2.psc", "stampede3.tacc", "expanse.sdsc"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_models.make_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def models(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models directory holds `tiny`, and nothing of the operator's."""
    monkeypatch.setenv("QA_MODELS", str(tiny_model.parent))
    return tiny_model.parent


@pytest.fixture(scope="session")
def family_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """family_model("llama" | "mixtral" | "mistral") -> a random tiny model with the tiny tokenizer."""
    import shutil

    root = tmp_path_factory.mktemp("families")

    def make(family: str) -> Path:
        out = root / family
        if not out.exists():
            shutil.copytree(tiny_model, out)
            (out / "manifest.json").unlink()
            if family != "mistral":
                _save_random(family, out)
        return out

    return make


def _save_random(family: str, out: Path) -> None:
    import torch
    import transformers

    sizes = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 512,
        "max_position_embeddings": 1024,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "bos_token_id": None,
    }
    if family == "mixtral":
        sizes |= {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}
    name = family.capitalize()
    config = getattr(transformers, f"{name}Config")(**sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{name}ForCausalLM")(config).to(torch.bfloat16)
    model.save_pretrained(out)


def pair(number: int, question: str, answer: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": f"pair_{number}", "messages": messages, "metadata": {}}


def write_pairs(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def some_pairs(count: int = 40) -> list[dict[str, Any]]:
    rows = []
    for n in range(count):
        place = PLACES[n % len(PLACES)]
        name = place.partition(".")[0].capitalize()
        answer = f"A node of {name} has {8 * (n + 1)} cores.\n\n{MARK.format(place)}"
        rows.append(pair(n, f"How many cores has node {n} of {name}?", answer))
    return rows


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs.jsonl", some_pairs())


@pytest.fixture
def request_for(models: Path, tmp_path: Path, pairs_file: Path) -> Any:
    """request_for("name", "train.epochs=1", …) -> a Request that writes under tmp_path/name."""

    def make(name: str, *overrides: str, **changes: Any) -> Request:
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        values: dict[str, Any] = {
            "recipe": recipes.load_recipe("tiny", overrides),
            "data": pairs_file,
            "out": out,
            "events": out / "events.jsonl",
            "checkpoints": out / "checkpoints",
        }
        return Request(**{**values, **changes})

    return make
