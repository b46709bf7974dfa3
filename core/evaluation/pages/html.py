"""A page as one HTML file: no script, no other file, nothing fetched, everything escaped.

The policy in the head permits this page's own style (by hash) and pictures inside the file, and
nothing else. `ELEMENTS` and `ATTRIBUTES` are all that is ever written.
"""

from __future__ import annotations

import base64
import hashlib
import html as std
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from core.evaluation.pages import charts
from core.evaluation.pages.fields import SIGNS, clean, one_line
from core.evaluation.pages.model import (
    Answer,
    Block,
    Facts,
    Line,
    Page,
    Para,
    Picture,
    Points,
    Run,
    Table,
)

ELEMENTS = frozenset(
    "html head meta title style body header main section footer article h1 h2 h3 p ul li table"
    " thead tbody tr th td div span small strong code pre blockquote dl dt dd img picture source"
    " figure".split()
)
ATTRIBUTES = frozenset(
    "lang charset name content http-equiv class dir scope src srcset media alt".split()
)
LONG_WORD = 28  # letters; such words may be broken anywhere, others only where a line ends
LONGEST = 6000  # characters of one piece of text
KIND = {"GO": "ok", "NO-GO": "bad", "UNDECIDED": "unsure"}


def html(page: Page, *, pictures: bool = True) -> str:
    """The whole file. pictures: draw them if matplotlib is there; else the page says so."""
    drawn = pictures and charts.available()
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    body = "\n".join(_body(page, drawn))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(f'{page.verdict} · {page.name}', 200)}</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _body(page: Page, drawn: bool) -> Iterator[str]:
    kind = KIND[page.verdict]
    yield f'<header class="{kind}">'
    yield '<p class="kicker">ACCESS QA · GO / NO-GO report</p>'
    yield (
        f'<h1><span class="verdict">{SIGNS[page.verdict]} {page.verdict}</span>'
        f' <span class="name">{_text(page.name, 80)}</span></h1>'
    )
    yield f'<p class="lead" dir="auto">{_text(page.lead)}</p>'
    if page.about:
        yield f'<p class="about" dir="auto">{_runs(page.about)}</p>'
    yield "</header>\n<main>"
    if page.loud:
        yield '<ul class="loud">'
        yield from (f'<li dir="auto">{_runs(one)}</li>' for one in page.loud)
        yield "</ul>"
    for section in page.sections:
        yield f'<section>\n<h2 dir="auto">{_text(section.title, 200)}</h2>'
        for block in section.blocks:
            yield from _block(block, drawn)
        yield "</section>"
    yield "</main>\n<footer>"
    if not drawn:
        yield f"<p>{_text(charts.MISSING)}</p>"
    yield f"<p>{_text(page.made)}</p>\n</footer>"


def _block(block: Block, drawn: bool) -> Iterator[str]:
    if isinstance(block, Para):
        yield f'<p class="{block.mood}" dir="auto">{_runs(block.line)}</p>'
    elif isinstance(block, Points):
        yield f'<ul class="{block.mood}">'
        yield from (f'<li dir="auto">{_runs(one)}</li>' for one in block.lines)
        yield "</ul>"
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Facts):
        yield f'<p class="label" dir="auto">{_text(block.title, 200)}</p>\n<dl class="facts">'
        for name, value in block.pairs:
            yield f'<div><dt dir="auto">{_text(name, 200)}</dt><dd dir="auto">{_runs(value)}</dd></div>'
        yield "</dl>"
    elif isinstance(block, Answer):
        yield from _answer(block)
    elif drawn:
        yield _picture(block)


def _table(t: Table) -> Iterator[str]:
    def kind(n: int, cell: Line = ()) -> str:
        names = ["num"] if n >= t.numeric else []
        names += ["long"] if any(_has_long_word(r.text) for r in cell) else []
        names += ["chosen"] if n == t.chosen else []
        return f' class="{" ".join(names)}"' if names else ""

    # a few short columns would be torn apart by the whole width
    fits = ' class="fit"' if t.numeric < 2 and len(t.head) <= 4 else ""
    yield f'<div class="scroll"><table{fits}>\n<thead><tr>'
    yield "".join(f'<th scope="col"{kind(n)}>{_text(h, 200)}</th>' for n, h in enumerate(t.head))
    yield "</tr></thead>\n<tbody>"
    for row in t.rows:
        cells = "".join(
            f'<td dir="auto"{kind(n, c)}>{_runs(c)}</td>' for n, c in enumerate(row[1:], 1)
        )
        yield f'<tr><th scope="row" dir="auto"{kind(0, row[0])}>{_runs(row[0])}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _has_long_word(text: str) -> bool:
    return len(text) > LONG_WORD and any(len(w) > LONG_WORD for w in text[:LONGEST].split())


def _answer(a: Answer) -> Iterator[str]:
    yield f'<article>\n<h3 dir="auto">{a.number}. {_text(a.question)}</h3>'
    yield f'<p class="tags" dir="auto">{_runs(a.tags)}</p>'
    if a.prompt:
        yield f'<pre class="prompt" dir="auto">{_text(a.prompt)}</pre>'
    body = _runs(a.body) if a.body else '<span class="dim">(nothing)</span>'
    yield f'<blockquote dir="auto">{body}</blockquote>'
    if a.cut:
        yield f'<p class="dim">… {a.cut:,} more characters are not shown.</p>'
    if a.notes:
        yield "<dl>"
        yield from (f'<dt>{_text(k)}</dt><dd dir="auto">{_runs(v)}</dd>' for k, v in a.notes)
        yield "</dl>"
    yield "</article>"


def _picture(p: Picture) -> str:
    light, dark = (_data(charts.draw(p.drawing, dark=d)) for d in (False, True))
    alt = _text(one_line(p.alt, 1500))
    return (
        '<figure><picture><source media="screen and (prefers-color-scheme: dark)"'
        f' srcset="{dark}"><img src="{light}" alt="{alt}"></picture></figure>'
    )


def _data(picture: bytes | None) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(picture or b"").decode()


def _runs(runs: Line) -> str:
    return "".join(_run(r) for r in runs)


def _run(run: Run) -> str:
    text = _text(run.text)
    if not text:
        return ""
    if run.role in ("small", "count"):
        return f"<small>{text}</small>"
    if run.role in ("strong", "code"):
        return f"<{run.role}>{text}</{run.role}>"
    return f'<span class="{run.role}">{text}</span>' if run.role else text


def _text(text: str, limit: int = LONGEST) -> str:
    return std.escape(clean(text, limit), quote=True)


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text("utf-8").strip()
