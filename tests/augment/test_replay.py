"""Replay: the asked share of the mix, from every entity, never an old form of a changed pair."""

from __future__ import annotations

import pytest

from core.augment.replay import replayed
from core.errors import UsageError
from core.pairs import Pair
from tests.augment.conftest import make_pair


def old_pairs(per_entity: dict[str, int]) -> list[Pair]:
    return [
        make_pair(name, f"{name} question {n}?", number=n)
        for name, count in per_entity.items()
        for n in range(count)
    ]


def test_the_share_is_of_the_mix() -> None:
    new = old_pairs({"New": 70})
    assert len(replayed(new, old_pairs({"Tern": 500}), 0.3, 0)) == 30


def test_every_entity_is_in_it() -> None:
    new = old_pairs({"New": 40})
    found = replayed(new, old_pairs({"Tern": 300, "Heron": 3, "Plover": 1}), 0.3, 0)
    assert {p.source_ref.rpartition("/")[2].split(".")[0] for p in found} == {
        "tern", "heron", "plover"
    }  # fmt: skip


def test_a_changed_pair_is_not_replayed() -> None:
    new = [make_pair(answer="A CPU node of Tern has 512 GB of memory.")]
    old = [make_pair(), make_pair(number=2)]  # the same id, and the same question under another
    assert replayed(new * 8, old, 0.5, 0) == []


def test_all_of_them_if_there_are_few_and_always_the_same() -> None:
    new, old = old_pairs({"New": 90}), old_pairs({"Tern": 5, "Heron": 5})
    first = replayed(new, old, 0.5, 7)
    assert sorted(p.id for p in first) == sorted(p.id for p in old)
    assert replayed(new, list(old), 0.5, 7) == first


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, float("nan")])
def test_no_replay_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="replay share"):
        replayed([make_pair()], [], share, 0)
