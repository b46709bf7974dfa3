"""Memory prediction: exact parameter counts, and the published figures it must come near."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UsageError
from core.training import architectures, fit
from core.training import recipe as recipes
from core.training.architectures import KNOWN
from core.training.fit import GIB, Memory
from core.training.recipe import LoraPart, Recipe, validate

GH200 = Memory(round(95.6 * GIB), round(95.6 * GIB), "gpu", "NVIDIA GH200 480GB", 1)
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def made(r: int, targets: Any, batch: int, length: int, **more: Any) -> Recipe:
    data = {
        "name": "one",
        "model": {"name": "one", "attention": "flash", "quantise": more.get("quantise", "none")},
        "lora": {"r": r, "targets": ATTENTION if targets == "attention" else targets},
        "train": {
            "batch_size": batch,
            "max_length": length,
            "gradient_checkpointing": more.get("checkpointing", True),
            "light_loss": False,
        },
    }
    return validate(data, Recipe, origin="test")


# -- counts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "billions"),
    [
        ("mistral-7b", 7_248_023_552, 7.248),
        ("llama-3-8b", 8_030_261_248, 8.030),
        ("llama-3.1-70b", 70_553_706_496, 70.554),
        ("mixtral-8x7b", 46_702_792_704, 46.703),
        ("llama-2-7b", 6_738_415_616, 6.738),
        ("smollm2-135m", 134_515_008, 0.135),
    ],
)
def test_parameters_are_those_published(name: str, parameters: int, billions: float) -> None:
    assert KNOWN[name].parameters == parameters
    assert round(KNOWN[name].parameters / 1e9, 3) == billions


@pytest.mark.parametrize(
    ("name", "targets", "millions"),
    [
        ("mistral-7b", ATTENTION, 54.5),
        ("llama-3-8b", ATTENTION, 54.5),
        ("mistral-7b", "all-linear", 167.8),
        ("llama-3.1-70b", ATTENTION, 262.1),
        ("llama-3.1-70b", "all-linear", 828.4),
    ],
)
def test_adapter_sizes_at_r_64(name: str, targets: Any, millions: float) -> None:
    lora = LoraPart.model_validate({"r": 64, "targets": targets})
    assert round(KNOWN[name].lora_parameters(lora) / 1e6, 1) == millions


def random_model(family: str) -> Any:
    import transformers

    small = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 200,
    }
    more = {"num_local_experts": 4, "num_experts_per_tok": 2} if family == "Mixtral" else {}
    config = getattr(transformers, f"{family}Config")(**small, **more)
    return getattr(transformers, f"{family}ForCausalLM")(config)


@pytest.mark.parametrize("family", ["Mistral", "Llama", "Mixtral", "Qwen2", "Qwen3"])
def test_counts_are_those_of_real_models(family: str, tmp_path: Path) -> None:
    model = random_model(family)
    model.config.save_pretrained(tmp_path)
    shape = architectures.from_directory(tmp_path)
    assert shape.parameters == sum(p.numel() for p in model.parameters())


OLD_NAMES = [*ATTENTION, "gate", "w1", "w2", "w3"]
FUSED = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("family", "targets", "parameters"),
    [
        ("Mistral", "all-linear", []),
        ("Llama", ["q_proj", "v_proj", "down_proj"], []),
        ("Mixtral", ATTENTION, []),
        ("Mixtral", OLD_NAMES, []),
        ("Mixtral", "all-linear", []),
        ("Mixtral", ATTENTION, FUSED),
        ("Mixtral", ATTENTION, [*FUSED, "mlp.gate.weight"]),
    ],
)
def test_adapter_counts_are_those_of_peft(
    family: str, targets: Any, parameters: list[str], tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    model = random_model(family)
    model.config.save_pretrained(tmp_path)
    shape = architectures.from_directory(tmp_path)
    config = LoraConfig(r=4, target_modules=targets, target_parameters=parameters or None)
    adapted = get_peft_model(model, config)
    lora = LoraPart.model_validate({"r": 4, "targets": targets, "target_parameters": parameters})
    expected = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert shape.lora_parameters(lora) == expected


def test_shape_of_a_model_on_this_machine_goes_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_MODELS", str(tmp_path))
    recipe = recipes.load_recipe("mistral-7b")
    assert architectures.of_recipe(recipe) == KNOWN["mistral-7b"]
    random_model("Llama").config.save_pretrained(tmp_path / "mistral-7b")
    assert architectures.of_recipe(recipe).layers == 2
    told = recipes.load_recipe("mistral-7b", ["model.architecture=llama-3-8b"])
    assert architectures.of_recipe(told) == KNOWN["llama-3-8b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "not an object"),
        ("{", "cannot be read"),
        ('{"model_type": "gpt2"}', "no formula"),
        ('{"model_type": "llama", "hidden_size": "64"}', "does not give"),
        ('{"model_type": "llama", "num_attention_heads": true}', "does not give"),
    ],
)
def test_odd_configs_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        architectures.from_directory(tmp_path)


def test_unknown_shape_names_the_nearest() -> None:
    with pytest.raises(UsageError) as e:
        architectures.by_name("mistral-8b")
    assert "model.architecture=mistral-7b" in str(e.value)


# -- the published table -----------------------------------------------------------------------------
# recipe, how logits were made there, published figure. Trainers' tables say GB and mean what nvidia-smi
# shows, which is GiB; those that are decimal GB are marked.

ALL = "all-linear"
ROWS: list[tuple[str, str, Recipe, dict[str, Any], float]] = [
    # LLaMA-Factory's wiki, LLaMA2-7B, r 8 on all, FlashAttention-2
    ("4 bit s1024", "llama-2-7b", made(8, ALL, 1, 1024, quantise="nf4"), {"logits": "full"}, 6),
    ("4 bit s8192", "llama-2-7b", made(8, ALL, 1, 8192, quantise="nf4"), {"logits": "full"}, 12),
    ("4 bit s16384", "llama-2-7b", made(8, ALL, 1, 16384, quantise="nf4"), {"logits": "full"}, 19),
    ("4 bit s32768", "llama-2-7b", made(8, ALL, 1, 32768, quantise="nf4"), {"logits": "full"}, 32),
    ("16 bit b4", "llama-2-7b", made(8, ALL, 4, 1024), {"logits": "full"}, 17),
    # Unsloth's requirements, least for LoRA on 7 B
    ("7B LoRA", "mistral-7b", made(64, "attention", 4, 1024), {"logits": "chunked"}, 19),
    # LLaMA-Factory's README, QLoRA on 70 B
    ("70B QLoRA", "llama-3.1-70b", made(16, ALL, 1, 2048, quantise="nf4"), {}, 48),
    # 70 B LoRA in 16 bit: 160 GB (LLaMA-Factory) and 164 GB (Unsloth), decimal
    ("70B LoRA", "llama-3.1-70b", made(16, ALL, 1, 2048), {}, 160e9 / GIB),
    ("70B LoRA (2)", "llama-3.1-70b", made(16, ALL, 1, 2048), {}, 164e9 / GIB),
    # Mixtral LoRA in 16 bit, experts included: 120 GB in an older table, decimal
    ("Mixtral LoRA", "mixtral-8x7b", made(64, ALL, 1, 1024), {}, 120e9 / GIB),
]


@pytest.mark.parametrize(
    ("name", "recipe", "how", "published"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_within_a_tenth_of_what_was_published(
    name: str, recipe: Recipe, how: dict[str, Any], published: float
) -> None:
    found = fit.peak(recipe, KNOWN[name], fit.load_of(recipe), **how).total / GIB
    assert found == pytest.approx(published, rel=0.10)


MISSES = [
    # Unsloth's 41 GB for 70 B QLoRA rests on kernels of its own; with stock ones 48.5 GiB: 18 % more.
    ("llama-3.1-70b", made(16, ALL, 1, 2048, quantise="nf4"), {}, 41, 0.18),
    # 32 GB (29.8 GiB) for Mixtral in 4 bit, experts quantised, which transformers 5 does not do: 26.0
    # GiB without adapters on experts, 13 % less. The table does not say what it adapted.
    (
        "mixtral-8x7b",
        made(16, "attention", 1, 512, quantise="nf4"),
        {"quantised_experts": True},
        32e9 / GIB,
        -0.13,
    ),
]


@pytest.mark.parametrize(("name", "recipe", "how", "published", "off"), MISSES)
def test_known_misses_are_as_large_as_stated(
    name: str, recipe: Recipe, how: dict[str, Any], published: float, off: float
) -> None:
    found = fit.peak(recipe, KNOWN[name], fit.load_of(recipe), **how).total / GIB
    assert found / published - 1 == pytest.approx(off, abs=0.01)


PLANS = [
    ("mistral-7b", made(64, "attention", 4, 1024), {}, 18.9, "PASS"),
    ("mistral-7b", made(64, ALL, 4, 1024), {}, 20.7, "PASS"),
    ("mistral-7b", made(64, ALL, 4, 2048), {"logits": "full"}, 25.1, "PASS"),
    ("mistral-7b", made(64, ALL, 4, 2048, checkpointing=False), {"logits": "full"}, 64.1, "PASS"),
    ("llama-3-8b", made(64, ALL, 4, 2048), {}, 25.5, "PASS"),
    ("llama-3-8b", made(64, ALL, 4, 2048), {"logits": "full"}, 34.4, "PASS"),
    ("llama-3.1-70b", made(16, "attention", 1, 1024), {}, 144.7, "NO"),
    ("llama-3.1-70b", made(16, ALL, 1, 2048, quantise="nf4"), {}, 48.5, "PASS"),
    ("llama-3.1-70b", made(64, ALL, 4, 2048, quantise="nf4"), {}, 69.9, "PASS"),
    ("mixtral-8x7b", made(16, "attention", 1, 512), {}, 94.1, "TIGHT"),
]


@pytest.mark.parametrize(("name", "recipe", "how", "gib", "verdict"), PLANS)
def test_what_fits_a_gh200(
    name: str, recipe: Recipe, how: dict[str, Any], gib: float, verdict: str
) -> None:
    total = fit.peak(recipe, KNOWN[name], fit.load_of(recipe), **how).total
    assert total / GIB == pytest.approx(gib, rel=0.05)
    assert fit.verdict_of(total, GH200.free) == verdict


def test_mixtral_in_bf16_is_at_98_per_cent() -> None:
    found = fit.fit(made(16, "attention", 1, 512), KNOWN["mixtral-8x7b"], GH200)
    assert found.verdict == "TIGHT" and round(found.share or 0, 2) == 0.98


def test_4_bit_leaves_mixtrals_experts_as_they_are() -> None:
    recipe = made(16, "attention", 1, 512, quantise="nf4")
    found = fit.fit(recipe, KNOWN["mixtral-8x7b"], GH200)
    assert found.verdict == "TIGHT"
    assert any("experts" in note for note in found.notes)


# -- verdicts and ways out ---------------------------------------------------------------------------


def test_70b_in_bf16_gets_its_three_ways_out_in_order() -> None:
    recipe = recipes.load_recipe("llama-3.1-70b", profile="design")
    found = fit.fit(recipe, KNOWN["llama-3.1-70b"], GH200)
    assert found.verdict == "NO"
    ways = [o for o in found.options if o.verdict == "PASS"]
    assert [w.settings[0].partition("=")[0] for w in ways] == [
        "model.quantise",
        "train.processes",
        "model.name",
    ]
    for way in ways[:2]:  # what is promised is what the changed recipe then gets
        changed = recipes.load_recipe("llama-3.1-70b", way.settings, profile="design")
        again = fit.fit(changed, KNOWN["llama-3.1-70b"], GH200)
        assert (again.verdict, again.peak.total) == ("PASS", way.peak)


def test_parts_add_up_and_checkpointing_is_what_saves() -> None:
    recipe = made(64, ALL, 4, 2048, checkpointing=False)
    with_it = fit.fit(made(64, ALL, 4, 2048), KNOWN["mistral-7b"], GH200)
    without = fit.fit(recipe, KNOWN["mistral-7b"], GH200)
    assert sum(without.peak.parts.values()) == without.peak.total
    assert without.peak.activations > 10 * with_it.peak.activations
    assert without.peak.weights == with_it.peak.weights == 2 * KNOWN["mistral-7b"].parameters
    assert with_it.peak.adapter == with_it.peak.optimizer


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.5, "PASS"), (0.92, "PASS"), (0.93, "TIGHT"), (1.0, "TIGHT"), (1.01, "NO")],
)
def test_bounds_of_the_verdicts(share: float, verdict: str) -> None:
    assert fit.verdict_of(round(share * 1000), 1000) == verdict


def test_nothing_is_claimed_where_free_memory_is_not_known() -> None:
    found = fit.fit(made(8, ALL, 1, 512), KNOWN["mistral-7b"], Memory())
    assert (found.verdict, found.share, found.options) == ("UNKNOWN", None, ())
    assert "not known" in found.sentence()


def test_rows_that_are_known_replace_max_length_but_never_exceed_it() -> None:
    recipe = made(64, "attention", 4, 1024)
    assert fit.load_of(recipe, 200).tokens == 800
    assert fit.load_of(recipe, 5000).tokens == 4096
    packed = recipes.load_recipe("mistral-7b", ["train.packing=when-equal"])
    assert fit.load_of(packed, 200).tokens == 800  # the same rows a step, end to end


def test_json_is_plain() -> None:
    found = fit.fit(made(64, ALL, 4, 2048), KNOWN["llama-3.1-70b"], GH200)
    assert json.loads(json.dumps(found.as_json(), default=str))["verdict"] == "NO"
