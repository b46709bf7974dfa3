"""Recipes: what ships is right, and a mistake is named with file, line, key and nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from core.errors import SettingsError
from core.training import recipe as recipes

GOOD = """\
name: one
model:
  name: tiny
lora:
  r: 4
train:
  lr: 1e-3
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(text)
    return path


def fault(path: Path, *overrides: str, profile: str | None = None) -> str:
    with pytest.raises(SettingsError) as e:
        recipes.load_recipe(path, overrides, profile=profile)
    return str(e.value)


def test_every_shipped_recipe_and_profile_loads() -> None:
    wanted = {"tiny", "smollm2-135m", "mistral-7b", "llama-3-8b", "llama-3.1-70b", "mixtral-8x7b"}
    assert wanted <= set(recipes.names())
    for name in wanted:
        assert {"design", "recommended"} <= set(recipes.profiles(name))
    for name in recipes.names():
        data = yaml.safe_load((recipes.recipes_dir() / f"{name}.yaml").read_text())
        assert recipes.load_recipe(name).name == name
        for profile in data.get("profiles", {}):
            assert recipes.load_recipe(name, profile=profile).profile == profile


def test_every_shipped_recipe_opens_with_what_needs_how() -> None:
    for name in recipes.names():
        head = (recipes.recipes_dir() / f"{name}.yaml").read_text()[:1500]
        for word in ("What it is", "What it needs", "How to run", "How to change"):
            assert word in head, (name, word)


ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
DENSE = {"batch": 4, "dropout": 0.05, "lr": 2e-5, "targets": ATTENTION}
MOE = {"batch": 1, "dropout": 0.1, "lr": 3e-5, "targets": [*ATTENTION, "gate", "w1", "w2", "w3"]}


@pytest.mark.parametrize(
    ("name", "design"),
    [
        ("mistral-7b", DENSE),
        ("llama-3-8b", DENSE),
        ("llama-3.1-70b", DENSE),
        ("mixtral-8x7b", MOE),
    ],
)
def test_the_design_profile_is_the_design(name: str, design: dict[str, object]) -> None:
    r = recipes.load_recipe(name, profile="design")
    assert (r.model.name, r.model.dtype, r.model.attention) == (name, "bfloat16", "flash")
    assert r.model.quantise == "none"
    assert (r.lora.r, r.lora.alpha, r.lora.dropout) == (64, 128, design["dropout"])
    assert r.lora.targets == design["targets"]
    t = r.train
    assert (t.lr, t.batch_size, t.epochs) == (design["lr"], design["batch"], 3)
    assert t.optimizer == "adamw_torch_fused" and t.gradient_checkpointing
    assert recipes.load_recipe(name) == r


def test_every_departure_from_the_design_says_why() -> None:
    """Each line of `recommended` that sets a value has a reason: beside it, or in lines above it."""
    for name in ("mistral-7b", "llama-3-8b", "llama-3.1-70b", "mixtral-8x7b"):
        text = (recipes.recipes_dir() / f"{name}.yaml").read_text()
        lines = text.split("\n  recommended:\n")[1].split("\n  sharded:")[0].splitlines()
        for at, line in enumerate(lines):
            if not line.strip() or line.lstrip().startswith("#") or line.rstrip().endswith(":"):
                continue
            commented = any("#" in x for x in lines[max(0, at - 3) : at + 1])
            assert commented, (name, line)


def test_later_wins_and_origins_say_who(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "profiles:\n  big:\n    lora:\n      r: 8\n      alpha: 16\n")
    loaded = recipes.load_with_origins(path, ["profile=big", "lora.alpha=20"])
    assert (loaded.recipe.lora.r, loaded.recipe.lora.alpha) == (8, 20)
    assert loaded.origins["lora.r"] == "one.yaml:11 (profile big)"
    assert loaded.origins["train.lr"] == "one.yaml:7"
    assert loaded.origins["lora.alpha"] == "--set"
    assert loaded.origins["train.epochs"] == "default"


