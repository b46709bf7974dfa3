"""A page as Markdown (CommonMark with tables). Pictures are left out: a table says the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

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

LONGEST = 6000  # characters of one piece of text
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&@$^=])")
_LINK = re.compile(r"(?i)(https?|ftp|mailto)(:)|(www)(\.)")
_START = re.compile(r"^(\s*)([-+]|\d{1,9}(?=[.)]))")
_MOODS: Mapping[str, str] = {"ok": "✔ ", "bad": "✘ ", "warn": "▲ ", "unsure": "◌ "}


def markdown(page: Page) -> str:
    """The whole page; exactly one first-level heading."""
    return "\n".join(_page(page)) + "\n"


def _page(page: Page) -> Iterator[str]:
    title = f"{SIGNS[page.verdict]} {page.verdict} · {page.name} · {page.summary}"
    yield f"# {escape(one_line(title, 200))}"
    yield f"\n**{escape(one_line(page.lead, LONGEST))}**"
    about = _runs(page.about)
    if about:
        yield f"\n{about}"
    if page.loud:
        yield ""
        yield from (f"- ▲ {_runs(one)}" for one in page.loud)
    for section in page.sections:
        yield f"\n## {escape(one_line(section.title, 200))}"
        for block in section.blocks:
            yield from _block(block)
    yield f"\n*{escape(one_line(page.made, 400))}*"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Para):
        said = f"{_MOODS.get(block.mood, '')}{_runs(block.line)}"
        yield f"\n**{said}**" if block.mood == "label" else f"\n{said}"
    elif isinstance(block, Points):
        yield ""
        yield from (f"- {_MOODS.get(block.mood, '')}{_runs(one)}" for one in block.lines)
    elif isinstance(block, Table):
        yield ""
        yield "| " + " | ".join(escape(one_line(h, 200)) or " " for h in block.head) + " |"
        right = [":---" if n < block.numeric else "---:" for n in range(len(block.head))]
        yield "| " + " | ".join(right) + " |"
        for row in block.rows:
            yield "| " + " | ".join(_runs(cell) or " " for cell in row) + " |"
    elif isinstance(block, Facts):
        yield f"\n**{escape(one_line(block.title, 200))}**\n"
        yield from (f"- {escape(one_line(k, 200))}: {_runs(v)}" for k, v in block.pairs)
    elif isinstance(block, Answer):
        yield from _answer(block)
    else:
        assert isinstance(block, Picture)


def _answer(a: Answer) -> Iterator[str]:
    yield f"\n### {a.number}. {escape(one_line(a.question, 1000))}"
    yield f"\n{_runs(a.tags)}"
    if a.prompt:
        yield "\nPrompt:\n"
        yield _quoted((Run(a.prompt),))
    yield ""
    yield _quoted(a.body or (Run("(nothing)", "dim"),))
    if a.cut:
        yield f"\n… {a.cut:,} more characters are not shown."
    if a.notes:
        yield ""
        yield from (f"- {escape(label)}: {_runs(said)}" for label, said in a.notes)


def _quoted(body: Line) -> str:
    """Several lines as a quotation; nothing in it starts a block of its own."""
    text = "".join(_run(r, keep_lines=True) for r in body)
    lines = [part.strip() for part in text.split("\n")]
    kept = [part for n, part in enumerate(lines) if part or (n and lines[n - 1])]
    return "\\\n".join(f"> {_unlisted(part)}" for part in kept if part) or "> "


def _runs(runs: Line) -> str:
    return _unlisted("".join(_run(r) for r in runs).strip())


def _run(run: Run, *, keep_lines: bool = False) -> str:
    text = clean(run.text, LONGEST)
    if not keep_lines:
        text = re.sub(r"\s+", " ", text)
    lead = text[: len(text) - len(text.lstrip())]
    tail = text[len(text.rstrip()) :] if text.strip() else ""
    said = escape(text.strip())
    if run.role in ("small", "count"):
        return f" {said}" if said else ""
    if run.role in ("strong", "loud", "ok", "bad", "warn", "unsure") and said and "\n" not in said:
        said = f"**{said}**"
    if run.role == "tag":
        said = f"*({said})*"
    if run.role == "code" and re.fullmatch(r"[\w./:+-]+", text):
        said = f"`{text}`"
    return f"{lead}{said}{tail}"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, and that becomes no link by itself."""
    text = _SPECIAL.sub(r"\\\1", text)
    return _LINK.sub(lambda m: f"{m[1] or m[3]}\\{m[2] or m[4]}", text)


def _unlisted(text: str) -> str:
    """Not the beginning of a list."""
    found = _START.match(text)
    if not found:
        return text
    mark = found[2]
    rest = text[found.end() :]
    return f"{found[1]}\\{mark}{rest}" if mark in "-+" else f"{found[1]}{mark}\\{rest}"
