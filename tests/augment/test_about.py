"""What a pair is about: the name its answer uses, and the values no wording may give away."""

from __future__ import annotations

import pytest

from core.augment.about import about, names_of
from core.pairs import Pair
from tests.augment.conftest import make_pair


def test_name_fields_and_values() -> None:
    it = about(make_pair())
    assert (it.name, it.node, it.fields) == ("Tern", "CPU node", ("memory_per_node_gb",))
    assert it.values == ("256 GB",)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Bridges-2 Regular Memory", "Bridges-2 RM"),
        ("OSPool (Open Science Pool)", "OSPool"),
        ("Open Storage Network (OSN)", "OSN"),
    ],
)
def test_short_forms_of_a_name(name: str, short: str) -> None:
    assert names_of(name)[0] == name and short in names_of(name)


def test_a_value_of_several_words_is_one_value_and_what_the_question_says_is_none() -> None:
    pair = make_pair(
        question="Is the processor of Tern a Milan?",
        answer="A CPU node of Tern has 128 cores; the processor is AMD EPYC 7763 (Milan).",
        cpu_model="AMD EPYC 7763 (Milan)",
        cores_per_node=128,
    )
    assert about(pair).values[0] == "AMD EPYC 7763 (Milan)"
    asked = make_pair(question="What is m3.quad?", answer="An m3.quad has 4 vCPUs.", topic="quad")
    assert about(asked).values == ("4",)


def test_nearly_every_pair_of_the_corpus_is_named(corpus: list[Pair]) -> None:
    found = [about(p) for p in corpus if p.domain == "compute-resources"]
    assert sum(bool(it.name) for it in found) > 0.98 * len(found)
    assert all(it.fields for it in found)