def test_resolved_recipe_round_trips(tmp_path: Path) -> None:
    recipe = recipes.load_recipe("smollm2-135m", ["lora.r=3"])
    assert recipes.from_settings(recipe.resolved()) == recipe
    assert recipes.load_recipe(write(tmp_path, recipe.to_yaml())) == recipe


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  lr: 1e-3", "  lr: fast", ["one.yaml:7", "train.lr"]),
        ("  lr: 1e-3", "  epoch: 3", ["one.yaml:7", "'train.epoch'", "did you mean 'epochs'"]),
        ("  r: 4", "  r: 0", ["one.yaml:5", "lora.r"]),
        ("  r: 4", "  r: true", ["one.yaml:5", "lora.r", "not true"]),
        ("  r: 4", "  r: [4]", ["one.yaml:5", "lora.r"]),
        ("  r: 4", "  targets: q_proj", ["one.yaml:5", "lora.targets", "all-linear, or a list"]),
        ("  r: 4", "  targets: []", ["one.yaml:5", "lora.targets"]),
        ("  lr: 1e-3", "  processes: two", ["one.yaml:7", "train.processes"]),
        ("  lr: 1e-3", "  export: [mlflow]", ["one.yaml:7", "train.export"]),
        ("  lr: 1e-3", "  sharding: fsdp", ["one.yaml", "train.processes"]),
        (
            "train:\n  lr: 1e-3",
            "probe:\n  every: sometimes",
            ["one.yaml:7", "probe.every", "epoch"],
        ),
        ("train:\n  lr: 1e-3", "probe:\n  every: -1", ["one.yaml:7", "probe.every"]),
        ("train:\n  lr: 1e-3", "stop:\n  rule: recall", ["one.yaml", "set probe.every=epoch"]),
        ("train:\n  lr: 1e-3", "accept:\n  L99: because", ["one.yaml:", "'accept'", "no rule"]),
        ("train:\n  lr: 1e-3", "train: 3", ["one.yaml:6", "train"]),
        ("lora:", "lara:", ["one.yaml:4", "'lara'", "did you mean 'lora'"]),
        ("  name: tiny\n", "  dtype: bfloat16\n", ["'model.name' is missing"]),
        ("model:", "model: [", ["one.yaml:", "not valid YAML"]),
        ("  lr: 1e-3", "  lr: .nan", ["one.yaml:7", "train.lr", "finite number, not nan"]),
        ("  lr: 1e-3", "  weight_decay: .inf", ["one.yaml:7", "finite number, not inf"]),
        ("  r: 4", "  alpha: .inf", ["one.yaml:5", "finite number, not inf"]),
        ("  r: 4", "  r: -4", ["one.yaml:5", "not -4"]),
        (
            "  lr: 1e-3",
            "  lr: 1e-3\n  lr: 2e-5",
            ["one.yaml:8", "'train.lr' stands there twice", "first in line 7", "keep one"],
        ),
        ("  lr: 1e-3", "  lr: 1e-3\nlora:\n  r: 8", ["one.yaml:8", "'lora' stands there twice"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    said = fault(write(tmp_path, GOOD.replace(old, new)))
    assert all(e in said for e in expected), said


def test_mistake_in_a_profile_not_in_use(tmp_path: Path) -> None:
    said = fault(write(tmp_path, GOOD + "profiles:\n  big:\n    lora:\n      rr: 8\n"))
    assert "one.yaml:11" in said and "'lora.rr'" in said


def test_bad_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert "did you mean 'epochs'" in fault(path, "train.epoch=3")
    assert "--set lora.r" in fault(path, "lora.r=many")
    assert "key=value" in fault(path, "lora.r")
    assert "--set lora:1: the key 'r' stands there twice" in fault(path, "lora={r: 4, r: 8}")
    assert "finite number, not inf" in fault(path, "train.epochs=.inf")
    assert "no profile 'bog'" in fault(path, profile="bog")


def test_overrides_that_belong_together_come_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    for sets in (["stop.rule=recall", "probe.every=50"], ["probe.every=50", "stop.rule=recall"]):
        assert recipes.load_recipe(path, sets).probe.every == 50
    sharded = recipes.load_recipe(path, ["train.sharding=fsdp", "train.processes=4"])
    assert sharded.train.processes == 4


def test_new_fields_have_quiet_defaults(tmp_path: Path) -> None:
    r = recipes.load_recipe(write(tmp_path, GOOD))
    assert (r.model.quantise, r.lora.rslora, r.lora.target_parameters) == ("none", False, [])
    assert (r.train.packing, r.train.processes, r.train.sharding) == ("off", 1, "none")
    assert (r.train.export, r.probe.every, r.stop.rule, r.accept) == ([], 0, "none", {})


@pytest.mark.parametrize(
    ("written", "read"),
    [("off", "off"), ("false", "off"), ("true", "when-equal"), ("when-equal", "when-equal")],
)
def test_packing_in_the_words_yaml_reads_as_truth_values(written: str, read: str) -> None:
    assert recipes.load_recipe("tiny", [f"train.packing={written}"]).train.packing == read


def test_a_revision_is_a_commit() -> None:
    recipe = recipes.load_recipe("tiny", ["model.revision=0123abc"])
    assert recipe.model.revision == "0123abc"
    with pytest.raises(SettingsError, match="revision"):
        recipes.load_recipe("tiny", ["model.revision=main"])


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(SettingsError) as e:
        recipes.load_recipe("mistral-7")
    assert "did you mean mistral-7b" in str(e.value)
