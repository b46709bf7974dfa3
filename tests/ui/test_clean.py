"""The sanitiser: nothing that a terminal would act on comes through."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import clean

ESC = "\x1b"
PAYLOADS = {
    "clipboard": f"{ESC}]52;c;cm0gLXJmIC8=\x07",
    "title": f"{ESC}]0;owned{ESC}\\",
    "cursor question": f"{ESC}[6n",
    "clear": f"{ESC}[2J{ESC}[H",
    "alternate screen": f"{ESC}[?1049h",
    "link": f"{ESC}]8;;http://evil.example{ESC}\\click{ESC}]8;;{ESC}\\",
    "device string": f"{ESC}P1$qm{ESC}\\",
    "C1 CSI": "\x9b6n",
    "C1 OSC": "\x9d0;owned\x9c",
    "unterminated": f"{ESC}]52;c;AAAA",
    "lone escape": f"{ESC}",
    "bidi": "user\u202etxt.exe",
    "isolate": "\u2066abc\u2069",
    "surrogate": "\ud800 broken",
    "tag": "a\U000e0041b",
    "null": "a\x00b\x07\x08\x7f",
}

anything = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from([ESC, "[", "]", "m", ";", "\x07", "\x9b", "\x9d", "\r", "\n", "\u202e"]),
    )
)


def harmless(text: str) -> bool:
    return all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads_are_harmless(name: str) -> None:
    out = clean.line(f"before {PAYLOADS[name]} after")
    assert harmless(out)
    assert out.startswith("before ") or "user" in out


@given(anything)
def test_any_line_is_harmless_and_bounded(text: str) -> None:
    out = clean.line(text, 50)
    assert harmless(out)
    assert len(out) <= 50 + len(clean.CUT)
    out.encode("utf-8")  # a lone surrogate would end the app at the next write


@given(anything)
def test_any_block_is_harmless(text: str) -> None:
    assert all(harmless(line) for line in clean.block(text, 80, 20).split("\n"))
    assert clean.block(text, 80, 20).count("\n") <= 20


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_printable_ascii_is_unchanged(text: str) -> None:
    assert clean.line(text) == text


@given(anything)
def test_twice_is_once(text: str) -> None:
    once = clean.line(text, 10_000)
    assert clean.line(once, 10_000) == once


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("10%\r50%\r100%", "100%"),
        ("10%\r50%\r", "50%"),
        ("plain\r\n", "plain"),
        (f"{ESC}[31mred{ESC}[0m", "red"),
        ("a\tb", "a    b"),
        (None, ""),
        (12, "12"),
        ("naïve – 東京", "naïve – 東京"),
    ],
)
def test_line(raw: object, want: str) -> None:
    assert clean.line(raw) == want


def test_a_very_long_line_of_escapes_is_cut_and_quick() -> None:
    out = clean.line(ESC * 2_000_000, 100)
    assert len(out) <= 100 + len(clean.CUT)
