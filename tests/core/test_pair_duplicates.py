"""Duplicates are found at every strictness, the right one is kept, and what only sounds alike stays."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus import pair_files
from core.near_duplicates import jaccard, letter_runs
from core.pair_duplicates import Answer, find
from core.pairs import Message, Pair, Reading
from tests.core.conftest import make_pair

ASKED = "How much memory does an ordinary CPU node of the Delta system have?"
SAID = "An ordinary CPU node of Delta has 256 GB of memory, shared by 128 cores."


def pair(name: str, question: str = ASKED, answer: str = SAID, **other: Any) -> Pair:
    turns = (Message("user", question), Message("assistant", answer))
    return make_pair(1, id=name, messages=turns, **other)


def groups(*pairs: Pair, threshold: float = 0.8) -> list[tuple[str, str, dict[str, str]]]:
    found = find(pairs, threshold)
    return [(g.basis, g.keeper.id, {m.id: m.how for m in g.others}) for g in found.groups]


def test_how_alike() -> None:
    assert groups(
        pair("a"),
        pair("b"),
        pair("c", ASKED.upper().replace("?", " ?"), SAID.replace(",", " -")),
        pair("d", ASKED.replace("does", "do"), SAID.replace("shared", "share")),
        pair("e", "Which network does Delta have?", "HPE Slingshot."),
    ) == [("question+answer", "a", {"b": "exact", "c": "normalised", "d": "near"})]


def test_the_similarity_is_exact() -> None:
    question, answer = ASKED.replace("does", "do"), SAID.replace("shared", "share")
    (group,) = find([pair("a"), pair("b", question, answer)]).groups
    wanted = min(
        jaccard(letter_runs(ASKED), letter_runs(question)),
        jaccard(letter_runs(SAID), letter_runs(answer)),
    )
    assert group.others[0].similarity == round(wanted, 4)
    assert groups(pair("a"), pair("b", question, answer), threshold=wanted) != []
    assert groups(pair("a"), pair("b", question, answer), threshold=wanted + 0.01) == []


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 4, 1, 3)])
def test_the_keeper(order: tuple[int, ...]) -> None:
    def dated(name: str, source: str, **metadata: Any) -> Pair:
        return pair(name, source=source, metadata=metadata)

    pairs = [
        dated("mcp", "mcp_extraction", created_at="2027-01-01T00:00:00Z"),
        dated("doc", "doc_generated", created_at="2027-01-01T00:00:00Z"),
        dated("old", "user_qa", created_at="2026-01-01T00:00:00+00:00", source_modified=7),
        dated("new", "user_qa", created_at="2025-01-01", source_modified="2026-03-01T00:00:00"),
        dated("undated", "user_qa", created_at="yesterday"),
    ]
    (group,) = find([pairs[n] for n in order]).groups
    assert group.keeper.id == "new" and group.keeper.date == "2026-03-01T00:00:00"
    rest = [p for p in pairs if p.id not in ("new", "mcp")]
    assert find(rest).groups[0].keeper.id == "old"
    twins = [dated("b", "user_qa"), dated("a", "user_qa")]
    assert find(twins).groups[0].keeper.id == "a"


def test_other_wordings_of_a_question_are_no_duplicates() -> None:
    assert groups(pair("a"), pair("b", "What RAM is in each standard node of Delta?")) == []


def test_one_question_with_two_answers_is_a_conflict() -> None:
    found = find(
        [pair("a"), pair("b", ASKED.lower(), "It is 512 GB."), pair("c", answer=SAID + " ")]
    )
    (conflict,) = found.conflicts
    assert conflict.question == ASKED
    assert conflict.answers == (Answer(SAID, ("a", "c")), Answer("It is 512 GB.", ("b",)))
    assert [(g.keeper.id, [m.id for m in g.others]) for g in found.groups] == [("a", ["c"])]


def test_near_questions_with_other_answers_are_to_be_read() -> None:
    near = ASKED.replace("ordinary", "ordinarily")
    assert groups(pair("a"), pair("b", near, "Nobody knows.")) == [("question", "a", {"b": "near"})]


def test_questions_on_different_things_only_sound_alike() -> None:
    delta = pair("a", answer=SAID + " <<SRC:compute-resources:delta>>")
    delta2 = pair("b", ASKED.replace("Delta", "Delta2"), SAID + " <<SRC:compute-resources:delta2>>")
    same = pair("c", ASKED.replace("Delta", "Deltas"), SAID + " <<SRC:compute-resources:delta>>")
    assert groups(delta, delta2) == []
    assert groups(delta, same) == [("question+answer", "a", {"c": "near"})]


def test_the_corpus_has_no_duplicates() -> None:
    found = find(Reading(pair_files()))
    assert found.pairs > 1400
    assert [g for g in found.groups if g.basis == "question+answer"] == []
    assert found.conflicts == ()


def test_hostile_texts() -> None:
    texts = ["?", "!", "…", "a", "\u0345", "ж", "?!" * 5000, "a" * 50_000]
    pairs = [pair(f"{n}", t, t) for n, t in enumerate(texts)]
    assert groups(*pairs, *(pair(f"x{n}", t, t) for n, t in enumerate(texts))) == [
        ("question+answer", str(n), {f"x{n}": "exact"}) for n in range(len(texts))
    ]
    assert find(()).pairs == 0
    with pytest.raises(ValueError, match="threshold"):
        find((), 0)


WORDS = st.lists(st.sampled_from("delta anvil node nodes cores memory how many what".split()),
                 min_size=4, max_size=9).map(" ".join)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, max_size=12), st.sampled_from([0.6, 0.8, 1.0]), st.randoms())
def test_what_is_grouped_is_alike_and_does_not_depend_on_the_order(
    questions: list[str], threshold: float, rng: random.Random
) -> None:
    pairs = [pair(f"{n:02}", q, "The same.") for n, q in enumerate(questions)]
    found = find(pairs, threshold)
    seen = set()
    for group in found.groups:
        for member in group.others:
            assert member.id not in seen and member.id != group.keeper.id
            seen.add(member.id)
            if member.how == "near":
                alike = jaccard(letter_runs(group.keeper.question), letter_runs(member.question))
                assert alike >= threshold and member.similarity == round(alike, 4)
    same = {q: [p.id for p in pairs if p.question == q] for q in questions}
    dropped = {m.id for g in found.groups for m in g.others}
    assert all(len(set(some) - dropped) <= 1 for some in same.values())
    shuffled = sorted(pairs, key=lambda _: rng.random())
    key = lambda f: {(g.keeper.id, *sorted(m.id for m in g.others)) for g in f.groups}  # noqa: E731
    assert key(find(shuffled, threshold)) == key(found)


def test_most_near_questions_are_found_among_many() -> None:
    """MinHash may miss a couple at the threshold; well above it, it does not."""
    rng = random.Random(4)
    words = [f"{rng.choice('bdgklmnprst')}{rng.choice('aeiou')}{n:x}" for n in range(3000)]
    questions = [" ".join(rng.sample(words, 14)) for _ in range(800)]
    near = [q.rsplit(" ", 1)[0] + " thing" for q in questions[:200]]
    pairs = [pair(f"{n:04}", q, "x") for n, q in enumerate(questions + near)]
    found = {(g.keeper.id, m.id) for g in find(pairs).groups for m in g.others}
    wanted = {
        (f"{n:04}", f"{800 + n:04}")
        for n, (a, b) in enumerate(zip(questions, near, strict=False))
        if jaccard(letter_runs(a), letter_runs(b)) >= 0.8
    }
    assert len(wanted) > 150 and len(wanted & found) >= 0.97 * len(wanted)
    assert len(found - wanted) == 0
