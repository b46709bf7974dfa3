"""Small golden questions, sources and answers for the evaluation tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.citations import SourceIndex
from core.evaluation.golden import GoldenQuestion

DELTA = "compute-resources:delta.ncsa.access-ci.org"
ANVIL = "compute-resources:anvil.purdue.access-ci.org"
SOURCES = [
    {"source_id": DELTA, "display_name": "Delta", "url": "https://access-ci.org/resource/delta/"},
    {"source_id": ANVIL, "display_name": "Anvil", "url": "https://access-ci.org/resource/anvil/"},
    {
        "source_id": "compute-resources:old.example",
        "display_name": "Old",
        "url": "",
        "status": "renamed",
        "renamed_to": DELTA,
    },
]
INDEX = SourceIndex.load(SOURCES)
RIGHT = f"<<SRC:{DELTA}>>"
DEFERS = "That needs live data. Please check it with the `get_infrastructure_news` tool."


def short(value: object) -> str | None:
    """A test's name from a parameter that may be a megabyte long."""
    return ascii(value)[:40] if isinstance(value, str) else None


def question(
    key_facts: Sequence[Any] = (),
    *,
    id: str = "q1",
    asked: str = "How much memory does a CPU node of Delta have?",
    expected: str = "A CPU node of Delta has 256 GB of memory.",
    category: str = "resource_specs",
    dynamic: bool = False,
    sources: Sequence[str] = (DELTA,),
    tools: Sequence[str] = (),
    cite: bool | None = None,
    forbidden: Sequence[str] = (),
) -> GoldenQuestion:
    return GoldenQuestion(
        id=id,
        category=category,
        question=asked,
        expected_answer=expected,
        key_facts=tuple(key_facts),
        expected_sources=() if dynamic else tuple(sources),
        expected_tools=tuple(tools),
        query_type="DYNAMIC" if dynamic else "STATIC",
        citation_expected=(not dynamic and bool(sources)) if cite is None else cite,
        forbidden=tuple(forbidden),
    )


def number(value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"type": "number", "value": value, "unit": unit, **more}


def live(id: str = "d1", tool: str = "get_infrastructure_news") -> GoldenQuestion:
    return question(
        id=id,
        asked="Is Delta up right now?",
        expected=f"That needs live data; the tool to call is `{tool}`.",
        category="dynamic",
        dynamic=True,
        tools=[tool],
    )


def static_set(n: int) -> list[GoldenQuestion]:
    """n answerable questions, each with a number of its own."""
    return [
        question(
            [number(100 + i, "GB")],
            id=f"s{i}",
            asked=f"How much memory does node type {chr(97 + i % 26)} of Delta have?",
            expected=f"It has {100 + i} GB of memory.",
            category=("resource_specs", "software", "comparisons")[i % 3],
        )
        for i in range(n)
    ]


def perfect(q: GoldenQuestion) -> str:
    markers = " ".join(f"<<SRC:{s}>>" for s in q.expected_sources)
    return f"{q.expected_answer} {markers}".strip()


def write_golden(path: Path, questions: Iterable[GoldenQuestion]) -> Path:
    return write_rows(path, (q.as_row() for q in questions))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


def write_answers(path: Path, questions: Iterable[GoldenQuestion], answer: Any) -> Path:
    return write_rows(path, ({"id": q.id, "answer": answer(q)} for q in questions))
