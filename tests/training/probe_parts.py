"""Golden rows for the pairs of conftest, and a way to write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.training.conftest import PLACES


def golden(number: int, question: str, **more: Any) -> dict[str, Any]:
    """About fact `number` of `some_pairs`: a node of that place has 8 * (number + 1) cores."""
    place = PLACES[number % len(PLACES)]
    cores = 8 * (number + 1)
    row = {
        "id": f"held_{number}",
        "category": "resource_specs",
        "question": question,
        "expected_answer": f"It has {cores} cores.",
        "key_facts": [{"type": "number", "value": cores, "unit": "cores"}],
        "expected_sources": [f"compute-resources:{place}.access-ci.org"],
        "expected_tools": [],
        "query_type": "STATIC",
        "citation_expected": True,
        "forbidden": [],
    }
    return row | more


def no_answer(row_id: str, question: str, **more: Any) -> dict[str, Any]:
    """A question that wants no fact: an invented resource, or one for a live tool."""
    row = golden(0, question) | {
        "id": row_id,
        "category": "edge_cases",
        "expected_answer": "I know of no resource of that name.",
        "key_facts": [],
        "expected_sources": [],
        "citation_expected": False,
    }
    return row | more


def live(row_id: str, question: str) -> dict[str, Any]:
    return no_answer(
        row_id,
        question,
        category="dynamic",
        expected_answer="That is live information. I cannot answer it from stored knowledge.",
        expected_tools=["get_infrastructure_news"],
        query_type="DYNAMIC",
    )


def some_golden(count: int = 12) -> list[dict[str, Any]]:
    """Unseen wordings of the first facts, two deferrals, two canaries."""
    rows = [golden(n, f"Core count, machine number {n}, please say it.") for n in range(count)]
    rows.append(live("dyn_1", "Is the queue long today?"))
    rows.append(live("dyn_2", "Has anybody reported an outage this morning?"))
    rows.append(no_answer("can_1", "How fat are the nodes at Wrenfield?", canary=True))
    rows.append(no_answer("can_2", "What do I type to get into Korvane?", canary=True))
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path
