"""One spelling of a resource's name: "Bridges 2" and "bridges2" are "bridges-2".

Only names whose parts people write apart or together are here; a question's own alternatives stand
in its key facts.
"""

from __future__ import annotations

import re

from core.evaluation.patterns import any_of

SPELLINGS: dict[str, tuple[str, ...]] = {
    "bridges-2": ("bridges2", "bridges 2"),
    "stampede3": ("stampede 3", "stampede-3"),
    "jetstream2": ("jetstream 2", "jetstream-2"),
    "deltaai": ("delta ai", "delta-ai"),
    "ospool": ("open science pool", "os pool"),
    "open storage network": ("osn",),
    "gh200": ("gh-200",),
}
"""Name → its other spellings, all in lower case."""

_NAMES = {other: name for name, others in SPELLINGS.items() for other in others}
# What follows must not be more of a name or a number: "bridges 2.5", "delta ai's" is fine.
_PATTERN = re.compile(rf"\b{any_of(_NAMES)}(?![\w-]|\.\d)")
_ROOTS = ("bridges", "stampede", "jetstream", "delta ai", "delta-ai", "pool", "osn", "gh-200")


def one_spelling(text: str) -> str:
    """`text`, which must be in lower case, with every known name in its one spelling."""
    if any(map(text.__contains__, _ROOTS)):
        return _PATTERN.sub(lambda m: _NAMES[m[0]], text)
    return text
