"""The incumbent: finds, defers, and cannot be led astray."""

from __future__ import annotations

import pytest

from core.errors import UsageError
from core.evaluation import deferral
from core.evaluation.normalise import Prepared
from core.evaluation.retrieval import NOTHING_NEAR, Store
from tests.evaluation.parts import short

PAIRS = [
    ("How much memory does a CPU node of Delta have?", "256 GB. <<SRC:compute-resources:delta>>"),
    ("How many CPU nodes does Delta have?", "132 nodes. <<SRC:compute-resources:delta>>"),
    ("How much memory does a node of Anvil have?", "It has 257 GB. <<SRC:a:anvil>>"),
    ("Which scheduler runs on Derecho?", "PBS Pro. <<SRC:compute-resources:derecho>>"),
    ("Is Expanse down right now?", "That needs live data from `get_infrastructure_news`."),
]


@pytest.fixture
def store() -> Store:
    return Store(PAIRS)


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ("How much memory does a CPU node of Delta have?", 0),
        ("delta cpu node memory", 0),
        ("how many nodes has Delta", 1),
        ("Memory per node on Anvil?", 2),
        ("What scheduler is on Derecho, PBS or Slurm?", 3),
        ("Is Expanse down?", 4),
    ],
)
def test_the_nearest_stored_answer_is_given(store: Store, asked: str, row: int) -> None:
    found = store.answer(asked)
    assert (found.nearest, found.answer) == PAIRS[row]
    assert 0 < found.coverage <= 1


@pytest.mark.parametrize(
    "asked", ["Who won the football match?", "??", "", "天气怎么样", "the of a"]
)
def test_where_nothing_is_near_it_hands_over(store: Store, asked: str) -> None:
    found = store.answer(asked)
    assert found.answer == NOTHING_NEAR and found.nearest == ""


def test_its_hand_over_is_a_deferral_and_cites_nothing() -> None:
    assert deferral.read(Prepared(NOTHING_NEAR)).deferred
    assert "<<" not in NOTHING_NEAR


@pytest.mark.parametrize(
    "asked",
    [
        '" OR 1=1 --',
        "delta AND NOT (",
        "NEAR(delta memory, 2)",
        "question:*",
        "delta* ^cpu {x}",
        "get_rp_account.Delta/x",
        "delta " * 200_000,
        "\x00\ud800delta",
    ],
    ids=short,
)
def test_a_question_is_never_a_query_language(store: Store, asked: str) -> None:
    assert store.answer(asked).answer in {a for _, a in PAIRS} | {NOTHING_NEAR}


def test_an_answer_is_always_a_stored_one() -> None:
    """It cannot fabricate: whatever is asked, the text comes from the store."""
    store = Store(PAIRS, threshold=0.0)
    known = {a for _, a in PAIRS} | {NOTHING_NEAR}
    for asked in ("Zephyr memory", "How many unicorns does Delta have?", "node node node"):
        assert store.answer(asked).answer in known


def test_a_pair_can_be_left_out(store: Store) -> None:
    assert store.answer(PAIRS[3][0], leave_out=3).nearest != PAIRS[3][0]


def test_ties_are_broken_the_same_way_every_time() -> None:
    twins = [("What is Delta?", "one"), ("What is Delta?", "two")]
    assert {Store(twins).answer("What is Delta?").answer for _ in range(3)} == {"one"}


def test_no_pairs_is_an_error() -> None:
    with pytest.raises(UsageError, match="no stored pairs"):
        Store([])
