"""Shallow rewordings of a question: other surface, same meaning, no new fact.

A fact that was only ever asked in one wording is stored with that wording and not found under
another. These forms are mechanical (case, keywords, an opening), so they can neither change what is asked
nor repeat a wording that was held out for measuring.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from core.training.data import Conversation

MOST = 3
OPENINGS = (
    "Quick question: {}",
    "I would like to know: {}",
    "For my ACCESS project: {}",
    "Can you help me? {}",
    "{} Thanks!",
)
_STOP = frozenset(
    "a an the is are was were be do does did can could will would should may of in on at for to from "
    "with by as it its that this there i me my you your we our us and or so any some have has had "
    "what which who whom whose where when why how tell describe give please".split()
)
_WORD = re.compile(r"[\w][\w.+/-]*")


def rewordings(question: str, count: int) -> list[str]:
    """Up to `count` (0..3) distinct other surfaces of `question`; fewer where two coincide."""
    forms = [_lower(question), _keywords(question), _opened(question)]
    out: list[str] = []
    for form in forms[:count]:
        if form and form != question and form not in out:
            out.append(form)
    return out


def with_rewordings(rows: Sequence[Conversation], count: int) -> list[Conversation]:
    """Every row, each followed by its rewordings (id `ID~1` …). Only the last question changes."""
    out: list[Conversation] = []
    for row in rows:
        out.append(row)
        *before, last = row.prompt
        for n, text in enumerate(rewordings(last["content"], count), 1):
            prompt = (*before, {**last, "content": text})
            out.append(replace(row, id=f"{row.id}~{n}", prompt=prompt))
    return out


def _lower(question: str) -> str:
    return question.lower().rstrip(" ?.!")


def _keywords(question: str) -> str:
    words = [w.rstrip(".") for w in _WORD.findall(question)]
    kept = [w for w in words if w.lower() not in _STOP]
    return " ".join(kept) if len(kept) >= 2 else ""


def _opened(question: str) -> str:
    """The opening is chosen by the question's hash: the same question always gets the same one."""
    pick = int.from_bytes(hashlib.sha256(question.encode()).digest()[:4], "big") % len(OPENINGS)
    return OPENINGS[pick].format(question)
