"""What the laptop is told when a question cannot be answered, and which names are names."""

from __future__ import annotations

import re
from typing import Any

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class Problem(Exception):
    """What the laptop is told: a code it knows, and a sentence."""

    def __init__(self, code: str, what: str, **more: Any) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.more = more

    def as_dict(self) -> dict[str, Any]:
        return dict(self.more, code=self.code, what=self.what)


def check_id(name: Any) -> str:
    if not isinstance(name, str) or not ID.match(name):
        raise Problem("bad_name", "not a usable name: %.80r" % (name,))
    return name
