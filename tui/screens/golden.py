"""The golden set: every question, its labels, and an editor. Opened from Evaluate."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static, TextArea

from core.errors import QAError
from tui import clean
from tui.asking import Asks
from tui.bindings import GOLDEN, bindings
from tui.desk.api_questions import CheckRow, GoldenView, QuestionRow, QuestionsDesk
from tui.present import frame, golden
from tui.present.words import text
from tui.widgets.confirm import Confirm, Page
from tui.widgets.lists import Row, RowList
from tui.widgets.pane import Pane
from tui.widgets.steady import Steady

if TYPE_CHECKING:
    from tui.app import ControlCentre

HINT = "e edit · a add · d remove · c check · / find · esc closes"


class GoldenScreen(Asks, ModalScreen[None]):
    """Left the questions by category, right the highlighted one in full."""

    CSS_PATH = "golden.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(GOLDEN)

    def __init__(self) -> None:
        super().__init__()
        self.view: GoldenView | None = None

    @property
    def centre(self) -> ControlCentre:
        return self.app  # type: ignore[return-value]

    @property
    def there(self) -> QuestionsDesk:
        return self.centre.desk.questions

    def compose(self) -> ComposeResult:
        with Vertical(id="golden-box"), Horizontal(id="panes"):
            with Pane(id="questions"):
                yield RowList(id="list", empty="The golden set is loading…")
            with Pane(id="question"), VerticalScroll(id="scroll"):
                yield Steady(id="detail")

    def on_mount(self) -> None:
        self.query_one("#questions", Pane).title("golden set")
        self.query_one("#question", Pane).title("question")
        self.query_one("#question", Pane).subtitle(HINT)
        self.query_one("#list").focus()
        self.reload()

    def reload(self, choose: str | None = None) -> None:
        self.ask(self.there.listed, partial(self._came, choose), group="golden")

    def _came(self, choose: str | None, view: GoldenView) -> None:
        self.view = view
        self._draw()
        if choose:
            self.query_one(RowList).choose(choose)

    def _draw(self) -> None:
        view = self.view
        if view is None:
            return
        asked_for = {name: n for name, _, n in view.counts}
        rows: list[Row] = []
        order = list(asked_for)
        place = lambda r: order.index(r.category) if r.category in order else len(order)  # noqa: E731
        for name, part in groupby(sorted(view.rows, key=place), key=lambda r: r.category):
            mine = list(part)
            rows.append(
                (None, partial(golden.category_row, name, len(mine), asked_for.get(name, 0)))
            )
            rows += [(r.id, partial(golden.question_row, r)) for r in mine]
        self.query_one(RowList).fill(rows)
        self.query_one("#questions", Pane).subtitle(golden.summary(view))
        self._draw_detail()

    @property
    def row(self) -> QuestionRow | None:
        chosen = self.query_one(RowList).chosen
        return next((r for r in self.view.rows if r.id == chosen), None) if self.view else None

    def _draw_detail(self) -> None:
        row, width = self.row, (self.query_one("#scroll").size.width or 41) - 1
        drawn = golden.detail(row, width) if row else text()
        self.query_one("#detail", Static).update(drawn)

    def on_resize(self) -> None:
        self.set_class(self.app.size.width < 100, "-narrow")
        self.call_after_refresh(self._draw_detail)

    @on(OptionList.OptionHighlighted, "#list")
    def highlighted(self) -> None:
        self._draw_detail()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)

    def action_leave(self) -> None:
        self.dismiss()

    # editing

    def _locked(self) -> bool:
        if self.centre.read_only:
            self.notify("read-only mode: nothing is changed", severity="warning", markup=False)
        return self.centre.read_only

    @on(OptionList.OptionSelected, "#list")
    def action_edit(self) -> None:
        row = self.row
        if row is None or self._locked():
            return
        self.ask(
            lambda: self.there.text(row.id),
            lambda said: self._edit(f"Edit {clean.line(row.id, 40)}", said, row.file, row.id),
            group="edit",
        )

    def action_add(self) -> None:
        view, row = self.view, self.row
        if view is None or self._locked():
            return
        category = row.category if row else view.counts[0][0]
        file = row.file if row else view.files[0]
        self.ask(
            lambda: self.there.blank(category),
            lambda said: self._edit(f"New question: {category}", said, file),
            group="edit",
        )

    def _edit(self, title: str, said: str, file: str, was: str = "") -> None:
        def stored(question_id: str | None) -> None:
            if question_id:
                self.centre.say(f"{question_id} is stored in {file}")
                self.reload(question_id)

        self.app.push_screen(GoldenEditor(title, said, file, was), stored)

    def action_remove(self) -> None:
        row = self.row
        if row is None or self._locked():
            return

        def remove(yes: bool | None) -> None:
            if yes:
                self.ask(lambda: self.there.remove(row.id), lambda _: self.reload(), group="remove")

        body = text(
            (clean.line(row.id, 40), "strong"),
            f"\n{clean.line(row.question, 300)}\n\nEvaluations from now on have another golden "
            "version, and are not compared with earlier ones on this question.",
        )
        self.app.push_screen(Confirm("Remove the question?", body, verb="removes it"), remove)

    def action_check(self) -> None:
        self.centre.say("checking labels, wordings and the newest snapshot…")
        self.ask(self.there.check, self._checked, group="check")

    def _checked(self, rows: tuple[CheckRow, ...]) -> None:
        width = max(40, min(110, self.app.size.width - 12))
        self.app.push_screen(Page("Check of the golden set", golden.checks(rows, width)))


class GoldenEditor(Asks, ModalScreen[str]):
    """One question as JSON; stored only when every label is right. Answers with its id."""

    CSS_PATH = "golden.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+s", "save"), ("escape", "leave")]  # type: ignore[list-item]

    def __init__(self, title: str, said: str, file: str, was: str) -> None:
        """was: the item that is edited, "" for a new one."""
        super().__init__()
        self._title, self._said, self._file, self._was = title, said, file, was

    def compose(self) -> ComposeResult:
        with Pane(id="editor-box"):
            yield TextArea(self._said, soft_wrap=True, show_line_numbers=True, id="editor")
            with VerticalScroll(id="faults-scroll"):
                yield Static(id="faults")

    def on_mount(self) -> None:
        pane = self.query_one(Pane)
        pane.title(self._title)
        pane.subtitle("ctrl+s stores · esc leaves it as it was")
        self.query_one(TextArea).focus()

    def action_save(self) -> None:
        said = self.query_one(TextArea).text
        there = self.app.desk.questions  # type: ignore[attr-defined]
        self.ask(
            lambda: there.save(said, self._file, self._was),
            self.dismiss,
            group="save",
            failed=self._refused,
        )

    def _refused(self, problem: QAError) -> None:
        self.query_one("#faults", Static).update(frame.error(problem))
        self.add_class("-faulty")

    def action_leave(self) -> None:
        if self.query_one(TextArea).text == self._said:
            self.dismiss(None)
            return

        def leave(yes: bool | None) -> None:
            if yes:
                self.dismiss(None)

        body = text("What you changed is not stored.")
        self.app.push_screen(Confirm("Leave it as it was?", body, verb="leaves"), leave)
