"""Wordings that need nothing but the pair itself: its question taken apart, its answer with gaps.

They serve the facts that only one entity has, for which no template is worth writing. Each is a pure
function of the pair and a random generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from core import citations
from core.augment.about import About
from core.augment.templates import Wording
from core.near_duplicates import STOP_WORDS
from core.pairs import Pair
from core.training.rewording import rewordings

GAP = "___"
_WORD = re.compile(r"[\w][\w.+/-]*")

# How a question opens → other ways of asking for the same thing. `$` is the rest of the question.
_OPENINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"how many (?P<rest>.+)", ("Give me the number: how many $?", "I need a count: how many $?")),
    (r"how much (?P<rest>.+)", ("I need an amount: how much $?", "Tell me how much $.")),
    (
        r"(?:what|which) (?:is|are|was|were) (?P<rest>.+)",
        ("Tell me $.", "I need to know $.", "$?", "Could you name $?"),
    ),
    (
        r"(?P<rest>(?:what|which) .+)",
        ("Please tell me: $?", "I need to know: $?", "Do you know $?"),
    ),
    (
        r"(?P<rest>(?:is|are|does|do|did|can|could|will|was|were|has|have|may|should) .+)",
        ("I wonder: $?", "Please check for me: $?", "A yes or no, please: $?"),
    ),
    (
        r"(?P<rest>(?:who|whose|where|when|why|how)\b.+)",
        ("I need to know: $?", "Please explain: $?", "Do you know $?"),
    ),
    (
        r"(?:tell me|give me|describe|name|list|explain) (?P<rest>.+)",
        ("What about $?", "I want $.", "$, please."),
    ),
)


def wordings(pair: Pair, it: About, rng: random.Random) -> Iterator[Wording]:
    """All generic families of a pair, each wording with its number; values are never in them."""
    question = pair.question
    plain = rewordings(question, 3)
    yield from (Wording("surface", n, text) for n, text in enumerate(plain, 1))
    yield from (Wording("reopened", n, text) for n, text in enumerate(reopened(question), 1))
    for n in range(1, 4):
        yield Wording("typo", n, typo(question, it.name, rng))
    for n in range(1, 5):
        yield Wording("gap", n, gapped(pair.answer, it, rng, extra=n - 1))
    for n in range(1, 7):
        yield Wording("recall", n, recalled(pair, it, rng))


def reopened(question: str) -> list[str]:
    text = question.strip().rstrip("?.! ")
    for pattern, forms in _OPENINGS:
        if m := re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL):
            said = [form.replace("$", m["rest"]) for form in forms]
            return [s[:1].upper() + s[1:] for s in said]
    return []


def typo(question: str, name: str, rng: random.Random) -> str:
    """Two neighbouring letters of one longer word change places; the name keeps its spelling."""
    kept = set(_WORD.findall(name))
    spots = [m for m in _WORD.finditer(question) if m[0].isalpha() and len(m[0]) >= 5]
    spots = [m for m in spots if m[0] not in kept]
    if not spots:
        return ""
    word = rng.choice(spots)
    at = word.start() + rng.randrange(1, len(word[0]) - 2)
    return f"{question[:at]}{question[at + 1]}{question[at]}{question[at + 2 :]}"


def gapped(answer: str, it: About, rng: random.Random, extra: int = 0) -> str:
    """The answer as a sentence to complete: its values, and `extra` other words, are gaps."""
    text = citations.without_markers(answer).strip()
    text = re.sub(r"^(?:Yes|No)[,.:]\s*", "", text)
    for value in it.values:
        text = re.sub(rf"(?<![\w.-]){re.escape(value)}(?!\w)", GAP, text)
    names = set(_WORD.findall(it.name))
    spots = [
        m
        for m in _WORD.finditer(text)
        if m[0].casefold() not in STOP_WORDS and m[0] not in names and m[0] != GAP
    ]
    if GAP not in text and not spots:
        return ""
    extra = extra if GAP in text else max(2, extra)
    for m in sorted(
        rng.sample(spots, min(extra, max(0, len(spots) - 1))), key=lambda m: -m.start()
    ):
        text = text[: m.start()] + GAP + text[m.end() :]
    text = re.sub(rf"{GAP}(?:[\s,]+{GAP})+", GAP, text)
    return text if GAP in text else ""


def recalled(pair: Pair, it: About, rng: random.Random) -> str:
    """The name and two or three words of question and answer, as one types into a search box."""
    said = f"{pair.question} {citations.without_markers(pair.answer)}"
    hidden = {w.casefold() for value in it.values for w in _WORD.findall(value)}
    hidden |= {w.casefold() for w in _WORD.findall(it.name)}
    pool = [
        w.rstrip(".")
        for w in dict.fromkeys(_WORD.findall(said))
        if w.casefold() not in STOP_WORDS and w.casefold() not in hidden and len(w) > 2
    ]
    if len(pool) < 2:
        return ""
    words = rng.sample(pool, min(len(pool), rng.choice((2, 2, 3))))
    words.insert(rng.choice((0, len(words))), it.name)
    return " ".join(w for w in words if w)
