"""Citations: `<<SRC:domain:entity_id>>` markers found, judged, rendered, and read from a stream."""

from core.citations.grammar import (
    Malformed,
    Marker,
    find,
    find_malformed,
    scan,
    without_markers,
)
from core.citations.judging import (
    STATUSES,
    Classified,
    MarkerClass,
    Source,
    SourceIndex,
    SourceStatus,
    classify,
    is_web_link,
)
from core.citations.rendering import render_html, render_markdown, render_plain
from core.citations.streaming import Stream

__all__ = [
    "STATUSES",
    "Classified",
    "Malformed",
    "Marker",
    "MarkerClass",
    "Source",
    "SourceIndex",
    "SourceStatus",
    "Stream",
    "classify",
    "find",
    "find_malformed",
    "is_web_link",
    "render_html",
    "render_markdown",
    "render_plain",
    "scan",
    "without_markers",
]
