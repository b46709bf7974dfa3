"""Pilot: the checklist of four weeks; each item runs its own check and keeps the evidence."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static

from core.errors import QAError
from tui import clean
from tui.bindings import PILOT, bindings
from tui.desk.api import EvidenceRow, ItemRow
from tui.present import pilot, words
from tui.present.words import text
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Ask, Choose
from tui.widgets.lists import Row, RowList
from tui.widgets.pane import Pane
from tui.widgets.steady import Steady

SAID = 200  # lines of a running check that are kept


class PilotScreen(DeskScreen):
    MODE = "pilot"
    CSS_PATH = "pilot.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(PILOT)

    def __init__(self) -> None:
        super().__init__()
        self.items: Sequence[ItemRow] = ()
        self.running: str | None = None
        self._said: dict[str, deque[str]] = {}
        self._drawn: object = None

    def body(self) -> ComposeResult:
        yield Static(id="progress")
        with Horizontal(id="panes"):
            with Pane(id="items"):
                yield RowList(id="list", empty="The checklist is loading…")
            with Pane(id="item"), VerticalScroll(id="scroll"):
                yield Steady(id="detail")

    def on_mount(self) -> None:
        self.query_one("#items", Pane).title("checklist")
        self.query_one("#item", Pane).title("item")
        self.query_one("#list").focus()
        self.set_interval(0.1, self._pull_said)
        self.set_interval(2.0, self._poll)

    # what is shown

    def reload(self) -> None:
        self.ask(lambda: list(self.desk.items()), self._items_came, group="items")

    def _poll(self) -> None:
        if self.in_sight:
            call = lambda: list(self.desk.items())  # noqa: E731
            self.ask(call, self._items_came, group="items-poll", poll=True)

    def _items_came(self, items: Sequence[ItemRow]) -> None:
        if list(items) == list(self.items):
            return
        first = not self.items
        self.items = items
        self.redraw()
        if first and (following := pilot.next_item(items)) is not None:
            self.query_one(RowList).choose(following.id)

    def redraw(self) -> None:
        lines: list[Row] = []
        for week, title, members in pilot.by_week(self.items):
            lines.append((None, partial(pilot.heading, week, title, members)))
            for item in members:
                running = item.id == self.running
                lines.append((item.id, partial(pilot.row, item, running=running)))
        self.query_one(RowList).fill(lines)
        overview = self.centre.overview
        bar = self.query_one("#progress", Static)
        decision = overview.decision if overview else ""
        bar.update(pilot.progress(self.items, decision, max(20, self.size.width - 4)))
        self._drawn = None
        self._draw_detail()

    @property
    def item(self) -> ItemRow | None:
        chosen = self.query_one(RowList).chosen
        return next((i for i in self.items if i.id == chosen), None)

    def _draw_detail(self) -> None:
        item = self.item
        if item is None:
            return
        said = tuple(self._said.get(item.id, ()))
        running = item.id == self.running
        decision = self.centre.overview.decision if self.centre.overview else ""
        drawn = (item, said, running, decision)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        shown = said[-12:] if running else ()
        width = (self.query_one("#scroll").size.width or 41) - 1
        self.query_one("#detail", Static).update(
            pilot.detail(item, width=width, running=running, said=shown)
        )
        self.crumb(f"week {item.week} › {item.id}")

    def _pull_said(self) -> None:
        """Draw what the running check has said since the last time."""
        if self.in_sight and self.running is not None:
            self._draw_detail()

    @on(OptionList.OptionHighlighted, "#list")
    def highlighted(self) -> None:
        self._draw_detail()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        self.keys_changed()

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        rows = self.query_one(RowList)
        for item in self.items:
            yield f"Item: {item.title}", item.checks, partial(rows.choose, item.id)

    def file_behind(self) -> tuple[Path, int] | None:
        """The checklist itself: items are added and reworded there."""
        from core.checklist import checklist_path

        return (checklist_path(), 1) if self.items else None

    def why_not(self, action: str) -> str | None:
        item = self.item
        if not self.items:
            return "the checklist is not loaded yet"
        if action == "run_check" and self.running is not None:
            title = next((i.title for i in self.items if i.id == self.running), self.running)
            return f"“{clean.line(title, 60)}” is running; one check at a time"
        if action == "open_job" and (item is None or self._job_of(item) is None):
            return "no job belongs to this item yet"
        return None

    @staticmethod
    def _job_of(item: ItemRow) -> str | None:
        return next((e.job_id for e in item.evidence if e.job_id), None)

    # what the operator does

    @on(OptionList.OptionSelected, "#list")
    def selected(self) -> None:
        self.action_run_check()

    def action_run_check(self) -> None:
        item = self.item
        if self.refused("run_check") or item is None:
            return
        said: deque[str] = deque(maxlen=SAID)
        self._said[item.id] = said
        self.running = item.id
        self.redraw()
        self.keys_changed()
        # `say` is called from the check's thread; a deque takes that, the timer draws it
        self.ask(
            lambda: self.desk.run_item(item.id, said.append),
            lambda evidence: self._ran(item, evidence),
            group="check",
            failed=lambda problem: self._broke(item, problem),
        )

    def _ran(self, item: ItemRow, evidence: EvidenceRow) -> None:
        self._over()
        shape, _ = words.state(evidence.outcome)
        bad = evidence.outcome == "fail"
        self.centre.say(f"{shape} {evidence.summary}", title=item.title, bad=bad)

    def _broke(self, item: ItemRow, problem: QAError) -> None:
        self._over()
        self.centre.report(problem)

    def _over(self) -> None:
        self.running = None
        self.redraw()
        self.keys_changed()
        self.reload()

    def action_note(self) -> None:
        item = self.item
        if self.refused("note") or item is None:
            return

        def store(note: str | None) -> None:
            if note:
                call = lambda: self.desk.note_item(item.id, note)  # noqa: E731
                self.ask(call, lambda _: self.reload(), group="note")

        body = text((clean.line(item.title), "strong"), "\n", (clean.line(item.checks), "dim"))
        dialog = Ask("Note as evidence", body, verb="stores", placeholder="what you saw or did")
        self.app.push_screen(dialog, store)

    def action_open_job(self) -> None:
        item = self.item
        if self.refused("open_job") or item is None:
            return
        job = self._job_of(item)
        if job is not None:
            self.app.call_later(self.centre.open_job, job)

    def action_decide(self) -> None:
        if self.refused("decide"):
            return
        left = sum(i.state not in pilot.FINISHED for i in self.items)
        body = text("The decision on going on after the pilot. It is stored with your name.\n")
        if left:
            body.append(f"▲ {left} of {len(self.items)} items are not finished", "warn")
        else:
            body.append("✔ all items are finished", "ok")
        rows = [
            ("GO", text(("✔ GO", "ok"), "      expand the pipeline")),
            ("NO-GO", text(("✘ NO-GO", "bad"), "   stop, or change something first")),
        ]
        self.app.push_screen(Choose("Decide", body, rows), self._decision_chosen)

    def _decision_chosen(self, decision: str | None) -> None:
        if decision is None:
            return

        def store(reason: str | None) -> None:
            if reason:
                word = cast('Literal["GO", "NO-GO"]', decision)
                self.ask(lambda: self.desk.decide(word, reason), self._decided, group="decide")

        word, role = words.verdict(decision)
        body = text("Decision: ", (word, role), "\nWhy? The reason is part of the record.")
        self.app.push_screen(Ask("Decide", body, verb="records the decision"), store)

    def _decided(self, _: None) -> None:
        self.centre.poll_overview()
        self.reload()

    def overview_changed(self) -> None:
        super().overview_changed()
        self.redraw()
