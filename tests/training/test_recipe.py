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
    assert {"tiny", "smollm2-135m", "mistral-7b"} <= set(recipes.names())
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


def test_mistral_design_profile_is_the_design() -> None:
    r = recipes.load_recipe("mistral-7b", profile="design")
    assert (r.model.dtype, r.model.attention) == ("bfloat16", "flash")
    assert (r.lora.r, r.lora.alpha, r.lora.dropout) == (64, 128, 0.05)
    assert r.lora.targets == ["q_proj", "k_proj", "v_proj", "o_proj"]
    t = r.train
    assert (t.lr, t.batch_size, t.epochs, t.optimizer) == (2e-5, 4, 3, "adamw_torch_fused")
    assert t.gradient_checkpointing
    assert recipes.load_recipe("mistral-7b") == r


def test_later_wins_and_origins_say_who(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "profiles:\n  big:\n    lora:\n      r: 8\n      alpha: 16\n")
    loaded = recipes.load_with_origins(path, ["profile=big", "lora.alpha=20"])
    assert (loaded.recipe.lora.r, loaded.recipe.lora.alpha) == (8, 20)
    assert loaded.origins["lora.r"] == "one.yaml:11"
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
        ("lora:", "lara:", ["one.yaml:4", "'lara'", "did you mean 'lora'"]),
        ("  name: tiny\n", "  dtype: bfloat16\n", ["'model.name' is missing"]),
        ("model:", "model: [", ["one.yaml:", "not valid YAML"]),
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
    assert "no profile 'bog'" in fault(path, profile="bog")


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(SettingsError) as e:
        recipes.load_recipe("mistral-7")
    assert "did you mean mistral-7b" in str(e.value)
