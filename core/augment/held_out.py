"""The wordings that are kept for measuring: whatever the golden files ask, in all their words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from core.evaluation.golden import load_golden
from core.evaluation.golden.sets import mounts


def golden_wordings(files: Iterable[Path] = ()) -> list[str]:
    """Every question and paraphrase of the mounted golden set and of `files`.

    Raises GoldenFileError: a file that is missing or faulty.
    """
    mounted = [m.path for m in mounts() if m.path.exists() or not m.optional]
    questions = [q for path in [*mounted, *files] for q in load_golden(path)]
    return [text for q in questions for text in (q.question, *q.paraphrases)]
