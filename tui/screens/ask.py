"""The Ask side of the Trace screen: one question, one or two who answer it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static

from core.errors import Cancelled, QAError
from tui import clean
from tui.asking import Asks
from tui.desk.api_traces import RETRIEVAL, ReplyView
from tui.present import asked
from tui.present.words import text
from tui.widgets.confirm import Ask, Choose
from tui.widgets.lists import RowList
from tui.widgets.pane import Pane
from tui.widgets.paste_field import BREAK, PasteField

if TYPE_CHECKING:
    from tui.screens.trace import TraceScreen

Side = Literal["first", "second"]
NOBODY = "nobody"
KEPT = 50  # questions of this session
VERSION = "version "  # before the id of a row in the dialog


@dataclass(slots=True)
class Asked:
    """One side. who: a version, "" the newest, RETRIEVAL, or an address."""

    who: str = ""
    since: float | None = None
    reply: ReplyView | None = None
    problem: QAError | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """A question and who was asked; answered again from here without asking anyone."""

    question: str
    sides: dict[Side, Asked]


class AskPanes(Asks, Horizontal):
    """Two panes, of which the second is there only once somebody is chosen for it."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.sides: dict[Side, Asked] = {"first": Asked()}
        self.question = ""
        self.endpoint = ""
        self.versions: tuple[str, ...] = ()
        self.past: list[Past] = []  # newest first; of this session

    def compose(self) -> ComposeResult:
        with Pane(id="asked"):
            yield RowList(id="asked-list", empty="Nothing was asked yet.")
        for side in ("first", "second"):
            with Pane(id=side), VerticalScroll(id=f"{side}-scroll"):
                yield Static(id=f"{side}-reply")

    def on_mount(self) -> None:
        self.query_one("#asked", Pane).title("asked so far, newest first")
        self.set_interval(0.5, self._tick)

    @property
    def here(self) -> TraceScreen:
        return cast("TraceScreen", self.screen)

    @property
    def first(self) -> VerticalScroll:
        return self.query_one("#first-scroll", VerticalScroll)

    @property
    def busy(self) -> bool:
        shown = [*(past.sides for past in self.past), self.sides]
        return any(a.since is not None for sides in shown for a in sides.values())

    def offer(self, versions: tuple[str, ...]) -> None:
        """Versions whose answers are stored, newest first."""
        self.versions = versions

    # what is shown

    def redraw(self) -> None:
        self.set_class("second" in self.sides, "-two")
        for side, now in self.sides.items():
            pane = self.query_one(f"#{side}", Pane)
            name = now.who or (self.versions[0] if self.versions else RETRIEVAL)
            pane.title(asked.who_word(name))
            pane.subtitle(now.reply.path if now.reply else "")
            width = max(20, (self.query_one(f"#{side}-scroll").size.width or 41) - 1)
            self.query_one(f"#{side}-reply", Static).update(self._drawn(now, name, width))

    def _drawn(self, now: Asked, name: str, width: int) -> Text:
        key = self.here.key
        if now.since is not None:
            return asked.waiting(name, time.monotonic() - now.since, key("stop_asking"))
        if now.problem is not None:
            p = now.problem
            return asked.failed(p.what, p.why, p.try_next, width)
        if now.reply is not None:
            return asked.reply(now.reply, width)
        if self.question:
            return text(("asked with the next question", "dim"))
        return asked.start(key("give"), key("choose"), key("beside"), key("endpoint"))

    def _tick(self) -> None:
        if self.busy:
            self.redraw()

    # asking

    def put(self, question: str) -> None:
        """Ask everyone who is chosen."""
        self.question = question
        for now in self.sides.values():
            if now.since is not None:
                now.since, now.problem = None, Cancelled("another question was asked meanwhile")
        self.sides = {side: Asked(now.who) for side, now in self.sides.items()}
        if question:
            self.past.insert(0, Past(question, self.sides))
            del self.past[KEPT:]
            self._list()
        for side in self.sides:
            self._put(side)
        self.first.focus()

    def _list(self) -> None:
        rows = self.query_one("#asked-list", RowList)
        with self.prevent(OptionList.OptionHighlighted):
            rows.fill([
                (str(len(self.past) - n), partial(asked.past_row, past.question))
                for n, past in enumerate(self.past)
            ])  # fmt: skip
            rows.choose(str(len(self.past)))

    @on(OptionList.OptionHighlighted, "#asked-list")
    def look_back(self, event: OptionList.OptionHighlighted) -> None:
        """Show what was answered then."""
        event.stop()
        at = len(self.past) - int(event.option.id or 0)
        if 0 <= at < len(self.past) and self.past[at].sides is not self.sides:
            self.question, self.sides = self.past[at].question, self.past[at].sides
            given = self.here.query_one("#given", PasteField)
            given.value = self.question.replace("\n", BREAK)
            self._changed()

    def _put(self, side: Side) -> None:
        now, question = self.sides[side], self.question
        if not question:
            self.redraw()
            return
        who = now.who
        now.since, now.reply, now.problem = time.monotonic(), None, None
        self.ask(
            lambda: self.here.there.ask(question, who),
            partial(self._came, now),
            group=f"ask-{side}",
            failed=partial(self._failed, now),
        )
        self._changed()

    def _came(self, now: Asked, reply: ReplyView) -> None:
        now.since, now.reply = None, reply
        self._changed()

    def _failed(self, now: Asked, problem: QAError) -> None:
        now.since, now.problem = None, problem
        self._changed()

    def _changed(self) -> None:
        self.redraw()
        self.call_after_refresh(self.redraw)
        self.here.keys_changed()

    def stop(self) -> None:
        self.here.there.stop_asking()

    # who is asked

    def choose(self, side: Side) -> None:
        """Choose who answers on a side; the second may be nobody."""
        rows = [
            (VERSION + v, text(clean.line(v, 80), ("  its stored answers", "dim")))
            for v in self.versions
        ]
        rows.append((RETRIEVAL, text("retrieval", ("  the nearest pair; no model", "dim"))))
        if self.endpoint:
            rows.insert(0, (self.endpoint, text(clean.line(self.endpoint, 80), ("  now", "dim"))))
        if side == "second":
            rows.append((NOBODY, text("nobody", ("  one answer alone", "dim"))))

        def chosen(who: str | None) -> None:
            if who == NOBODY:
                self.sides.pop("second", None)
                self._changed()
            elif who is not None:
                self.sides[side] = Asked(who.removeprefix(VERSION))
                self._put(side)
                self._changed()

        body = text("Who answers. A server comes into the list once its address is given.")
        title = "Who is asked" if side == "first" else "Who is asked beside"
        self.app.push_screen(Choose(title, body, rows), chosen)

    def ask_endpoint(self) -> None:
        body = text(
            "The address of an OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1. Plain http goes "
            "to this machine alone: open a tunnel on the Host screen first."
        )

        def given(url: str | None) -> None:
            if url:
                self.endpoint = url
                self.sides["first"] = Asked(url)
                self._put("first")
                self._changed()

        dialog = Ask("Ask a server", body, verb="asks it", placeholder="http://127.0.0.1:8000/v1")
        self.app.push_screen(dialog, given)
