"""How a line of a log becomes text on the screen: colours, hits, windows, JSON. No app in here."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style

from core.errors import MissingComponent, UsageError
from tests.ui.test_clean import PAYLOADS, anything, harmless
from tui import outside as log_outside
from tui.widgets.log import ansi as log_ansi
from tui.widgets.log import detail as log_detail
from tui.widgets.log import paint as log_paint
from tui.widgets.log import row as log_row
from tui.widgets.log.ansi import PLAIN, Ink
from tui.widgets.log.file import LINE_CAP, RawLine
from tui.widgets.log.paint import Palette
from tui.widgets.log.row import Entry

DARK = Palette(base=Style(bgcolor=Color.from_rgb(18, 21, 26)))
BOLD, RED = Style(bold=True), Style(color="red")


def joined(text: str, limit: int = 4000) -> str:
    return "".join(piece for piece, _ in log_ansi.spans(text, limit))


@given(anything)
def test_no_span_holds_a_control_character(text: str) -> None:
    spans = log_ansi.spans(text, 50)
    assert all(harmless(piece) for piece, _ in spans)
    assert len(joined(text, 50)) <= 50 + len(" …[cut]")


@given(st.lists(st.tuples(st.sampled_from(["", "0", "31", "1;92", "38;5;208", "48;2;1;2;3", "7"]),
                          st.text(st.characters(min_codepoint=32, max_codepoint=126)))))  # fmt: skip
def test_colours_change_no_text(parts: list[tuple[str, str]]) -> None:
    assert joined("".join(f"\x1b[{code}m{text}" for code, text in parts)) == "".join(
        text for _, text in parts
    )


@pytest.mark.parametrize("name", PAYLOADS)
def test_other_escapes_are_dropped_inside_colours_too(name: str) -> None:
    out = joined(f"\x1b[31mbefore {PAYLOADS[name]}\x1b[0m after")
    assert harmless(out) and "owned" not in out and "AAAA" not in out


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("plain", [("plain", PLAIN)]),
        ("\x1b[31mred\x1b[0m not", [("red", Ink(1)), (" not", PLAIN)]),
        ("\x1b[1;92mok\x1b[22m ok", [("ok", Ink(10, True)), (" ok", Ink(10))]),
        ("\x1b[38;5;208mo\x1b[39mx", [("o", Ink(208)), ("x", PLAIN)]),
        ("\x1b[38;2;1;2;999mo", [("o", Ink((1, 2, 255)))]),
        ("\x1b[38:5:20mo", [("o", Ink(20))]),
        ("\x1b[30;40;8;5;7mno trick", [("no trick", Ink(0))]),
        ("\x1b[48;5;1mback", [("back", PLAIN)]),
        ("\x1b[38;5mhalf", [("half", PLAIN)]),
    ],
)
def test_spans(raw: str, want: list[tuple[str, Ink]]) -> None:
    assert log_ansi.spans(raw) == want


@pytest.mark.parametrize("codes", ["30", "38;5;16", "38;5;234", "38;2;18;21;26", "97", "37"])
def test_no_colour_hides_the_text(codes: str) -> None:
    drawn = log_paint.draw(RawLine(f"\x1b[{codes}mhidden".encode()), DARK)
    assert drawn.text == "hidden"
    assert all(style.color is None for _, style in drawn.pieces)


def test_a_readable_colour_is_kept() -> None:
    drawn = log_paint.draw(RawLine(b"\x1b[1;38;5;208mwarm"), DARK)
    assert drawn.pieces[0][1].color is not None and drawn.pieces[0][1].bold


@given(
    text=st.text(st.sampled_from("abAB東 é"), max_size=40),
    needle=st.sampled_from(["a", "ab", "東"]),
)
def test_hits_are_where_they_are_said_to_be(text: str, needle: str) -> None:
    found = log_paint.hits(text, needle, folded=True)
    assert [text[a:b].lower() for a, b in found] == [needle] * text.lower().count(needle)
    pieces = [(text[:7], RED), (text[7:], Style())]
    marked = log_paint.marked(pieces, found, BOLD)
    assert "".join(t for t, _ in marked) == text
    at = 0
    for part, style in marked:
        inside = any(a <= at and at + len(part) <= b for a, b in found)
        assert bool(style.bold) == inside
        at += len(part)


@given(
    text=st.text(st.sampled_from("ab東é𝄞👍 "), max_size=60),
    start=st.integers(0, 70),
    width=st.integers(3, 20),
)
def test_a_row_is_exactly_as_wide_as_its_place(text: str, start: int, width: int) -> None:
    drawn = log_paint.draw(RawLine(text.encode(), 0, len(text.encode())), DARK)
    for entry in (Entry(0, drawn), Entry(0, drawn, begin=0, end=min(3, len(drawn.text) // 2))):
        row = log_row.line(entry, [], start, width + 3, DARK)
        assert cell_len("".join(t for t, _ in row)) == width + 3


@given(text=st.text(st.sampled_from("ab東é "), max_size=80), width=st.integers(2, 20))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    folds = log_paint.folds(text, width, 1000)
    assert "".join(text[a:b] for a, b in folds) == text
    assert all(cell_len(text[a:b]) <= width for a, b in folds)
    assert len(log_paint.folds(text, width, 2)) <= 2


def test_a_window_into_a_huge_line_is_found_by_bytes() -> None:
    raw = RawLine(b"0123456789" * 1600, origin=8192, length=100_000_000)
    drawn = log_paint.draw(raw, DARK)
    assert drawn.width == 100_000_000
    row = log_row.line(Entry(0, drawn), [], 8192 + 13, 10, DARK)
    assert "".join(t for t, _ in row) == "345678901›"


json_value: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    value=st.dictionaries(st.text(max_size=5), json_value, min_size=1),
    before=st.sampled_from(["", "INFO "]),
)
def test_json_is_found_and_shown_as_text(value: dict[str, Any], before: str) -> None:
    line = before + json.dumps(value, ensure_ascii=False)
    assert log_detail.split_json(line) == (before, value)
    page = log_detail.pretty(value).plain
    assert all(harmless(row) for row in page.split("\n"))


@pytest.mark.parametrize("line", ["[" * 9000, '{"a": ' * 9000, "{", "no json {here}", "[1] step"])
def test_what_is_no_json_is_left_alone(line: str) -> None:
    assert log_detail.split_json(line) == (line, None)
    raw = RawLine(line.encode()[:LINE_CAP], 0, len(line))
    assert line[:50] in log_detail.page(raw, 0, None).plain


def test_the_page_of_a_line_is_harmless() -> None:
    line = "\x1b[31m" + "".join(PAYLOADS.values()) + '{"\x1b]52;c;x\x07": "\x9b6n"}'
    page = log_detail.page(RawLine(line.encode("utf-8", "replace")), 4, 0.0).plain
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in page.replace("\n", ""))


def test_the_command_has_no_shell_and_only_reads(tmp_path: Any) -> None:
    path = tmp_path / "a; rm -rf $HOME"
    env = {"PAGER": "less -S -X", "EDITOR": "'/opt/my editor' --wait"}
    assert log_outside.command(["PAGER"], "less", path, 7, env) == [
        "less", "-S", "-X", "+7", str(path),
    ]  # fmt: skip
    assert log_outside.command(["VISUAL", "EDITOR"], "vi", path, 7, env) == [
        "/opt/my editor", "--wait", str(path),
    ]  # fmt: skip
    assert log_outside.command(["VISUAL"], "vi", path, 7, {}) == ["vi", "-R", "+7", str(path)]
    with pytest.raises(UsageError):
        log_outside.command(["PAGER"], "less", path, 1, {"PAGER": "less '"})
    with pytest.raises(MissingComponent):
        log_outside.run([str(tmp_path / "nothing")])
