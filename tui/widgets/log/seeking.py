"""Going from hit to hit: the next one at once, or as soon as the scan has come far enough."""

from __future__ import annotations

from tui.widgets.log.rows import Found, meeting


class Seeker:
    """Looks in `hits`, and only at lines that `only`, if there is a filter, shows."""

    def __init__(self, hits: Found, only: Found | None = None) -> None:
        self.hits = hits
        self.only = only
        self.note = ""  # a few words for the operator, once `advance` has come to an end
        self._from: tuple[int, int] | None = None

    @property
    def waiting(self) -> bool:
        return self._from is not None

    def start(self, number: int, step: int) -> None:
        """Look for the first hit at `number` or after it (step 1), or before it (-1)."""
        self._from = (number, step)
        self.note = ""

    def stop(self) -> None:
        self._from = None

    def advance(self) -> int | None:
        """The line found. None while it is waited for, and if there is none: see `waiting`."""
        if self._from is None:
            return None
        number, step = self._from
        found = meeting(self.hits, self.only, number, step)
        if found is not None and (step > 0 or self._known_to(number)):
            self._from = None
            return found
        if not (self.hits.done and (self.only is None or self.only.done)):
            return None
        self._from = None
        found = meeting(self.hits, self.only, 0 if step > 0 else _LAST, step)
        if found is None:
            self.note = self.hits.error or "not found"
        else:
            self.note = "went on from the top" if step > 0 else "went on from the end"
        return found

    def _known_to(self, number: int) -> bool:
        both = [self.hits] if self.only is None else [self.hits, self.only]
        return all(found.done or found.line > number for found in both)


_LAST = 1 << 62
