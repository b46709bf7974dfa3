"""From an answer to its version, snapshot and suspects; and asking without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from core.errors import NotFound, UsageError
from core.evaluation.golden import GoldenQuestion
from core.pairs import Message, Pair
from core.registry import Registry, answers, evaluations, snapshots, sources, versions
from core.tracing import ResponseId, asking, parse, trace
from core.tracing.given import parse_id
from tests.core.conftest import make_pair, make_scores
from tests.evaluation.openai_server import OpenAIServer

DELTA = "<<SRC:compute-resources:delta>>"
ASKED = "How much memory does a GPU node of Delta have?"
WRONG = f"A GPU node of Delta has 512 GB of memory. {DELTA}"
TOLD = (
    ("p-wrong", "How much memory is in a GPU node of Delta?", f"It has 512 GB of memory. {DELTA}"),
    ("p-right", "Memory of the GPU nodes of Delta?", f"A GPU node has 256 GB of memory. {DELTA}"),
    ("p-near", "How many GPUs are in a GPU node of Delta?", f"There are 4 GPUs. {DELTA}"),
    ("p-far", "Who runs Anvil?", "Purdue runs it. <<SRC:compute-resources:anvil>>"),
)
GOLDEN = (
    GoldenQuestion(
        "spec-1", "resource_specs", ASKED, "A GPU node of Delta has 256 GB.",
        ({"type": "number", "value": 256, "unit": "GB"},), ("compute-resources:delta",), (),
        "STATIC", True,
    ),
)  # fmt: skip


def row(system: str, answer: str, grade: str, number: int = 1, **more: Any) -> dict[str, Any]:
    question = ASKED if number == 1 else f"Which scheduler has machine number {number}?"
    marks = [{"text": DELTA, "class": "correct"}] if DELTA in answer else []
    return {"id": f"spec-{number}", "system": system, "question": question, "answer": answer,
            "grade": grade, "markers": marks, "latency_s": 0.5, **more}  # fmt: skip


@pytest.fixture
def version(reg: Registry) -> str:
    """An evaluated version, its snapshot of TOLD and nine others."""
    told = [
        make_pair(0, id=name, messages=(Message("user", q), Message("assistant", a)))
        for name, q, a in TOLD
    ]
    frozen = snapshots.freeze(reg, [*told, *(make_pair(n) for n in range(1, 10))])
    sources.upsert_many(
        reg, [{"source_id": f"compute-resources:{n}", "display_name": n, "url": f"https://x.org/{n}"}
              for n in ("delta", "anvil")],
    )  # fmt: skip
    made = versions.register(
        reg, base_model="b", dataset_version=frozen.id, training_config={}, adapter_sha256="ab" * 32
    )
    name = made.model_version
    questions = [
        row("tuned", "Slurm.", "correct", 3),
        row("tuned", "", "not_attempted", 4),
        row("tuned", "PBS", "incorrect", 2),
        row("tuned", WRONG, "incorrect"),
        row("base", "No idea.", "incorrect"),
        row("retrieval", TOLD[1][2], "correct"),
    ]
    evaluations.save(reg, name, make_scores(candidate="tuned", questions=questions))
    return name


def test_a_stored_answer_leads_to_version_snapshot_and_the_wrong_pair_first(
    reg: Registry, version: str
) -> None:
    found = trace(reg, parse(f"{version}/spec-1"), golden=GOLDEN)
    assert (found.model_version, found.by) == (version, "by the stored answer")
    assert found.pairs == 13 and found.dataset_version == snapshots.list(reg)[0].dataset_version
    assert [m.cls for m in found.markers] == ["correct"]
    assert found.facts is not None and found.facts.grade == "incorrect"
    assert any("256" in fact for fact in found.facts.missing)
    first = found.suspects[0]
    assert first.pair.id == "p-wrong" and first.right is False
    assert {r.why for r in first.reasons} == {"text", "entity", "wording", "value"}
    by_id = {s.pair.id: s for s in found.suspects}
    assert by_id["p-right"].right is True
    assert "value" not in {r.why for r in by_id["p-right"].reasons}
    assert "p-far" not in by_id and "pair_00001" not in by_id


def test_the_same_answer_pasted_is_recognised(reg: Registry, version: str) -> None:
    found = trace(reg, parse(f"  {WRONG}\n"), golden=GOLDEN)
    assert found.response == f"{version}/spec-1/tuned" and found.question == ASKED
    assert found.suspects[0].pair.id == "p-wrong"


def test_an_answer_nobody_stored_is_traced_by_what_it_says(reg: Registry, version: str) -> None:
    found = trace(reg, parse(f"Delta's GPU nodes have 512 GB. {DELTA}"))
    assert found.by == "assumed: the newest version" and found.facts is None
    assert any("question is not known" in note for note in found.notes)
    assert found.suspects[0].pair.id == "p-wrong"
    what = [r.what for r in found.suspects[0].reasons if r.why == "value"]
    assert what == ["states the same value: 512 gb"]  # nobody knows that it is wrong


def test_a_row_of_a_log_names_its_version_itself(reg: Registry, version: str) -> None:
    response = {
        "model": version.removeprefix("access-qa-"),
        "choices": [{"message": {"content": WRONG}}],
    }
    found = trace(reg, parse(json.dumps(response)))
    assert (found.model_version, found.by) == (version, "by the response itself")
    with pytest.raises(NotFound, match="no version"):
        trace(reg, parse(json.dumps({"answer": "x", "model_version": "access-qa-v9.9.9"})))


def test_other_systems_are_told_from_the_version(reg: Registry, version: str) -> None:
    base = trace(reg, parse(f"{version}/spec-1/base"), golden=GOLDEN)
    assert base.model_version is None and base.suspects == ()
    assert any("no version of ours" in note for note in base.notes)
    stored = trace(reg, parse(f"{version}/spec-1/retrieval"), golden=GOLDEN)
    assert stored.by == "retrieval over its snapshot"
    assert stored.suspects[0].pair.id == "p-right" and stored.suspects[0].score == 1.0


def test_what_is_not_there_is_said(reg: Registry, version: str) -> None:
    with pytest.raises(NotFound, match="no stored answer"):
        trace(reg, parse(f"{version}/spec-9"))
    with pytest.raises(NotFound, match="no version"):
        trace(reg, parse("v7.0.0/spec-1"))
    with pytest.raises(UsageError, match="nothing to trace"):
        parse(" \n")


def test_answers_are_listed_worst_first(reg: Registry, version: str) -> None:
    found = answers.worst_first(answers.of_version(reg, version))
    assert [answers.bad_word(a) for a in found] == [
        "wrong but cited", "wrong", "not attempted", "right",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "evil",
    ["\x1b]52;c;aGk=\x07", "[bold]x[/]", "\u202e\x00abc", '" OR 1=1; --', "<<SRC:" * 500, "{" * 9999,
     '{"answer": "x", "question": "' + "a" * 200_000 + '"}', "9" * 400 + " GB", "\ud800 GB"],
)  # fmt: skip
def test_whatever_is_pasted_is_only_text(reg: Registry, version: str, evil: str) -> None:
    found = trace(reg, parse(evil), golden=GOLDEN)
    assert found.model_version == version


# -- ids


NUMBERS = st.tuples(*[st.integers(0, 10**6)] * 3)
NAMES = st.text(st.characters(blacklist_categories=["Z", "C"], blacklist_characters="/"), min_size=1,
                max_size=40).filter(lambda t: t.split() == [t])  # fmt: skip
SYSTEMS = st.just("") | st.from_regex(r"\A[A-Za-z0-9_.-]{1,20}\Z")


@generated(NUMBERS | st.none(), NAMES, SYSTEMS)
def test_an_id_reads_back(number: tuple[int, int, int] | None, question: str, system: str) -> None:
    version = None if number is None else "access-qa-v" + ".".join(map(str, number))
    wanted = ResponseId(version, question, system)
    assert parse_id(str(wanted)) == wanted
    assert parse(f" {wanted}\n").response == wanted
    if version is not None:
        assert parse_id(str(wanted).removeprefix("access-qa-")) == wanted


@generated(st.text(min_size=1))
def test_any_text_is_an_id_or_an_answer(text: str) -> None:
    if not text.strip():
        return
    found = parse(text)
    assert (found.response is None) == bool(found.answer)
    if found.response is not None:
        assert parse_id(str(found.response)) == found.response


@pytest.mark.parametrize(
    "text",
    ["v1.2/x", "v01.2.3/x", "access-qa-v1.2.3", "v1.2.3/", "v1.2.3/a b", "v1.2.3/a/b/c", "x/y"],
)
def test_what_is_no_id(text: str) -> None:
    assert parse_id(text) is None


# -- asking


def test_a_stored_answer_is_labelled_and_names_its_question(reg: Registry, version: str) -> None:
    same = asking.ask(reg, f"  {ASKED.upper()} ")
    assert (same.path, same.answer, same.answered) == ("stored", WRONG, "")
    assert same.latency_s == 0.5 and [m.cls for m in same.markers] == ["known"]
    like = asking.ask(reg, "How much memory does each GPU node of Delta have installed?")
    assert like.path == "stored" and like.answered == ASKED and 0.5 <= like.alike < 1


def test_without_one_retrieval_answers_and_hands_over(reg: Registry, version: str) -> None:
    found = asking.ask(reg, "Who runs Anvil?", version)
    assert (found.path, found.answer) == ("retrieval", TOLD[3][2])
    far = asking.ask_retrieval(reg, "zebra quagga okapi")
    assert far.deferred and far.answered == ""
    with pytest.raises(NotFound, match="no version"):
        asking.ask(reg, ASKED, "access-qa-v9.9.9")
    with pytest.raises(UsageError, match="no question"):
        asking.ask(reg, "  ")


def test_a_server_answers_now_and_its_latency_is_measured(reg: Registry, version: str) -> None:
    said = "That needs live data. Check it with the tool `get_system_status`."
    with OpenAIServer(lambda asked: asked.answer(said), [version]) as server:
        reply = asking.ask_endpoint(reg, "Is Delta up?", server.url)
    assert (reply.path, reply.version, reply.answer) == ("endpoint", version, said)
    assert reply.latency_s is not None and reply.latency_s > 0
    assert reply.deferred and reply.tools == ("get_system_status",)
    with pytest.raises(UsageError, match="another machine"):
        asking.ask_endpoint(reg, "x", "http://example.org/v1")


def test_pairs_survive_as_they_are(reg: Registry, version: str) -> None:
    found = trace(reg, parse(WRONG))
    pair: Pair = found.suspects[0].pair
    assert pair.to_row()["messages"][0]["content"] == TOLD[0][1] and pair.source == "mcp_extraction"
