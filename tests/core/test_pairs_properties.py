"""Whatever bytes come in, a line ends as a good row or as one named error, never as an exception."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.pair_checks import check_line
from core.pairs import Message, Pair, canonical_json, read_pairs, write_pairs
from tests.core.conftest import make_pair

GOOD = json.dumps(make_pair(1).to_row()).encode()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def check(raw: bytes) -> dict[str, Any] | None:
    line = check_line(raw)
    errors = [f for f in line.faults if f.severity == "error"]
    assert (line.row is None) == (len(errors) == 1)
    if line.row is not None:
        assert Pair.from_row(line.row).content_hash
    return line.row


@given(st.binary())
def test_any_bytes(raw: bytes) -> None:
    check(raw)


@given(st.data())
def test_a_good_row_with_damaged_bytes(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    cut = data.draw(st.integers(0, 5))
    check(GOOD[:at] + data.draw(st.binary(max_size=4)) + GOOD[at + cut :])


@given(st.sampled_from(sorted(make_pair(1).to_row())), JSON)
def test_any_value_in_any_field(name: str, value: Any) -> None:
    check(json.dumps(make_pair(1).to_row() | {name: value}).encode())


@given(JSON, JSON)
def test_any_message(role: Any, content: Any) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": role, "content": content}]
    check(json.dumps(make_pair(1).to_row() | {"messages": turns}).encode())


@given(st.dictionaries(st.text(), st.text() | st.integers(), max_size=6), st.randoms())
def test_hash_does_not_depend_on_the_order_of_keys(
    metadata: dict[str, Any], rng: random.Random
) -> None:
    keys = list(metadata)
    rng.shuffle(keys)
    metadata = {k.encode("utf-8", "replace").decode(): v for k, v in metadata.items()}
    shuffled = {k: metadata[k] for k in sorted(metadata, key=lambda _: rng.random())}
    assert canonical_json(shuffled) == canonical_json(metadata)
    one, other = make_pair(1, metadata=metadata), make_pair(1, metadata=shuffled)
    assert one.content_hash == other.content_hash


@given(st.lists(st.binary(max_size=40) | st.integers(0, 5), max_size=12), st.binary(max_size=3))
def test_good_rows_survive_among_any_bytes(lines: list[bytes | int], end: bytes) -> None:
    """A number stands for a good row of its own id; everything else is what a file may hold."""
    rows = [
        json.dumps(make_pair(line).to_row()).encode() if isinstance(line, int) else line
        for line in lines
    ]
    with tempfile.TemporaryDirectory() as folder:
        path, rejects = Path(folder, "a.jsonl"), Path(folder, "rejects.jsonl")
        path.write_bytes(b"\n".join(rows) + b"\n" + end)
        report = read_pairs(path, rejects=rejects)
        assert report.rows == report.good + report.rejected
        assert [p.id for p in report.pairs] == list(
            dict.fromkeys(make_pair(n).id for n in lines if isinstance(n, int))
        )
        # what was put aside is what was rejected: read again, nothing of it is good
        if report.rejected:
            again = read_pairs(rejects)
            assert again.rows == report.rejected
            assert {p.id for p in again.pairs} <= {p.id for p in report.pairs}  # repeated ids
        write_pairs(path, report.pairs)
        assert read_pairs(path).pairs == report.pairs


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXT, TEXT, TEXT, st.dictionaries(TEXT, JSON, max_size=3), st.booleans())
def test_the_content_is_the_canonical_json_of_the_row(
    question: str, answer: str, ref: str, metadata: dict[str, Any], more: bool
) -> None:
    turns = (Message("user", question), Message("assistant", answer))
    metadata = json.loads(json.dumps(metadata).replace("NaN", "0").replace("Infinity", "1"))
    extra = {"reviewer": ref} if more else {}
    pair = make_pair(1, messages=turns, source_ref=ref, metadata=metadata, extra=extra)
    assert pair.content_json == canonical_json(
        pair.to_row()
        | {"metadata": {k: v for k, v in metadata.items() if not k.endswith("_score")}}
    )
    scored = make_pair(
        1, messages=turns, source_ref=ref, metadata=metadata | {"relevance_score": 1}, extra=extra
    )
    assert scored.content_hash == pair.content_hash
    lesson = canonical_json([[m.role, m.content] for m in turns])
    assert pair.lesson_hash == hashlib.sha256(lesson.encode()).hexdigest()[:16]
