"""Which attention is used where what the recipe wishes for is there, is not there, or is broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import MissingComponent
from core.training import attention as choosing
from core.training import recipe as recipes


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with a Hopper GPU, as far as the choice asks; a folder to install packages in."""
    monkeypatch.setattr(choosing, "device", lambda: "cuda")
    monkeypatch.setattr(choosing, "_capability", lambda: (9, 0))
    for package in choosing.PACKAGES.values():
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(folder: Path, package: str, text: str = "") -> None:
    (folder / f"{package}.py").write_text(text)


def choose(*overrides: str, longest: int = 300) -> tuple[str, str]:
    return choosing.attention(recipes.load_recipe("mistral-7b", overrides), longest)


def test_flash_where_it_can_be_imported(gpu: Path) -> None:
    assert choose() == ("sdpa", "attention: sdpa (flash-attn is not installed)")
    install(gpu, "flash_attn")
    assert choose() == ("flash_attention_2", "attention: flash attention 2")
    install(gpu, "flash_attn_interface")
    assert choose()[0] == "flash_attention_3"
    assert choose("model.attention=auto")[0] == "flash_attention_3"


def test_the_third_is_for_hopper_only(gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(gpu, "flash_attn")
    install(gpu, "flash_attn_interface")
    monkeypatch.setattr(choosing, "_capability", lambda: (8, 0))
    assert choose()[0] == "flash_attention_2"


@pytest.mark.parametrize(
    "text", ["raise ImportError('undefined symbol: _ZN3c10')", "import no_such_module_of_its_own"]
)
def test_a_broken_build_is_an_error_where_it_was_asked_for(gpu: Path, text: str) -> None:
    install(gpu, "flash_attn", text)
    with pytest.raises(MissingComponent, match="flash_attn is installed here and cannot") as e:
        choose()
    assert e.value.why and "model.attention=sdpa" in e.value.try_next
    assert choose("model.attention=auto")[0] == "sdpa"


def test_what_the_recipe_names_is_taken(gpu: Path) -> None:
    install(gpu, "flash_attn")
    assert choose("model.attention=eager")[0] == "eager"
    name, note = choose("model.dtype=float32")
    assert name == "sdpa" and "float32" in note


def test_on_a_cpu_by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "device", lambda: "cpu")
    assert choose(longest=choosing.SHORT)[0] == "eager"
    name, note = choose(longest=choosing.SHORT + 1)
    assert name == "sdpa" and "no accelerator here" in note
