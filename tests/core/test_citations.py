"""The marker grammar by example, the classes, and rendering."""

from __future__ import annotations

import pytest

from core import citations
from core.citations import (
    SourceIndex,
    classify,
    find,
    find_malformed,
    render_html,
    render_markdown,
    render_plain,
)
from core.errors import RegistryNotLoaded

INDEX = SourceIndex.load(
    [
        {"source_id": "doc:guide", "display_name": "Guide [1]", "url": "https://x.org/a(b)"},
        {"source_id": "doc:old", "display_name": "Old", "url": "https://x.org/old",
         "status": "renamed", "renamed_to": "doc:guide"},
        {"source_id": "doc:gone", "display_name": "Gone", "url": "https://x.org/gone",
         "status": "tombstoned"},
        {"source_id": "doc:bad", "display_name": "Bad", "url": "javascript:alert(1)"},
        {"source_id": "compute-resources:delta", "display_name": "Delta", "url": "http://x.org"},
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("<<SRC:doc:guide>>", ["doc:guide"]),
        ("<<SRC:doc:allocations-guide.pdf:page-15>>", ["doc:allocations-guide.pdf:page-15"]),
        ("<<SRC:doc:a b: c >>", ["doc:a b: c "]),
        ("<<<SRC:doc:x>>>", ["doc:x"]),
        ("a<<SRC:d:e>><<SRC:d:f>>b", ["d:e", "d:f"]),
        ("<<SRC:d:a>b<c>>", ["d:a>b<c"]),
        ("<<SRC:d:a<<SRC:d:b>>", ["d:b"]),
        ("é😀<<SRC:d:ü>>", ["d:ü"]),
        ("<<SRC:d:>>>", []),
        ("<<SRC::e>>", []),
        ("<<SRC:d:a\nb>>", []),
        ("<<SRC:d:a\r>>", []),
        ("<<SRC:d e:f>>", []),
        ("<<SRC:d:e>", []),
        ("<<src:d:e>>", []),
        ("<< SRC:d:e>>", []),
        ("x << y; cout << SRCDIR;", []),
        ("", []),
    ],
)
def test_find(text: str, ids: list[str]) -> None:
    found = find(text)
    assert [m.source_id for m in found] == ids
    assert [text[m.start : m.end] for m in found] == [str(m) for m in found]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("see <<SRC:d>> ok", ["<<SRC:d>>"]),
        ("<<SRC: a : b >> ok", ["<<SRC: a : b >>"]),
        ("<<SRC:x:y> and on\nnext", ["<<SRC:x:y> and on"]),
        ("<<SRC:x:y", ["<<SRC:x:y"]),
        ("cut off <<SRC", ["<<SRC"]),
        ("<<SRC>>", ["<<SRC>>"]),
        ("<<src:d:e>>", ["<<src:d:e>>"]),
        ("<< SRC:d:e>>", ["<< SRC:d:e>>"]),
        ("<<SRC:d:a<<SRC:d:b>>", ["<<SRC:d:a"]),
        ("<<SRC:d:>>", ["<<SRC:d:>>"]),
        ("<<SRC:d:e>>", []),
        ("x << y; cout << SRCDIR; << SRC x", []),
    ],
)
def test_find_malformed(text: str, pieces: list[str]) -> None:
    found = find_malformed(text)
    assert [m.text for m in found] == pieces
    assert all(text[m.start : m.end] == m.text and m.what for m in found)


def test_each_marker_has_one_class() -> None:
    text = (
        "<<SRC:doc:guide>> <<SRC:compute-resources:delta>> <<SRC:doc:nope>> <<SRC:mars:x>> "
        "<<SRC:doc:old>> <<SRC:doc:gone>> <<SRC:doc>>"
    )
    classes = [c.cls for c in classify(text, INDEX, {"doc:guide", "doc:old", "doc:nope"})]
    assert classes == [
        "correct", "wrong_entity", "unknown_entity", "unknown_domain", "stale", "stale", "malformed",
    ]  # fmt: skip
    assert [c.cls for c in classify(text, INDEX)][:2] == ["known", "known"]
    assert [c.cls for c in classify("<<SRC:doc:guide>>", INDEX, [])] == ["wrong_entity"]


def test_classified_points_into_the_text_and_at_the_source() -> None:
    text = "é <<SRC:doc:guide>>"
    (c,) = classify(text, INDEX)
    assert text[c.start : c.end] == c.text == "<<SRC:doc:guide>>"
    assert c.source is not None and c.source.display_name == "Guide [1]"


