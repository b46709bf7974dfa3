"""What a pair is about, as far as wordings need it: the thing's name, its fields, the values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core import citations
from core.pairs import Pair
from core.subjects import LABELS, source_data

# A number with what it is measured in, a word with a digit in it, or a host name.
_VALUE = re.compile(
    r"(?<![\w.,-])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w-])"
    r"|(?<![\w.,-])\d+(?:\.\d+)?(?:\s?(?:[KMGTPE]i?B|[KMGT]b/s|[KMGT]B/s|[GM]Hz|percent)\b)?(?![\w-])"
    r"|\b[a-z][\w-]*(?:\.[a-z][\w-]*){2,}\b"
    r"|\b(?=[\w.+-]*\d)(?=[\w.+-]*[A-Za-z])\w[\w.+-]*\w\b"
)
TOPIC = "topic:"
LONGEST_VALUE = 8  # words of a field's text that count as one value


@dataclass(frozen=True, slots=True)
class About:
    """entity: the id in the data.  name: the thing as the pair's answer calls it, "" if it does
    not.  node: its node label.  fields: of the source data, `topic:NAME` for a single fact.
    values: spans of the answer that are the fact itself and stand neither in the name nor in the
    question.
    """

    entity: str
    name: str
    node: str
    fields: tuple[str, ...]
    values: tuple[str, ...]


def about(pair: Pair) -> About:
    data = source_data(pair)
    record = next((v for v in data.values() if isinstance(v, dict)), {})
    answer = citations.without_markers(pair.answer)
    name = next((n for n in names_of(str(record.get("name") or "")) if _says(answer, n)), "")
    topic = record.get("topic")
    fields = (f"{TOPIC}{topic}",) if topic else tuple(k for k in record if k not in LABELS)
    node = str(record.get("node_label") or "")
    given = f"{name} {node} {pair.question}"
    values = tuple(dict.fromkeys(_values(answer, record, given)))
    return About(str(record.get("id") or ""), name, node, fields, values)


def names_of(name: str) -> list[str]:
    """A name and its short forms, the longest first.

    "Bridges-2 Regular Memory" is also "Bridges-2 RM"; "OSPool (Open Science Pool)" also each half.
    """
    if not name:
        return []
    found = [name]
    if m := re.fullmatch(r"(.+?) \((.+)\)", name):
        found += [m[1], m[2]]
    words = name.split()
    for keep in range(1, len(words)):
        rest = words[keep:]
        if len(rest) > 1 and all(w[:1].isupper() for w in rest):
            found.append(" ".join([*words[:keep], "".join(w[0] for w in rest)]))
    if len(words) > 1:
        found.append(words[0])
    return sorted(dict.fromkeys(found), key=len, reverse=True)


def _values(answer: str, record: dict[str, object], given: str) -> Iterator[str]:
    texts = [str(v) for k, v in record.items() if k not in LABELS and isinstance(v, str)]
    for text in sorted(texts, key=len, reverse=True):
        value = text.rstrip(".")
        if len(value.split()) <= LONGEST_VALUE and _says(answer, value):
            yield value
    for m in _VALUE.finditer(answer):
        if not _says(given, m[0]):
            yield m[0]


def _says(text: str, phrase: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(phrase)}(?![\w])", text) is not None
