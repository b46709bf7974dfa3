"""Trace: from an answer back to the pairs that may have taught it; and asking, on the same screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, OptionList, Static

from core.errors import QAError
from tui import clean
from tui.bindings import TRACE, Place, bindings
from tui.desk.api_traces import (
    AnswerRow,
    AnswersView,
    CorrectionRow,
    SuspectRow,
    TraceDesk,
    TraceView,
)
from tui.present import trace
from tui.present.words import text
from tui.screens.ask import AskPanes
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Ask, Choose, Confirm, Page
from tui.widgets.correct import Correct, Corrected
from tui.widgets.lists import Row, RowList
from tui.widgets.pane import Pane
from tui.widgets.paste_field import PasteField
from tui.widgets.steady import Steady

ANSWER, SUSPECT, THE_ANSWER = "answer ", "suspect ", "the answer"
TRACING = {"open_row", "give", "choose", "correct", "drop", "queue", "freeze", "ask_mode"}
ASKING = {"give", "choose", "beside", "endpoint", "stop_asking", "ask_mode"}
IN_ASK = {"give": "question", "choose": "who", "ask_mode": "trace"}  # footer words there
PLACEHOLDER = "an id such as v1.2.0/spec-017, a JSON row, or the answer itself"


class TraceScreen(DeskScreen):
    MODE = "trace"
    CSS_PATH = "trace.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(TRACE)

    def __init__(self) -> None:
        super().__init__()
        self.view: AnswersView | None = None
        self.traced: TraceView | None = None
        self.given: tuple[str, str | None] | None = None  # what was traced, for whose version
        self.asking = False
        self.refused_words: dict[str, Corrected] = {}  # pair → what the desk did not take

    @property
    def there(self) -> TraceDesk:
        return self.desk.traces

    @property
    def place(self) -> Place:
        """The keys of what is shown: tracing or asking."""
        whole = super().place
        wanted = ASKING if self.asking else TRACING
        keys = [k for k in whole.keys if k.action in wanted]
        if self.asking:
            keys = [replace(k, label=IN_ASK.get(k.action, k.label)) for k in keys]
        return replace(whole, keys=tuple(keys))

    def body(self) -> ComposeResult:
        yield PasteField(placeholder=PLACEHOLDER, id="given", max_length=1 << 20)
        with Horizontal(id="panes"):
            with Pane(id="found"):
                yield RowList(id="list", empty=trace.READING)
            with Pane(id="about"), VerticalScroll(id="scroll"):
                yield Steady(id="detail")
        yield AskPanes(id="asking")

    def on_mount(self) -> None:
        self.query_one("#about", Pane).title("about it")
        self._draw_titles()
        self.query_one("#list").focus()

    # what is shown

    def reload(self) -> None:
        version = self.view.version if self.view else None
        self.ask(lambda: self.there.answers(version or None), self._answers_came, group="answers")

    def _answers_came(self, view: AnswersView) -> None:
        if view != self.view:
            self.view = view
            if self.traced is None:
                self.redraw()
        self.query_one(AskPanes).offer(view.versions)
        self.keys_changed()

    def redraw(self) -> None:
        self._draw_titles()
        if self.asking:
            self.query_one(AskPanes).redraw()
            return
        self.query_one("#list", RowList).fill(
            self._traced_rows() if self.traced else self._answers()
        )
        self._draw_detail()

    def _draw_titles(self) -> None:
        left = self.query_one("#found", Pane)
        if self.traced is not None:
            n = len(self.traced.suspects)
            left.title(f"{n} suspect pair{'' if n == 1 else 's'}")
            left.subtitle(clean.line(self.traced.snapshot, 60))
        else:
            left.title("stored answers, worst first")
            left.subtitle(clean.line(self.view.version, 60) if self.view else "")

    def _answers(self) -> list[Row]:
        view = self.view
        if view is None:
            return []
        if not view.answers:
            return [(None, lambda width: text(("nothing is stored yet", "dim")))]
        rows: list[Row] = [(None, partial(trace.heading, "Answers", trace.answers_word(view)))]
        rows += [(ANSWER + a.response, partial(trace.answer_row, a)) for a in view.answers]
        return rows

    def _traced_rows(self) -> list[Row]:
        view = self.traced
        assert view is not None
        rows: list[Row] = [(THE_ANSWER, partial(trace.traced_row, view))]
        rows.append((None, partial(trace.heading, "Suspects", "text  entity  question  value")))
        rows += [(name, partial(trace.suspect_row, s)) for name, s in trace.rows_of(view)]
        if not view.suspects:
            rows.append((None, partial(trace.hint, text(("  none", "dim")))))
        return rows

    @property
    def row(self) -> AnswerRow | TraceView | SuspectRow | None:
        chosen = self.query_one("#list", RowList).chosen or ""
        if self.traced is not None:
            found = dict(trace.rows_of(self.traced))
            return found.get(chosen) or (self.traced if chosen == THE_ANSWER else None)
        wanted = chosen.removeprefix(ANSWER)
        answers = self.view.answers if self.view else ()
        return next((a for a in answers if a.response == wanted), None)

    def _draw_detail(self) -> None:
        row = self.row
        width = max(20, (self.query_one("#scroll").size.width or 41) - 1)
        drawn, crumb = text(), ""
        if isinstance(row, AnswerRow):
            drawn, crumb = trace.answer_detail(row, width, "enter"), clean.line(row.response, 60)
        elif isinstance(row, TraceView):
            drawn, crumb = trace.traced_detail(row, width), clean.line(row.response, 60)
        elif isinstance(row, SuspectRow):
            keys = self.key("correct"), self.key("drop")
            writable = not self.centre.read_only and row.queued is None
            drawn = trace.suspect_detail(row, width, keys, writable)
            crumb = clean.line(row.pair_id, 60)
        elif self.view is not None and not self.view.answers:
            drawn = trace.no_answers(self.key("give"), self.key("ask_mode"))
        self.query_one("#detail", Static).update(drawn)
        self.crumb(crumb)

    @on(OptionList.OptionHighlighted, "#list")
    def highlighted(self) -> None:
        self._draw_detail()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        self.keys_changed()

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for a in self.view.answers if self.view else ():
            name = clean.line(a.response, 120)
            yield f"Answer: {name}", clean.line(a.question, 80), partial(self._trace, a.response)

    def jump(self, word: str, name: str) -> None:
        if self.asking != (word == "ask"):
            self.action_ask_mode()
        if self.asking:
            self.query_one(AskPanes).put(name)
        else:
            self._trace(name)

    def why_not(self, action: str) -> str | None:
        row = self.row if not self.asking else None
        if action in ("correct", "drop"):
            if not isinstance(row, SuspectRow):
                return "this is for a suspect pair: trace an answer first"
            if row.queued is not None:
                return f"it is in the queue already, as correction {row.queued}"
        if action == "open_row" and not isinstance(row, AnswerRow):
            return "this is for an answer of the list"
        if action == "choose" and not self.asking and not (self.view and self.view.versions):
            return "no version was evaluated yet"
        if action == "stop_asking" and not self.query_one(AskPanes).busy:
            return "nobody is being asked"
        return super().why_not(action)

    # tracing

    @on(OptionList.OptionSelected, "#list")
    def opened(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if isinstance(row := self.row, AnswerRow):
            self._trace(row.response)

    def action_give(self) -> None:
        self.query_one("#given").focus()

    @on(Input.Submitted, "#given")
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        given = self.query_one("#given", PasteField).text.strip()
        if not given:
            self.notify("there is nothing in it yet", severity="warning", markup=False)
        elif self.asking:
            self.query_one(AskPanes).put(given)
        else:
            self._trace(given)

    def _trace(self, given: str, version: str | None = None) -> None:
        self.given = given, version
        self.query_one("#about", Pane).subtitle("tracing…")
        self.ask(lambda: self.there.trace(given, version), self._traced, group="trace",
                 failed=self._not_traced)  # fmt: skip

    def _traced(self, view: TraceView) -> None:
        self.query_one("#about", Pane).subtitle("")
        first = self.traced is None or self.traced.answer != view.answer
        self.traced = view
        rows = self.query_one("#list", RowList)
        self.redraw()
        if first:
            rows.choose(THE_ANSWER)
        rows.focus()
        self.keys_changed()

    def _not_traced(self, problem: QAError) -> None:
        self.query_one("#about", Pane).subtitle("")
        self.centre.report(problem)

    def go_back(self) -> bool:
        rows = self.query_one("#list", RowList)
        if self.query_one("#given").has_focus:
            (self.query_one(AskPanes).first if self.asking else rows).focus()
            return True
        if self.asking:
            self.action_ask_mode()
            return True
        if self.traced is None:
            return False
        before = self.traced.response
        self.traced = None
        self.redraw()
        rows.choose(ANSWER + before)
        self.keys_changed()
        return True

    def action_choose(self) -> None:
        if self.refused("choose"):
            return
        if self.asking:
            self.query_one(AskPanes).choose("first")
            return
        versions = self.view.versions if self.view else ()
        rows = [(v, text(clean.line(v, 80))) for v in versions]

        def show(version: str | None) -> None:
            if version is not None:
                self.traced = None
                self.ask(lambda: self.there.answers(version), self._answers_came, group="answers")

        body = text("Whose answers are listed, the one evaluated last first.")
        self.app.push_screen(Choose("Whose answers", body, rows), show)

    # corrections

    def action_correct(self) -> None:
        row, view = self.row, self.traced
        if self.refused("correct") or not isinstance(row, SuspectRow) or view is None:
            return
        before = self.refused_words.get(row.pair_id, Corrected(row.answer, ""))
        body = text((clean.line(row.pair_id, 200), "strong"), "\n")
        body.append(clean.line(row.question, 200))
        body.append("\nThe marker stays; the pair is corrected in the next snapshot.", "dim")

        def store(found: Corrected | None) -> None:
            if found is None:
                return
            self.refused_words[row.pair_id] = found  # until the desk has taken it
            self._queue(view, row, found.answer, found.why)

        self.app.push_screen(Correct(body, before.answer, before.why), store)

    def action_drop(self) -> None:
        row, view = self.row, self.traced
        if self.refused("drop") or not isinstance(row, SuspectRow) or view is None:
            return

        def store(why: str | None) -> None:
            if why:
                self._queue(view, row, None, why)

        body = text((clean.line(row.pair_id, 200), "strong"), "\n", clean.line(row.question, 200))
        body.append("\nis left out of the next snapshot. Why?")
        self.app.push_screen(Ask("Drop the pair", body, verb="queues that"), store)

    def _queue(self, view: TraceView, row: SuspectRow, answer: str | None, why: str) -> None:
        self.ask(
            lambda: self.there.correct(view, row.pair_id, answer, why),
            self._queued,
            group="correct",
        )

    def _queued(self, row: CorrectionRow) -> None:
        self.refused_words.pop(row.pair_id, None)
        act = "left out" if row.answer is None else "corrected"
        self.centre.say(f"{row.pair_id} will be {act}: correction {row.id} waits")
        if self.given is not None and self.traced is not None:
            self._trace(*self.given)

    def action_queue(self) -> None:
        self.ask(self.there.corrections, self._queue_came, group="queue")

    def _queue_came(self, found: tuple[CorrectionRow, ...]) -> None:
        width = max(40, min(88, self.app.size.width - 12))
        how = "qa trace corrections dismiss NUMBER --reason … takes one back"
        page = trace.correction_page(found, width, self.key("freeze"), how)
        self.app.push_screen(Page(f"{len(found)} corrections waiting", page))

    def action_freeze(self) -> None:
        if not self.refused("freeze"):
            self.ask(self.there.corrections, self._may_freeze, group="queue")

    def _may_freeze(self, found: tuple[CorrectionRow, ...]) -> None:
        if not found:
            self.notify("no correction is waiting", severity="warning", markup=False)
            return
        name = found[0].snapshot
        mine = [c for c in found if c.snapshot == name]
        body = text("y freezes the snapshot that follows ", (clean.line(name, 80), "strong"))
        body.append(f",\nwith {len(mine)} correction{'' if len(mine) == 1 else 's'} in it.")
        if len(mine) < len(found):
            body.append(f"\n{len(found) - len(mine)} of another snapshot may stay open.", "warn")

        def freeze(yes: bool | None) -> None:
            if yes:
                self.ask(lambda: self.there.next_snapshot(name), self._frozen, group="freeze")

        self.app.push_screen(Confirm("Freeze?", body, verb="freezes", danger=False), freeze)

    def _frozen(self, dataset_version: str) -> None:
        self.centre.say(f"{dataset_version} is frozen; the corrections in it are applied")
        if self.given is not None and self.traced is not None:
            self._trace(*self.given)

    # asking

    def action_ask_mode(self) -> None:
        self.asking = not self.asking
        self.set_class(self.asking, "-asking")
        field, panes = self.query_one("#given", PasteField), self.query_one(AskPanes)
        field.value = ""
        field.placeholder = "a question" if self.asking else PLACEHOLDER
        (field if self.asking else self.query_one("#list")).focus()
        if not self.asking:
            self.crumb("")
        else:
            self.crumb("ask")
            panes.redraw()
        self.redraw()
        self.call_after_refresh(self.redraw)
        self.keys_changed()

    def action_beside(self) -> None:
        if not self.refused("beside"):
            self.query_one(AskPanes).choose("second")

    def action_endpoint(self) -> None:
        if not self.refused("endpoint"):
            self.query_one(AskPanes).ask_endpoint()

    def action_stop_asking(self) -> None:
        if not self.refused("stop_asking"):
            self.query_one(AskPanes).stop()