def test_not_loaded_is_never_unknown() -> None:
    for missing in (None, SourceIndex({}, frozenset())):
        with pytest.raises(RegistryNotLoaded):
            classify("<<SRC:doc:x>>", missing)
        with pytest.raises(RegistryNotLoaded):
            render_markdown("no marker at all", missing)
    with pytest.raises(RegistryNotLoaded):
        SourceIndex.load([])


def test_index_round_trip() -> None:
    assert SourceIndex.load(INDEX.rows()) == INDEX


def test_markdown_footnotes_merge_and_escape() -> None:
    text = "A <<SRC:doc:guide>> and B <<SRC:doc:nope>>, again <<SRC:doc:guide>>, <<SRC:doc>>."
    assert render_markdown(text, INDEX) == (
        "A [^1] and B [^2], again [^1], `<<SRC:doc>>`.\n\n"
        "[^1]: [Guide \\[1\\]](https://x.org/a%28b%29)\n"
        "[^2]: `doc:nope` (not in the source registry)"
    )


def test_markdown_links_only_to_the_web() -> None:
    assert render_markdown("<<SRC:doc:bad>>", INDEX).endswith("[^1]: Bad")
    assert "renamed to `doc:guide`" in render_markdown("<<SRC:doc:old>>", INDEX)
    assert "withdrawn" in render_markdown("<<SRC:doc:gone>>", INDEX)
    assert render_markdown("plain", INDEX) == "plain"


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x.org", "https://", "//x.org", "https://x.org/a b", "https://x.org/\n", "https://[",
     'https://x.org/"onload="', "data:text/html,x"],
)  # fmt: skip
def test_no_web_link(url: str) -> None:
    assert not citations.is_web_link(url)


def test_without_markers() -> None:
    assert citations.without_markers("It has 4.\n\n<<SRC:d:e>>\n<<SRC:d:f>>") == "It has 4."


RENAMED = SourceIndex.load(
    [
        {"source_id": "doc:new", "display_name": "New & <b>bold</b>", "url": "https://x.org/?a=1&b=2"},
        {"source_id": "doc:old", "display_name": "Old", "status": "renamed", "renamed_to": "doc:new"},
        {"source_id": "doc:gone", "display_name": "Gone", "url": "https://x.org/g", "status": "tombstoned"},
        {"source_id": "doc:evil", "display_name": "Evil", "url": "javascript:alert(1)"},
        {"source_id": "doc:a", "display_name": "A", "url": "", "status": "renamed", "renamed_to": "doc:b"},
        {"source_id": "doc:b", "display_name": "B", "url": "", "status": "renamed", "renamed_to": "doc:a"},
    ]
)  # fmt: skip
ANSWER = "One <<SRC:doc:old>> two <<SRC:doc:gone>>\n\nthree <<SRC:doc:old>> <<SRC:doc:evil>> <<SRC:doc:x>>"


def test_html_is_escaped_and_links_only_to_the_web() -> None:
    page = render_html("<script>" + ANSWER, RENAMED)
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert (
        '<a href="https://x.org/?a=1&amp;b=2" rel="noopener noreferrer">New &amp; &lt;b&gt;' in page
    )
    assert "javascript" not in page and "Evil</li>" in page
    assert page.count("<li") == 4 and page.count('href="#src-1"') == 2
    assert page.count("<p>") == 2
    assert "not in the source registry" in page and "withdrawn" in page


def test_plain_text_has_the_sources_below() -> None:
    assert render_plain(ANSWER, RENAMED).splitlines()[-4:] == [
        "[1] New & <b>bold</b>, https://x.org/?a=1&b=2 (renamed to doc:new)",
        "[2] Gone, https://x.org/g (withdrawn)",
        "[3] Evil",
        "[4] doc:x (not in the source registry)",
    ]


def test_renames_are_followed_and_circles_end() -> None:
    assert RENAMED.resolve("doc:old") is RENAMED.by_id["doc:new"]
    assert RENAMED.resolve("doc:a") in (RENAMED.by_id["doc:a"], RENAMED.by_id["doc:b"])
    assert RENAMED.resolve("doc:x") is None


def test_without_a_registry_nothing_is_rendered() -> None:
    for render in (render_markdown, render_html, render_plain):
        with pytest.raises(RegistryNotLoaded):
            render("x", None)
