"""Answers for readers: markers become numbered footnotes; the same source keeps its number.

A source that is not in the registry, or has no http(s) address, is named without a link; a malformed
marker is shown as it is. Every function raises RegistryNotLoaded as `classify` does.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from core.citations.grammar import Malformed, scan
from core.citations.judging import Source, SourceIndex, not_loaded


@dataclass(frozen=True, slots=True)
class Note:
    """Footnote `number`: the cited id, and the source where the registry has it.

    target: where a renamed source leads, else the source itself.
    """

    number: int
    source_id: str
    source: Source | None
    target: Source | None

    @property
    def remark(self) -> str:
        """What a reader must know about the source; "" if nothing."""
        if self.source is None:
            return "not in the source registry"
        if self.source.status == "tombstoned":
            return "withdrawn"
        if self.source.status == "renamed":
            return f"renamed to {self.source.renamed_to}" if self.source.renamed_to else "renamed"
        return ""

    @property
    def name(self) -> str:
        source = self.target or self.source
        return " ".join(source.display_name.split()) if source else self.source_id

    @property
    def link(self) -> str | None:
        source = self.target or self.source
        return source.link if source else None


@dataclass(frozen=True, slots=True)
class Cited:
    """An answer taken apart: pieces are text, footnote numbers or malformed markers, in order."""

    pieces: tuple[str | int | Malformed, ...]
    notes: tuple[Note, ...]


def take_apart(text: str, index: SourceIndex | None) -> Cited:
    """The text between markers, the markers as footnote numbers, and the footnotes."""
    if index is None or not index.by_id:
        raise not_loaded()
    numbers: dict[str, int] = {}
    pieces: list[str | int | Malformed] = []
    last = 0
    for m in scan(text):
        pieces.append(text[last : m.start])
        last = m.end
        bad = isinstance(m, Malformed)
        pieces.append(m if bad else numbers.setdefault(m.source_id, len(numbers) + 1))  # type: ignore[union-attr,arg-type]
    pieces.append(text[last:].rstrip())
    notes = tuple(
        Note(n, source_id, index.by_id.get(source_id), index.resolve(source_id))
        for source_id, n in numbers.items()
    )
    return Cited(tuple(p for p in pieces if p != ""), notes)


def render_markdown(text: str, index: SourceIndex | None) -> str:
    """Footnotes in Markdown; the answer's own text is left as it is."""
    cited = take_apart(text, index)
    body = _body(cited, str, lambda n: f"[^{n}]", _code)
    notes = [f"[^{n.number}]: {_markdown_note(n)}" for n in cited.notes]
    return body + ("\n\n" + "\n".join(notes) if notes else "")


def render_plain(text: str, index: SourceIndex | None) -> str:
    """[1] in the text; below it `[1] name, address (remark)`."""
    cited = take_apart(text, index)
    body = _body(cited, str, lambda n: f"[{n}]", str)
    notes = [
        f"[{n.number}] {', '.join(x for x in (n.name, n.link) if x)}"
        + (f" ({n.remark})" if n.remark else "")
        for n in cited.notes
    ]
    return body + ("\n\n" + "\n".join(notes) if notes else "")


def render_html(text: str, index: SourceIndex | None, *, prefix: str = "src") -> str:
    """One <p> a paragraph and an ordered list of sources; everything escaped, only http(s) links.

    prefix: begins the ids of this answer's footnotes, for pages that hold several answers.
    """
    cited = take_apart(text, index)
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", prefix)
    body = _body(
        cited,
        html.escape,
        lambda n: f'<sup><a href="#{prefix}-{n}">[{n}]</a></sup>',
        lambda bad: f"<code>{html.escape(bad)}</code>",
    )
    paragraphs = [p for p in re.split(r"\n[ \t]*\n", body) if p.strip()]
    out = ["<p>" + p.strip("\n").replace("\n", "<br>\n") + "</p>" for p in paragraphs]
    if cited.notes:
        items = [f'<li id="{prefix}-{n.number}">{_html_note(n)}</li>' for n in cited.notes]
        out.append("<ol>\n" + "\n".join(items) + "\n</ol>")
    return "\n".join(out)


def _body(
    cited: Cited,
    text: Callable[[str], str],
    number: Callable[[int], str],
    malformed: Callable[[str], str],
) -> str:
    out = []
    for p in cited.pieces:
        if isinstance(p, Malformed):
            out.append(malformed(p.text))
        else:
            out.append(text(p) if isinstance(p, str) else number(p))
    return "".join(out).rstrip()


def _html_note(note: Note) -> str:
    name, link = html.escape(note.name), note.link
    shown = f'<a href="{html.escape(link)}" rel="noopener noreferrer">{name}</a>' if link else name
    return shown + (f" ({html.escape(note.remark)})" if note.remark else "")


def _markdown_note(note: Note) -> str:
    if note.source is None:
        return f"{_code(note.source_id)} ({note.remark})"
    name = re.sub(r"([\\`*_\[\]<>&!|~#])", r"\\\1", note.name)
    link = note.link
    shown = f"[{name}]({link.replace('(', '%28').replace(')', '%29')})" if link else name
    if note.source.status == "renamed" and note.source.renamed_to:
        return f"{shown} (renamed to {_code(note.source.renamed_to)})"
    return f"{shown} ({note.remark})" if note.remark else shown


def _code(text: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
