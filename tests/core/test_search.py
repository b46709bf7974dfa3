"""Search finds pairs by their words, whatever else stands in the query, and survives being killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Cancelled, NotFound, Refused
from core.pairs import Message, Pair
from core.registry import Registry, open_registry, search, search_index, snapshots
from core.registry.search import find
from tests.core.conftest import make_pair
from tests.core.faults.harness import killed_at

SAID = {
    "memory": ("How much memory has a CPU node of Delta?", "It has 256 GB."),
    "cores": ("How many cores has a CPU node of Delta?", "128 cores of two AMD EPYC 7763."),
    "anvil": ("How much memory has a node of Anvil?", "256 GB as well, on dt-login01."),
    "network": ("Which network joins the nodes of Delta?", "HPE Slingshot. <<SRC:doc:net>>"),
    "café": ("Where is the Café?", "In the COMPUTING centre, with universities' computers."),
    "status": ("Is Anvil down?", "I cannot tell; ask `get_news`."),
}


def spoken(name: str, question: str, answer: str, *more: str) -> Pair:
    roles = ("user", "assistant")
    turns = tuple(Message(roles[n % 2], t) for n, t in enumerate((question, answer, *more)))
    return make_pair(1, id=name, messages=turns)


PAIRS = [spoken(name, *texts) for name, texts in SAID.items()]


@pytest.fixture
def filled(reg: Registry) -> str:
    return snapshots.freeze(reg, PAIRS, created_at="2026-11-22").id


def ids(reg: Registry, text: str, **how: object) -> list[str]:
    return [h.pair_id for h in find(reg, text, **how)]  # type: ignore[arg-type]


def test_all_words_first_then_all_but_one_then_any(reg: Registry, filled: str) -> None:
    hits = find(reg, "how much memory has a node of delta")
    assert (hits[0].pair_id, hits[0].tier, hits[0].score) == ("memory", "all", 1.0)
    tiers = [h.tier for h in hits]
    assert tiers == sorted(tiers, key=["all", "all but one", "any"].index)
    assert [(h.pair_id, h.tier) for h in hits[1:]] == [
        ("anvil", "all but one"), ("network", "any"), ("cores", "any")]  # fmt: skip
    assert all(0 < h.score < 1 for h in hits[1:])
    # two unknown words: nothing has all but one of them
    hits = find(reg, "xyzzy plugh network delta")
    assert [h.pair_id for h in hits] == ["network", "memory", "cores"]
    assert {h.tier for h in hits} == {"any"}
    assert hits[0].score > hits[1].score


def test_it_stops_after_the_tier_that_is_enough(reg: Registry) -> None:
    many = [spoken(f"p{n}", f"What is Delta like {'indeed ' * n}?", "Fine.") for n in range(8)]
    snapshots.freeze(reg, [*many, *PAIRS])
    hits = find(reg, "delta like", limit=20)
    assert [h.pair_id for h in hits] == [f"p{n}" for n in range(8)]  # the shorter first
    assert ids(reg, "delta like", limit=3) == ["p0", "p1", "p2"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CAFE", "café"),
        ("café where", "café"),
        ("networks joining", "network"),  # the stems are the same
        ("What is the network?", "network"),
        ("is it down", "status"),
    ],
)
def test_case_accents_and_endings_do_not_matter(
    reg: Registry, filled: str, text: str, name: str
) -> None:
    assert ids(reg, text)[0] == name


def test_a_query_of_stop_words_alone(reg: Registry, filled: str) -> None:
    assert ids(reg, "where is the")[0] == "café"


def test_answers_apart(reg: Registry, filled: str) -> None:
    assert ids(reg, "slingshot") == []
    (hit,) = find(reg, "slingshot", answers=True)
    assert (hit.pair_id, hit.answer) == ("network", "HPE Slingshot.")
    assert ids(reg, "dt-login01", answers=True) == ["anvil"]
    long = spoken("long", "q?", "before " * 100 + "the needle is here " + "after " * 100)
    snapshots.freeze(reg, [long], created_at="2026-11-23")
    (hit,) = find(reg, "needle", answers=True)
    assert "needle" in hit.answer and hit.answer.startswith("… ") and hit.answer.endswith(" …")


@pytest.mark.parametrize("typed", ["un", "univ", "universi", "universit", "universities", "comp",
                                   "computi", "computin", "computing", "centre comp"])  # fmt: skip
def test_as_it_is_typed(reg: Registry, filled: str, typed: str) -> None:
    assert ids(reg, typed, answers=True, prefix=True) == ["café"]
    assert ids(reg, "q" + typed, answers=True, prefix=True) in ([], ["café"])


def test_every_turn_is_found(reg: Registry) -> None:
    pair = spoken("multi", "And Delta?", "Yes.", "What about Ookami?", "It has ARM nodes.")
    snapshots.freeze(reg, [pair])
    assert ids(reg, "ookami") == ids(reg, "arm", answers=True) == ["multi"]


def test_only_pairs_of_one_snapshot(reg: Registry, filled: str) -> None:
    changed = [spoken("memory", SAID["memory"][0], "It has 512 GB.")]
    later = snapshots.freeze(reg, changed, parent=filled, created_at="2026-11-23").id
    assert [h.answer for h in find(reg, "memory delta", snapshot=later)] == ["It has 512 GB."]
    before = find(reg, "memory delta", snapshot=filled)
    assert before[0].answer == "It has 256 GB."
    both = find(reg, "memory delta")
    assert [h.pair_id for h in both[:2]] == ["memory", "memory"]
    where = search.snapshots_with(reg, [h.content_hash for h in both])
    assert where[both[0].content_hash] == (later,) and where[both[1].content_hash] == (filled,)
    with pytest.raises(NotFound):
        find(reg, "memory", snapshot="dataset-2026-01-01-000000000000")


HOSTILE = ['"', "'", "*", "NEAR(", "a AND", "OR", "NOT", "question:", "^delta", "{a b}", "-delta",
           "delta*", '"delta', "(delta", "delta)", "\x00", "\ud800", "a\x00b", "a+b", "; DROP TABLE",
           "", "   ", "?" * 5000, "delta " * 5000, "①②", "ﬁ", "\u0345", "ж" * 200]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_queries_are_words(reg: Registry, filled: str, text: str) -> None:
    words = {"delta", "question", "or", "not", "and", "a", "b", "drop", "table"}
    for how in ({}, {"prefix": True}, {"answers": True}):
        found = set(ids(reg, text, **how))
        assert found <= SAID.keys()
        assert not found or any(w in text.lower() for w in words)
        assert "delta" not in text or "answers" in how or "memory" in found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40) | st.lists(st.sampled_from([*HOSTILE, "delta", "node"])).map(" ".join))
def test_no_query_is_an_error(reg: Registry, text: str) -> None:
    if not snapshots.list(reg):
        snapshots.freeze(reg, PAIRS)
    for hit in find(reg, text, prefix=True) + find(reg, text, answers=True):
        assert 0 < hit.score <= 1 and hit.pair_id in SAID


def test_a_running_query_can_be_stopped(reg: Registry, filled: str) -> None:
    stopped = threading.Event()

    def stop() -> int:
        if not stopped.is_set():
            stopped.set()
            other = threading.Thread(target=reg.interrupt)
            other.start()
            other.join()
        return 0

    reg.conn.set_progress_handler(stop, 1)
    with pytest.raises(Cancelled):
        find(reg, "how much memory has delta")
    reg.conn.set_progress_handler(None, 0)
    assert stopped.is_set() and ids(reg, "memory")


def test_snapshots_from_before_there_was_an_index(reg: Registry, filled: str) -> None:
    search_index.forget(reg)
    assert search_index.pending(reg) == (filled,) and ids(reg, "memory") == []
    with pytest.raises(Refused, match="not built"):
        find(reg, "memory", snapshot=filled)
    told: list[tuple[str, int]] = []
    assert snapshots.build_search(reg, lambda *what: told.append(what)) == 1
    assert told == [(filled, len(PAIRS))]
    assert ids(reg, "memory delta", snapshot=filled)[0] == "memory"
    assert snapshots.build_search(reg) == 0


def test_a_pair_is_indexed_once(reg: Registry, filled: str) -> None:
    more = [*PAIRS, spoken("new", "Where is Stampede3?", "At TACC.")]
    snapshots.freeze(reg, more, created_at="2026-11-23")
    assert reg.value("SELECT count(*) FROM search_rows") == len(more)
    assert ids(reg, "memory anvil").count("anvil") == 1


@pytest.fixture
def small_bundles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(snapshots, "BUNDLE_PAIRS", 2)
    monkeypatch.setattr(search_index, "BUNDLE", 2)
    yield


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("small_bundles")
def test_killed_at_any_statement_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Freezing in bundles of two. Whatever is left behind, the next one completes it."""
    states = set()
    statement = 0
    killed = True
    while killed:
        statement += 7
        path = tmp_path / f"{statement}.db"
        with open_registry(path) as reg:
            snapshots.freeze(reg, PAIRS[:1], created_at="2026-11-21")
        killed = killed_at(
            statement, path, lambda r: snapshots.freeze(r, PAIRS, created_at="2026-11-22")
        )
        with open_registry(path) as reg:
            assert reg.value("PRAGMA integrity_check") == "ok"
            stored = len(snapshots.list(reg))
            states.add((stored, len(search_index.pending(reg))))
            for row in snapshots.list(reg):  # what is listed is whole
                assert snapshots.verify(reg, row.dataset_version) == ()
            indexed = reg.value("SELECT count(*) FROM search_rows")
            assert stored == 2 or indexed == 1  # nothing is found that no snapshot holds
            snapshots.build_search(reg)
            name = snapshots.freeze(reg, PAIRS, created_at="2026-11-22").id
            assert snapshots.verify(reg, name) == () == search_index.pending(reg)
            assert reg.value("SELECT count(*) FROM search_rows") == len(PAIRS)
            assert ids(reg, "memory delta", snapshot=name)[0] == "memory"
            reg.execute(
                "INSERT INTO search_questions (search_questions) VALUES ('integrity-check')"
            )
    assert states >= {(1, 0), (2, 1), (2, 0)}
