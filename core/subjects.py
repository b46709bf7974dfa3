"""What a pair is about: the entities it cites, and which fact of them, as far as its data tells.

A fact is named by the fields of the source data the answer rests on ("cores_per_node+cpu_model",
"topic:mfa", "versions (resource anvil)"), so that the fact keeps its name when its value changes.
Where the source data holds only a sentence, that sentence is the fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core import citations
from core.pairs import Pair

# Names and labels of a thing are no facts of it.
LABELS = frozenset(
    {"id", "name", "node_label", "topic", "status", "fact", "title", "url", "entities"}
)
_ALSO_THERE = frozenset({"category", "description"})  # given along with what is asked for
_QUALIFIERS = ("resource", "not_listed_on")
_FACT_CHARS = 80


@dataclass(frozen=True, slots=True)
class Subject:
    """entities: source ids the answer cites; without any, those of its data, else its source_ref.
    fact: None where the data does not tell.
    """

    entities: tuple[str, ...]
    fact: str | None


def subject(pair: Pair) -> Subject:
    return Subject(entities(pair), fact(pair))


def entities(pair: Pair) -> tuple[str, ...]:
    """At least one, in the order of the answer, each once."""
    said = (m.content for m in pair.messages if m.role == "assistant")
    cited = dict.fromkeys(m.source_id for text in said for m in citations.find(text))
    if cited:
        return tuple(cited)
    named = source_data(pair).get("entities")
    if isinstance(named, list) and named and all(isinstance(n, str) for n in named):
        return tuple(dict.fromkeys(named))
    return (pair.source_ref,)


def fact(pair: Pair) -> str | None:
    """The name of the fact, unique within its entities."""
    data = source_data(pair)
    if isinstance(data.get("kind"), str):  # a question for a live tool
        template = data.get("template")
        return f"{data['kind']}:{template}" if template else str(data["kind"])
    inner = next((v for v in data.values() if isinstance(v, dict)), None)
    if inner is not None:
        topic = inner.get("topic")
        if isinstance(topic, str) and topic:
            return f"topic:{topic}"
        return "+".join(sorted(map(str, inner.keys() - LABELS))) or None
    if isinstance(data.get("fact"), str):
        return _short(data["fact"])
    about = {k for k in data if k not in LABELS}
    qualifiers = [f"{q} {data[q]}" for q in _QUALIFIERS if isinstance(data.get(q), str)]
    names = sorted((about - _ALSO_THERE or about) - set(_QUALIFIERS))
    name = "+".join(names) or "listing"
    if qualifiers:
        return _short(f"{name} ({', '.join(qualifiers)})")
    return name if about else None


def source_data(pair: Pair) -> dict[str, Any]:
    data = pair.metadata.get("source_data")
    return data if isinstance(data, dict) else {}


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _FACT_CHARS else text[: _FACT_CHARS - 1] + "…"
