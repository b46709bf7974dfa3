"""The sample corpus, a fact of it, and templates that do not move with the product's."""

from __future__ import annotations

from typing import Any

import pytest

from core.augment import templates
from core.augment.templates import Templates
from core.corpus import pair_files
from core.pairs import Message, Pair, read_pairs


def make_pair(
    name: str = "Tern",
    question: str = "How much memory does a node of Tern have?",
    answer: str = "A CPU node of Tern has 256 GB of memory.",
    *,
    number: int = 1,
    **record: Any,
) -> Pair:
    entity = f"{name.lower().replace(' ', '-')}.example.org"
    fields = record or {"memory_per_node_gb": 256, "node_label": "CPU node"}
    resource = {"id": entity, "name": name, **fields}
    return Pair(
        id=f"compute-resources_{entity}_{number}",
        source="mcp_extraction",
        source_ref=f"mcp://compute-resources/resources/{entity}",
        domain="compute-resources",
        messages=(
            Message("user", question),
            Message("assistant", f"{answer}\n\n<<SRC:compute-resources:{entity}>>"),
        ),
        metadata={
            "complexity": "simple",
            "granularity": "comprehensive",
            "has_citation": True,
            "created_at": "2026-11-22T00:00:00+00:00",
            "source_hash": None,
            "source_data": {"resource": resource},
        },
    )


@pytest.fixture(scope="session")
def corpus() -> list[Pair]:
    return read_pairs(pair_files()).pairs


@pytest.fixture(scope="session")
def known() -> Templates:
    return templates.load()


@pytest.fixture
def few() -> Templates:
    """Two families of one field, and one fact of its own."""
    return Templates(
        {
            "compute-resources": {
                "memory_per_node_gb": {
                    "ask": ["How much RAM has {name}?", "What RAM is in a {node} of {name}?"],
                    "tell": ["State the RAM of {name}."],
                    "held_out": ["RAM on {name}?"],
                }
            }
        },
        {("compute-resources", "tern.example.org", "start"): ["When did Tern open?"]},
    )
