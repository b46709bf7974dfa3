"""Whatever bytes come in, a line ends as a good row or as one named error, never as an exception."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.pair_checks import check_line
from core.pairs import Pair, canonical_json
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
