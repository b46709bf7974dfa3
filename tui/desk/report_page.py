"""The report of a version as the app shows it, through the desk alone: what the desk does not tell
is left out. The whole one, with the data and every hash: `qa report VERSION --out FILE.html`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import NotFound, QAError
from tui.desk.api import Desk

if TYPE_CHECKING:
    from core.evaluation.pages.dossier import Dossier

Scores = Mapping[str, Any]
_COMPARED = ("a", "b", "n", "accuracy", "flips", "p_value", "categories")


def markdown_of(desk: Desk, scores: Scores) -> str:
    """The Markdown page. Raises what the desk raises, but for what the page can do without."""
    from core.evaluation.pages.compose import compose
    from core.evaluation.pages.markdown import markdown

    return markdown(compose(dossier_of(desk, scores)))


def dossier_of(desk: Desk, scores: Scores) -> Dossier:
    """The scores with what the desk knows of their version."""
    from core.evaluation.pages.dossier import Dossier

    name = str(scores.get("version") or "")
    try:
        version = desk.version_detail(name) if name else {}
    except NotFound:
        version = {}
    try:
        flips = flips_of(desk, scores, version)
    except QAError:
        flips = {}
    history = version.get("history")
    releases = [
        h
        for h in (history if isinstance(history, list) else [])
        if isinstance(h, Mapping) and name in (h.get("to_version"), h.get("model_version"))
    ]
    return Dossier(
        scores=scores,
        version=version,
        approvals=version.get("approvals") or (),
        releases=releases,
        flips=flips,
        flips_from=str(flips.get("a") or ""),
    )


def flips_of(
    desk: Desk, scores: Scores, version: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """This version against the one before: of the same evaluation if that asked both, else of each
    one's own. As `compare_scores`, with a and b. Raises NotFound with the reason.
    """
    from core.evaluation.pages.gather import flips_within

    name = str(scores.get("version") or "")
    if version is None:
        version = desk.version_detail(name) if name else {}
    parent = str(version.get("parent_version") or "")
    within = flips_within(scores)
    if within:
        return {"a": parent or "the version before", "b": name, **within}
    if not parent:
        raise NotFound(
            "there is no version before this one to compare with",
            try_next="screen 6, m on two versions, compares any two",
        )
    found = desk.compare(parent, name)
    if found.get("no_answers"):
        raise NotFound(f"{parent} and {name} cannot be compared", why=str(found["no_answers"]))
    return {
        k: v
        for k, v in found.items()
        if k in ("a", "b", "n", "accuracy", "flips", "p_value", "categories")
    }
