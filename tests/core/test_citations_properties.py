"""The scanner against a plain reading of the grammar, and its cost on adversarial input."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.citations import (
    Malformed,
    Marker,
    SourceIndex,
    Stream,
    classify,
    find,
    find_malformed,
    render_html,
    scan,
)

PIECES = st.sampled_from(
    ["<<SRC:", ">>", "<<", ">", "<", ":", "a", "doc", " ", "\n", "\r", "SRC", "<<src:", "é", "x:y"]
)
MESSY = st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join)
INDEX = SourceIndex.load([{"source_id": "doc:a", "display_name": "A", "url": ""}])


def by_the_grammar(text: str) -> list[tuple[int, int, str, str]]:
    """The well-formed markers as the grammar says it, character by character."""
    out, i = [], 0
    while i < len(text):
        found = marker_at(text, i)
        if found:
            out.append(found)
            i = found[1]
        else:
            i += 1
    return out


def marker_at(text: str, i: int) -> tuple[int, int, str, str] | None:
    if not text.startswith("<<SRC:", i):
        return None
    k = i + len("<<SRC:")
    while k < len(text) and text[k] not in ":<>" and not text[k].isspace():
        k += 1
    domain = text[i + len("<<SRC:") : k]
    end = text.find(">>", k + 1)
    if not domain or text[k : k + 1] != ":" or end < 0:
        return None
    entity = text[k + 1 : end]
    if not entity or "<<" in entity or "\n" in entity or "\r" in entity:
        return None
    return i, end + 2, domain, entity


@given(MESSY)
def test_find_agrees_with_the_grammar(text: str) -> None:
    assert [(m.start, m.end, m.domain, m.entity_id) for m in find(text)] == by_the_grammar(text)


@given(MESSY)
def test_pieces_are_in_order_and_do_not_overlap(text: str) -> None:
    last = 0
    for m in scan(text):
        assert last <= m.start < m.end <= len(text)
        last = m.end
        piece = text[m.start : m.end]
        assert piece == (str(m) if isinstance(m, Marker) else m.text)


@given(MESSY)
def test_every_exact_opener_is_accounted_for(text: str) -> None:
    covered = [(m.start, m.end) for m in scan(text)]
    at = text.find("<<SRC:")
    while at >= 0:
        assert any(start <= at < end for start, end in covered)
        at = text.find("<<SRC:", at + 1)


@given(MESSY)
def test_one_class_for_each(text: str) -> None:
    classes = [c.cls for c in classify(text, INDEX, {"doc:a"})]
    assert len(classes) == len(find(text)) + len(find_malformed(text))
    assert classes.count("malformed") == len(find_malformed(text))
    assert "known" not in classes


@given(
    st.text(st.characters(exclude_characters=":<>", exclude_categories=["Z", "C"]), min_size=1),
    st.text(st.characters(exclude_characters="<>\r\n", exclude_categories=["Cs"]), min_size=1),
)
def test_any_marker_of_the_grammar_is_found(domain: str, entity: str) -> None:
    (m,) = find(f"before <<SRC:{domain}:{entity}>> after")
    assert (m.domain, m.entity_id, m.start) == (domain, entity, 7)


ADVERSARIAL = [
    "<<SRC:",
    "<<SRC:a:",
    "<<SRC:a:b>",
    "<<SRC:a:b>>",
    "<<SRC:a b",
    "<<",
    "<",
    "<< ",
    "<<\t SRC ",
    "<<SRC",
    "a:",
]


@pytest.mark.parametrize("head", ["", "<<SRC:", "<<SRC:a:", "<< "])
@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_time_is_linear(head: str, piece: str) -> None:
    """Four times the text may take four times as long, far from the sixteen of a quadratic scan."""
    small, large = (head + piece * (n // len(piece)) for n in (20_000, 80_000))
    ratios = []
    for _ in range(5):
        ratios.append(seconds(large) / seconds(small))
        if min(ratios) < 9:
            return
    pytest.fail(f"time grew by {min(ratios):.1f} for 4 times the text")


def seconds(text: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _ in scan(text):
            pass
        best = min(best, time.process_time() - start)
    return best + 1e-5


def pieces_of(text: str) -> list[str | Marker | Malformed]:
    out: list[str | Marker | Malformed] = []
    last = 0
    for m in scan(text):
        out += [text[last : m.start], m]
        last = m.end
    return [p for p in [*out, text[last:]] if p != ""]


def joined(pieces: list[str | Marker | Malformed]) -> list[str | Marker | Malformed]:
    """Neighbouring text as one piece: how a stream cuts plain text is its own affair."""
    out: list[str | Marker | Malformed] = []
    for p in pieces:
        if isinstance(p, str) and out and isinstance(out[-1], str):
            out[-1] += p
        else:
            out.append(p)
    return out


@given(MESSY, st.lists(st.integers(min_value=0, max_value=60), max_size=8))
def test_a_stream_gives_what_the_whole_text_holds(text: str, cuts: list[int]) -> None:
    stream = Stream()
    places = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    got = [p for a, b in pairwise(places) for p in stream.feed(text[a:b])] + stream.close()
    assert joined(got) == pieces_of(text)


@given(MESSY)
def test_a_stream_never_shows_a_part_of_a_marker(text: str) -> None:
    whole = {(m.start, m.end) for m in scan(text)}
    stream, shown = Stream(), 0
    for c in text:
        for p in stream.feed(c):
            if isinstance(p, str):
                start, shown = shown, shown + len(p)
                assert not any(start < e and s < shown for s, e in whole)
            else:
                shown = p.end


def test_a_stream_is_linear_on_an_open_marker_that_never_ends() -> None:
    def cost(n: int) -> float:
        stream, best = Stream(), float("inf")
        for _ in range(3):
            stream = Stream()
            start = time.perf_counter()
            stream.feed("<<SRC:a:")
            for _ in range(n):
                stream.feed("bcde")
            assert len(stream.close()) == 1
            best = min(best, time.perf_counter() - start)
        return best

    assert cost(40_000) < 12 * cost(10_000)


@given(MESSY)
def test_html_lets_nothing_out_of_its_place(text: str) -> None:
    page = render_html(text, INDEX)
    tags = re.findall(r"<(/?[a-z]+)", page)
    assert set(tags) <= {
        "p",
        "/p",
        "br",
        "sup",
        "/sup",
        "a",
        "/a",
        "code",
        "/code",
        "ol",
        "/ol",
        "li",
        "/li",
    }
    assert tags.count("a") == tags.count("/a") and "<<" not in page
    for link in re.findall(r'href="([^"]*)"', page):
        assert link.startswith(("#src-", "http://", "https://"))
