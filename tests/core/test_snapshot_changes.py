"""What changed between snapshots: by domain, entity and fact. And what a pair is about."""

from __future__ import annotations

from typing import Any

import pytest

from core.corpus import pair_files
from core.pairs import Message, Pair, Reading
from core.registry import Registry, snapshots
from core.registry.snapshot_changes import Tally, between
from core.subjects import subject
from tests.core.conftest import make_pair


def about(n: int, answer: str, data: dict[str, Any] | None, cites: str = "", **more: Any) -> Pair:
    marks = "".join(f" <<SRC:{c}>>" for c in cites.split())
    turns = (Message("user", f"question {n}?"), Message("assistant", answer + marks))
    return make_pair(n, messages=turns, metadata={"source_data": data}, **more)


CORES = {"resource": {"id": "delta", "name": "Delta", "cores_per_node": 128, "cpu_model": "x"}}


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (CORES, "cores_per_node+cpu_model"),
        ({"resource": {"id": "d", "topic": "mfa", "fact": "Duo."}}, "topic:mfa"),
        ({"name": "VASP", "category": "c", "description": "d", "resources": []}, "resources"),
        ({"name": "VASP", "category": "c", "description": "d"}, "category+description"),
        ({"name": "V", "category": "c", "resource": "aces", "versions": []}, "versions (resource aces)"),
        ({"name": "V", "not_listed_on": "aces"}, "listing (not_listed_on aces)"),
        ({"topic": "Explore", "fact": "Up to 400,000 credits."}, "Up to 400,000 credits."),
        ({"kind": "dynamic", "template": "outage", "server": "s"}, "dynamic:outage"),
        ({"kind": "unknown"}, "unknown"),
        ({"title": "t", "url": "u"}, None),
        ({}, None),
        (None, None),
        ({"resource": {}}, None),
    ],
)  # fmt: skip
def test_the_fact_a_pair_is_about(data: dict[str, Any] | None, fact: str | None) -> None:
    assert subject(about(1, "x", data)).fact == fact


def test_the_entities_a_pair_is_about() -> None:
    pair = about(1, "x", {"entities": ["doc:c"]}, "doc:b doc:a doc:b")
    assert subject(pair).entities == ("doc:b", "doc:a")
    assert subject(about(1, "x", {"entities": ["doc:c", "doc:c"]})).entities == ("doc:c",)
    assert subject(about(1, "x", {"entities": [1]})).entities == ("mcp://x",)


def test_every_pair_of_the_corpus_is_about_something() -> None:
    pairs = list(Reading(pair_files()))
    assert len(pairs) > 1400
    assert all(subject(p).entities for p in pairs)
    assert [p.id for p in pairs if subject(p).fact is None] == []


def test_changes_by_domain_entity_and_fact(reg: Registry) -> None:
    before = [
        about(1, "128 cores.", CORES, "compute-resources:delta"),
        about(2, "128 cores.", CORES, "compute-resources:delta"),
        about(3, "Gone.", {"fact": "Gone.", "topic": "t"}, "doc:gone", domain="doc"),
        about(4, "Stays.", None),
    ]
    after = [
        about(1, "256 cores.", CORES, "compute-resources:delta"),
        about(2, "128 cores.", CORES, "compute-resources:delta"),
        about(4, "Stays.", None),
        about(5, "Both.", {"entities": ["x"], "fact": "Both."}, "compute-resources:delta doc:new"),
        about(6, "New.", None),
    ]
    a = snapshots.freeze(reg, before, created_at="2026-01-01").id
    b = snapshots.freeze(reg, after, created_at="2026-01-02", parent=a).id
    changes = between(reg, a, b)
    assert changes.domains == {"compute-resources": Tally(2, 0, 1), "doc": Tally(0, 1, 0)}
    assert changes.entities == {
        "compute-resources:delta": Tally(1, 0, 1),
        "doc:gone": Tally(0, 1, 0),
        "doc:new": Tally(1, 0, 0),
        "mcp://x": Tally(1, 0, 0),
    }
    facts = {f.fact: (f.entities, f.pairs, f.before, f.after) for f in changes.facts}
    assert facts == {
        "cores_per_node+cpu_model": (
            ("compute-resources:delta",), Tally(0, 0, 1), "128 cores.", "256 cores."),
        "Both.": (("compute-resources:delta", "doc:new"), Tally(1, 0, 0), "", "Both."),
        "Gone.": (("doc:gone",), Tally(0, 1, 0), "Gone.", ""),
    }  # fmt: skip
    assert changes.pairs.share_new == 3 / 5
    same = between(reg, a, a)
    assert (same.domains, same.entities, same.facts) == ({}, {}, ())
