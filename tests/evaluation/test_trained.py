"""Earlier snapshots and mechanical rewordings give golden questions away as well."""

from __future__ import annotations

from pathlib import Path

from core.evaluation.strata import strata
from core.evaluation.trained import all_trained
from core.pairs import Message, Pair, write_pairs
from tests.core.conftest import make_pair
from tests.evaluation.parts import question


def says(n: int, asked: str, answer: str) -> Pair:
    return make_pair(n, messages=(Message("user", asked), Message("assistant", answer)))


NEW = says(1, "How many GPUs has Anvil?", "Anvil has 64 GPUs.")
OLD = says(2, "How many cores has a node of Delta?", "A node of Delta has 128 cores.")


def test_a_fact_of_an_earlier_snapshot_is_a_trained_one(tmp_path: Path) -> None:
    earlier = tmp_path / "first.jsonl"
    write_pairs(earlier, [OLD, NEW])
    golden = [
        question(
            [["128"]],
            asked="Cores per node of the machine Delta, please?",
            expected="128 cores",
            sources=(),
        )
    ]
    assert strata(golden, all_trained([NEW], [], 0)).findings[0].stratum == "untrained fact"
    found = strata(golden, all_trained([NEW], [earlier], 0))
    assert found.findings[0].stratum != "untrained fact" and found.pairs == 2  # NEW once


def test_rewordings_are_trained_wordings() -> None:
    pairs = list(all_trained([OLD], [], 3))
    assert [p.id for p in pairs] == [OLD.id, *(f"{OLD.id}~{n}" for n in range(1, len(pairs)))]
    assert len(pairs) > 1 and {p.answer for p in pairs} == {OLD.answer}
    assert len({p.question for p in pairs}) == len(pairs)
    asked = question([["128"]], asked=pairs[2].question, expected="128 cores", sources=())
    assert not strata([asked], [OLD]).tests.get("exact")
    assert strata([asked], pairs).tests["exact"] == 1
