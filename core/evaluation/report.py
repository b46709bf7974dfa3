"""The GO / NO-GO page from scores.json alone, as Markdown and as plain text of 100 columns.

Verdict first, then what a reader must not miss, the systems side by side, the gates with what to do,
the incumbent, and the worst answers in full view. Pure functions; answers are hostile text and are
shown as such. With the registry's record, and as HTML: `core.evaluation.pages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.evaluation.pages.answers import worst_answers
from core.evaluation.pages.compose import compose
from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.markdown import markdown
from core.evaluation.pages.text import WIDTH, columns, text

__all__ = ["WIDTH", "render", "render_text", "worst_answers"]
Scores = Mapping[str, Any]
_columns = columns


def render(s: Scores) -> str:
    """The page as Markdown."""
    return markdown(compose(Dossier(s)))


def render_text(s: Scores, width: int = WIDTH) -> str:
    """The page as plain text of at most `width` columns."""
    return text(compose(Dossier(s)), width)
