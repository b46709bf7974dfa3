"""Questions whose old answer is now wrong: asked after a training, and while it runs.

A file holds one JSON object a line:

    {"question": "How many nodes has Delta?", "must_not": ["124 nodes"], "was": "pair_0012"}

must_not: what the old pair said and the new one does not; an answer with any of it still has the old
value.  was: id of the old pair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from core import citations
from core.corpus import key_facts
from core.errors import UsageError
from core.jobdir import write_atomic
from core.pairs import Pair

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


@dataclass(frozen=True, slots=True)
class Negative:
    """must_not: at least one phrase."""

    question: str
    must_not: tuple[str, ...]
    was: str


def negative(old: Pair, new: Pair) -> Negative | None:
    """What the answer to `new`'s question must not say any more; None if the value is the same."""
    phrases = outdated(old, new)
    return Negative(new.question, phrases, old.id) if phrases else None


def outdated(old: Pair, new: Pair) -> tuple[str, ...]:
    """Values of the old answer that neither the new answer nor its question has.

    Numbers with their units, words with digits, host names and short values, as `corpus.key_facts`
    finds them; where there is none, the whole old answer if the new one differs.
    """
    said = f"{new.question} {citations.without_markers(new.answer)}"
    phrases = [p for p in _phrases(old) if not _holds(said, p)]
    if phrases:
        return tuple(dict.fromkeys(phrases))
    before, after = (citations.without_markers(p.answer).strip() for p in (old, new))
    return (before,) if before and _plain(before) != _plain(after) else ()


def found(answer: str, item: Negative) -> tuple[str, ...]:
    """Which outdated phrases the answer has; () if the old value is gone from it."""
    text = citations.without_markers(answer)
    return tuple(p for p in item.must_not if _holds(text, p))


def write(path: Path, items: Iterable[Negative]) -> int:
    """Replace the file whole. Returns the number of questions."""
    lines = [json.dumps(asdict(item), ensure_ascii=False) for item in items]
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
    return len(lines)


def read(path: Path) -> tuple[Negative, ...]:
    """Raises UsageError with file and line."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: cannot be read", why=str(e)) from e
    return tuple(_item(path, n, line) for n, line in enumerate(lines, 1) if line.strip())


def _item(path: Path, n: int, line: str) -> Negative:
    try:
        row = json.loads(line)
        question, phrases, was = row["question"], row["must_not"], row["was"]
        if not isinstance(question, str) or not isinstance(was, str) or not question.strip():
            raise ValueError("question and was must be text")
        if not isinstance(phrases, list) or not phrases:
            raise ValueError("must_not must hold at least one phrase")
        if not all(isinstance(p, str) and p.strip() for p in phrases):
            raise ValueError("must_not must hold text")
    except (ValueError, KeyError, TypeError) as e:
        raise UsageError(f"{path}:{n}: not a negative question", why=str(e)) from e
    return Negative(question, tuple(phrases), was)


def _phrases(pair: Pair) -> list[str]:
    out = []
    for fact in key_facts(pair):
        if isinstance(fact, dict):
            out.append(f"{fact['value']} {fact['unit']}".strip())
        else:
            out += [str(word) for word in fact]
    return out


def _holds(text: str, phrase: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(_plain(phrase))}(?!\w|\.\d)", _plain(text)) is not None


def _plain(text: str) -> str:
    """Lower case, single spaces, 2488 for 2,488."""
    return _THOUSANDS.sub("", " ".join(text.lower().split()))
