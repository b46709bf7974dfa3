"""What a training leaves, what vLLM makes of it, and the plan for four bit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from core import locations
from core.errors import EnvironmentProblem, MissingComponent, UsageError
from core.pairs import Message, Pair
from core.training import adapter, attach, export, merging, quantised
from core.training import recipe as recipes
from core.training.adapter_files import check_hashes, read
from core.training.merging import Part
from core.training.vllm_fit import Finding, needed_rank, vllm_fit
from tests.core.conftest import make_pair
from tests.training.adapters import make, mixtral


@pytest.fixture(scope="session")
def plain(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tiny_model, tmp_path_factory.mktemp("plain") / "adapter", seed=1)


def changed(source: Path, out: Path, **config: Any) -> Path:
    shutil.copytree(source, out)
    file = out / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    return out


def errors(found: tuple[Finding, ...]) -> set[str]:
    return {f.key for f in found if f.severity == "error"}


# -- what vLLM takes --------------------------------------------------------------------------------


def test_a_plain_adapter_is_served(plain: Path) -> None:
    assert vllm_fit(plain) == ()
    assert needed_rank(read(plain)) == 8  # the next one that vLLM knows above 4


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"lora_bias": True}, "bias"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"target_modules": None}, "target_modules"),
        ({"target_parameters": ["mlp.experts.down_proj"]}, "target_parameters"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"alpha_pattern": {"q_proj": 99}}, "alpha_pattern"),
        ({"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 4}}, "alpha_pattern"),
        ({"rank_pattern": {"nothing": 1024}, "alpha_pattern": {"nothing": 2048}}, "r"),
    ],
)
def test_what_vllm_refuses_or_gets_wrong(
    setting: dict[str, Any], key: str, plain: Path, tmp_path: Path
) -> None:
    assert errors(vllm_fit(changed(plain, tmp_path / "a", **setting))) == {key}


def test_a_pattern_of_the_same_scale_is_no_fault(plain: Path, tmp_path: Path) -> None:
    same = {"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"q_proj": 16}}
    assert errors(vllm_fit(changed(plain, tmp_path / "a", **same))) == set()
    rs = changed(plain, tmp_path / "rs", use_rslora=True)
    assert [f.key for f in vllm_fit(rs)] == ["use_rslora"]


@pytest.mark.parametrize(
    ("rank", "server", "found"),
    [
        (64, None, ("note", "--max-lora-rank 64")),
        (64, 16, ("error", "--max-lora-rank 64")),
        (96, 64, ("error", "--max-lora-rank 128")),
        (64, 64, None),
        (600, None, ("error", "--rank 512")),
    ],
)
def test_the_rank_that_the_server_needs(
    rank: int, server: int | None, found: tuple[str, str] | None, tiny_model: Path, tmp_path: Path
) -> None:
    made = make(tiny_model, tmp_path / "a", r=rank, target_modules=["q_proj"])
    findings = [f for f in vllm_fit(made, server) if f.key == "r"]
    if found is None:
        assert findings == []
    else:
        assert findings[0].severity == found[0] and found[1] in findings[0].fix


def test_whole_weights_and_lost_factors_are_seen(plain: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    made = shutil.copytree(plain, tmp_path / "a")
    tensors = load_file(made / "adapter_model.safetensors")
    lost = next(k for k in tensors if "lora_B" in k)
    del tensors[lost]
    tensors["base_model.model.lm_head.weight"] = torch.zeros(4, 4)
    save_file(tensors, made / "adapter_model.safetensors")
    text = " ".join(f.what for f in vllm_fit(made))
    assert "no low-rank factors" in text and "one factor of two is missing" in text


def test_experts_are_said_to_be_passed_over(tmp_path: Path) -> None:
    base = mixtral(tmp_path / "mix")
    made = make(base, tmp_path / "a", target_parameters=["mlp.experts.down_proj"])
    assert errors(vllm_fit(made)) == {"target_parameters"}


# -- pickles, damage --------------------------------------------------------------------------------


def test_a_pickle_is_refused(plain: Path, tmp_path: Path) -> None:
    both = shutil.copytree(plain, tmp_path / "both")
    (both / "adapter_model.bin").write_bytes(b"\x80\x04.")
    assert [f.severity for f in vllm_fit(both)] == ["warning"]
    (both / "adapter_model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"adapter_model\.bin is a pickle"):
        read(both)
    with pytest.raises(UsageError, match="is a pickle"):
        export.peft([Part(both)], tmp_path / "out")


@pytest.mark.parametrize("config", ["", "[]", "{", '{"peft_type": "IA3", "r": 4}', '{"r": "4"}'])
def test_a_configuration_that_is_none(config: str, plain: Path, tmp_path: Path) -> None:
    made = shutil.copytree(plain, tmp_path / "a")
    (made / "adapter_config.json").write_text(config)
    with pytest.raises(UsageError):
        read(made)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MissingComponent, match="no adapter there"):
        read(tmp_path)
    with pytest.raises(MissingComponent, match="no adapter there"):
        read(tmp_path / "nowhere")


# -- what the trainer writes ------------------------------------------------------------------------


def trained(models: Path, *overrides: str) -> tuple[attach.Attached, recipes.Recipe]:
    import torch

    recipe = recipes.load_recipe("tiny", overrides)
    tokenizer, _ = attach.load_tokenizer(models / "tiny")
    made = attach.attach(attach.load_model(models / "tiny", recipe, "eager"), tokenizer, recipe, ())
    with torch.no_grad():
        for name, p in made.model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.05)
    return made, recipe


def test_the_folder_says_all_about_itself(models: Path, tmp_path: Path) -> None:
    made, recipe = trained(models)
    folder = tmp_path / "adapter"
    digest = adapter.save(folder, made.model, recipe, tokenizer=made.tokenizer)
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "about.json", "adapter_config.json", "adapter_model.safetensors",
        "chat_template.jinja", "recipe.yaml",
    ]  # fmt: skip
    files = read(folder)
    assert files.about["files"]["adapter_model.safetensors"] == digest
    assert files.about["chat_template_sha256"] == adapter.text_sha256(made.tokenizer.chat_template)
    assert check_hashes(files) == [] and vllm_fit(folder) == ()
    head = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert head["base_model"] == "tiny" and head["library_name"] == "peft"
    (folder / "recipe.yaml").write_text("name: other")
    assert check_hashes(read(folder)) == ["recipe.yaml was changed since it was written"]


def test_hashes_are_of_files_in_the_folder_only(plain: Path, tmp_path: Path) -> None:
    made = shutil.copytree(plain, tmp_path / "a")
    outside = {"files": {"../../../etc/passwd": "0" * 64}}
    (made / "about.json").write_text(json.dumps(outside))
    assert check_hashes(read(made)) == ["../../../etc/passwd is missing"]


def test_a_second_adapter_on_a_merged_one_is_saved_as_their_sum(
    models: Path, plain: Path, tmp_path: Path
) -> None:
    """merge: trained on base + earlier; what is saved fits the base as it is, alone."""
    import torch
    from peft import PeftModel

    recipe = recipes.load_recipe("tiny", ["incremental.strategy=merge", "model.dtype=float32"])
    tokenizer, _ = attach.load_tokenizer(models / "tiny")
    model = attach.load_model(models / "tiny", recipe, "eager")
    survived = merging.absorb(model, plain, recipe)
    assert survived.total.survival > 0.99
    made = attach.attach(model, tokenizer, recipe, ())
    with torch.no_grad():
        for name, p in made.model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.05)
    ids = torch.arange(3, 23)[None]
    made.model.eval()
    with torch.inference_mode():
        wanted = made.model(ids).logits
    adapter.save(tmp_path / "adapter", made.model, recipe, tokenizer=tokenizer, earlier=plain)
    files = read(tmp_path / "adapter")
    assert files.rank == 4 + 8 and len(files.about["sum_of"]) == 2
    assert read(tmp_path / "addition").rank == 8
    whole = attach.load_model(models / "tiny", recipe, "eager")
    alone = PeftModel.from_pretrained(whole, str(tmp_path / "adapter")).eval()
    with torch.inference_mode():
        assert torch.allclose(alone(ids).logits, wanted, atol=1e-3)


def test_a_third_round_builds_on_the_base_again(models: Path, plain: Path, tmp_path: Path) -> None:
    """The sum of a round is a plain adapter of the base, so the next round never sees a merge."""
    figures = export.peft([Part(plain), Part(plain)], tmp_path / "second", say=lambda text: None)
    again = export.peft(
        [Part(tmp_path / "second"), Part(plain)], tmp_path / "third", say=lambda text: None
    )
    assert (figures["rank"], again["rank"]) == (8, 12)
    assert read(tmp_path / "third").base == "tiny"


# -- four bit ----------------------------------------------------------------------------------------


def some_pairs(count: int) -> list[Pair]:
    turns = (Message("user", "How many?"), Message("assistant", "Ten. <<SRC:d:x>>"))
    return [Pair(f"p{n}", "s", "s", "ab"[n % 4 == 0], turns, {}) for n in range(count)]


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A model directory as far as planning looks at it, of a width that four bit takes."""
    out = tmp_path / "model"
    shutil.copytree(tiny_model, out)
    config = json.loads((out / "config.json").read_text())
    config |= {"hidden_size": 256, "intermediate_size": 512}
    (out / "config.json").write_text(json.dumps(config))
    return out


