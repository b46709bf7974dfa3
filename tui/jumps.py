"""Going anywhere by name from the palette: `job 142`, `v 1.0.1`, `promote 1.0.1`, `ask how many GPUs`.

The first word says what, the rest which one, and every word of the rest has to be in the name. Rows
are asked of the desk when the first such word is typed, once for as long as the palette is open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from core.errors import QAError
from tui import clean

if TYPE_CHECKING:
    from tui.app import ControlCentre
    from tui.desk.api import Desk

INVITATION = "A command, or where to: job 142, v 1.0.1, at 2026-01-14 …"
MOST = 20  # rows offered at a time
FIRST = 1.0  # score: above whatever only resembles what was typed

Named = tuple[str, str]  # what it is called, what is said about it


@dataclass(frozen=True, slots=True)
class Jump:
    """words: how it is called, the first is shown.  mode: the screen that takes it.

    names: what there is, the newest first; None where anything may be typed.
    """

    words: tuple[str, ...]
    mode: str
    example: str
    help: str
    names: Callable[[Desk], Sequence[Named]] | None = None


def _jobs(desk: Desk) -> list[Named]:
    return [(j.id, j.status) for j in desk.jobs()]


def _versions(desk: Desk) -> list[Named]:
    return [(v.model_version, ", ".join(v.live_in) or v.status) for v in desk.versions()]


JUMPS = (
    Jump(("job", "run", "j"), "train", "job 142", "Its curve and its log", _jobs),
    Jump(("version", "v"), "versions", "v 1.0.1", "A version and all about it", _versions),
    Jump(("promote",), "versions", "promote 1.0.1", "Asks where to, and for its name", _versions),
    Jump(("at",), "versions", "at 2026-01-14T09:00", "What was live at that moment"),
    Jump(("source", "s"), "sources", "source delta", "Sources by id, name or address"),
    Jump(("trace",), "trace", "trace ANSWER-ID", "From an answer back to its pairs"),
    Jump(("ask",), "trace", "ask which queue has GPUs", "Ask the version that is chosen there"),
)
WORDS: Mapping[str, Jump] = {word: jump for jump in JUMPS for word in jump.words}


def parse(query: str) -> tuple[Jump, str] | None:
    """The jump that the first word of `query` names, and the rest; None if it names none."""
    word, _, rest = query.strip().partition(" ")
    jump = WORDS.get(word.casefold())
    return None if jump is None else (jump, rest.strip())


def matching(names: Sequence[Named], wanted: str) -> Iterator[Named]:
    """Those that hold every word of `wanted`, else in the order they came in: first the one that is
    called so, with or without what all of its kind begin with (access-qa-v1.0.1, v1.0.1, 1.0.1), then
    those where the words end at an end of one: 1.0.1 before 1.0.10.
    """
    words = wanted.casefold().split()
    found = [n for n in names if all(w in n[0].casefold() for w in words)]
    ends = [re.compile(rf"(?<![^\W_]){re.escape(w)}(?![^\W_]|\.\d)") for w in words]

    def distance(named: Named) -> int:
        name = named[0].casefold()
        if wanted.casefold().strip() in _called(name):
            return 0
        return 1 if all(e.search(name) for e in ends) else 2

    yield from sorted(found, key=distance)


def _called(name: str) -> tuple[str, ...]:
    short = name.removeprefix("access-qa-")
    return name, short, short.removeprefix("v")


class Jumps(Provider):
    """The palette's second source of hits."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._known: dict[str, Sequence[Named]] = {}

    async def discover(self) -> Hits:
        for jump in JUMPS:
            about = f"{jump.help}  (: {jump.example})"
            yield DiscoveryHit(
                Content(f"{jump.words[0].capitalize()} …"),
                partial(self._centre.type_command, f"{jump.words[0]} "),
                text=jump.words[0],
                help=escape(about),
            )

    async def search(self, query: str) -> Hits:
        found = parse(query)
        if found is None:
            return
        jump, wanted = found
        if jump.names is not None:
            rows = islice(matching(await self._names(jump), wanted), MOST)
            for place, (name, about) in enumerate(rows):
                yield self._hit(jump, name, about, FIRST - place / 1000)
        elif wanted:
            yield self._hit(jump, wanted, "", FIRST)

    def _hit(self, jump: Jump, name: str, about: str, score: float) -> Hit:
        word = jump.words[0]
        says = f"{jump.help}  ({clean.line(about, 60)})" if about else jump.help
        go = partial(self._centre.jump, jump.mode, word, name)
        return Hit(score, Content(f"{word} {clean.line(name, 80)}"), go, help=escape(says))

    async def _names(self, jump: Jump) -> Sequence[Named]:
        word, names = jump.words[0], jump.names
        if word not in self._known and names is not None:
            try:
                self._known[word] = await self._centre.threads.run(
                    partial(names, self._centre.desk)
                )
            except QAError as problem:
                self._centre.report(problem, quietly=True)
                return ()
        return self._known[word]

    @property
    def _centre(self) -> ControlCentre:
        return cast("ControlCentre", self.app)