@pytest.mark.parametrize(("method", "scheme"), [("gptq", "W4A16"), ("awq", "W4A16_ASYM")])
def test_a_plan_holds_all_that_the_host_needs(
    method: Any, scheme: str, model: Path, tmp_path: Path
) -> None:
    from core.training.data import read_conversations

    out = tmp_path / "out"
    quantised.write_plan(method, model, some_pairs(400), out, rows=100)
    plan = quantised.read_plan(out)
    assert (plan.scheme, plan.rows, plan.model) == (scheme, 100, str(model.resolve()))
    rows = read_conversations(out / "calibration.jsonl")
    assert len(rows) == 100
    raw = [json.loads(x)["domain"] for x in (out / "calibration.jsonl").read_text().splitlines()]
    assert raw.count("b") == 25  # each domain by its share
    assert quantised.command(out, "/venv/bin/python").endswith(str(out))


def test_the_plan_is_refused_where_it_cannot_work(model: Path, plain: Path, tmp_path: Path) -> None:
    pairs, out = some_pairs(100), tmp_path / "out"
    with pytest.raises(UsageError, match="an adapter, not a model") as e:
        quantised.write_plan("gptq", plain, pairs, out)
    assert "--format merged" in e.value.try_next
    with pytest.raises(UsageError, match="at least 64 are needed"):
        quantised.write_plan("gptq", model, pairs[:10], out)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "hidden_size": 576}))
    with pytest.raises(UsageError, match="hidden_size 576 cannot be divided into groups of 128"):
        quantised.write_plan("awq", model, pairs, out)
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": {"a": 1}}))
    with pytest.raises(UsageError, match="quantised already"):
        quantised.write_plan("awq", model, pairs, out)
    (model / "config.json").write_text(json.dumps(config))
    (model / "tokenizer.json").unlink()
    with pytest.raises(MissingComponent, match="tokenizer is missing"):
        quantised.write_plan("awq", model, pairs, out)
    assert not out.exists()


def test_without_package_or_gpu_nothing_is_claimed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    out = tmp_path / "out"
    quantised.write_plan("gptq", model, some_pairs(100), out)
    monkeypatch.setattr(quantised, "version", lambda name: "0.9.0")
    with pytest.raises(
        MissingComponent, match=r"llmcompressor >=0\.14,<0\.15 is needed, 0\.9\.0 is"
    ):
        quantised.run(out)
    monkeypatch.setattr(
        quantised, "version", {"llmcompressor": "0.14.0.1", "transformers": "5.17.0"}.__getitem__
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingComponent, match="needs a GPU") as e:
        quantised.run(out)
    assert "GPU host" in e.value.try_next and not (out / "model").exists()


def test_a_plan_that_was_tampered_with_is_refused(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="no plan"):
        quantised.read_plan(out)
    quantised.write_plan("gptq", model, some_pairs(100), out)
    text = (out / "plan.json").read_text()
    for wrong in (text.replace("W4A16", "W2A16"), text.replace('"rows"', '"lines"'), "[]"):
        (out / "plan.json").write_text(wrong)
        with pytest.raises(UsageError, match="no plan to carry out"):
            quantised.read_plan(out)


# -- the command ------------------------------------------------------------------------------------


def qa(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    from tui.cli.root import run

    capsys.readouterr()
    code = run([str(w) for w in words])
    return code, *capsys.readouterr()


def test_check_says_what_is_wrong(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = qa(capsys, "adapter", "check", plain, "--json")
    found = json.loads(out)
    assert code == 0 and found["ok"] and found["max_lora_rank"] == 8
    code, out, _ = qa(capsys, "adapter", "check", plain, "--max-lora-rank", 2)
    assert code == 2 and "--max-lora-rank is 2" in out
    hostile = changed(plain, tmp_path / "h", base_model_name_or_path="\x1b[31m\u202eevil")
    code, out, _ = qa(capsys, "adapter", "check", hostile)
    assert "\x1b" not in out and "\u202e" not in out
    code, _, err = qa(capsys, "adapter", "check", tmp_path)
    assert code == 6 and "no adapter there" in err


@pytest.mark.slow
def test_merge_and_export_run_in_a_process_of_their_own(
    plain: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = qa(capsys, "adapter", "merge", plain, "--out", tmp_path / "m", "--json")
    assert code == 0, err
    assert json.loads(out)["survival"]["survival"] > 0.9
    assert "of the update survives" in err and (tmp_path / "m" / "model.safetensors").is_file()
    both = ["adapter", "export", plain, plain, "--format", "peft", "--out", tmp_path / "p"]
    code, out, err = qa(capsys, *both, "--weight", 0.5)
    assert code == 2 and "1 weights for 2 adapters" in err
    code, out, _ = qa(capsys, *both, "--rank", 3)
    assert code == 0 and "rank 3" in out
    code, out, err = qa(capsys, "adapter", "merge", plain, "--out", tmp_path / "m")
    assert code == 2 and "is there already" in err


def test_a_lossy_merge_ends_with_its_figures(
    tiny_model: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = make(tiny_model, tmp_path / "small", size=1e-4)
    code, out, err = qa(capsys, "adapter", "merge", small, "--out", tmp_path / "m", "--json")
    assert code == 4 and out == ""
    assert re.search(r"only \d+\.\d% of the update would survive", err)
    assert not (tmp_path / "m").exists()


def test_four_bit_here_leaves_the_plan_and_says_where(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.pairs import write_pairs

    data = tmp_path / "pairs.jsonl"
    write_pairs(data, [make_pair(n) for n in range(80)])
    with data.open("a") as f:
        f.write('{"id": "no pair"}\n')
    words = ["adapter", "export", model, "--format", "gptq", "--out"]
    code, _, err = qa(capsys, *words, tmp_path / "none")
    assert code == 2 and "--snapshot ID" in err
    code, out, err = qa(capsys, *words, tmp_path / "q", "--data", data, "--plan-only", "--json")
    assert code == 0, err
    assert json.loads(out)["plan"]["rows"] == 80 and "1 rows of" in err
    if quantised.missing() is not None:
        code, _, err = qa(capsys, *words, tmp_path / "r", "--data", data)
        assert code == 6 and "nothing was quantised" in err and "core.training.quantised" in err
        assert (tmp_path / "r" / "plan.json").is_file()


def test_the_strategy_and_its_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = (
        (locations.configs() / "corpus" / "compute-resources_qa_pairs.jsonl")
        .read_text()
        .splitlines()
    )
    (tmp_path / "before.jsonl").write_text("\n".join(corpus[:40]) + "\n")
    (tmp_path / "after.jsonl").write_text("\n".join(corpus[:60]) + "\n")
    code, out, err = qa(
        capsys, "adapter", "strategy", tmp_path / "before.jsonl", tmp_path / "after.jsonl", "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["strategy"] == "retrain" and found["mix"]["new"] == 20


def test_damage_is_an_environment_problem(plain: Path, tmp_path: Path) -> None:
    made = shutil.copytree(plain, tmp_path / "a")
    weights = made / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"more")
    with pytest.raises(EnvironmentProblem, match="damaged"):
        read(made)
