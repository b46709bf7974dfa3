"""Evaluate: is the model good enough? Systems side by side, gates, single answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static

from tui import clean
from tui.bindings import EVALUATE, bindings
from tui.desk.api import VersionRow
from tui.present import comparing, scores, words
from tui.present.words import field, text
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Choose, Confirm, Page
from tui.widgets.lists import RowList
from tui.widgets.pane import Pane


class EvaluateScreen(DeskScreen):
    MODE = "evaluate"
    CSS_PATH = "evaluate.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(EVALUATE)

    def __init__(self) -> None:
        super().__init__()
        self.version: str | None = None  # None: the newest evaluation
        self.scores: Mapping[str, Any] | None = None
        self.failures: list[Mapping[str, Any]] = []
        self._asked = False

    def body(self) -> ComposeResult:
        yield Static(id="headline")
        yield Static(id="probe")
        with Pane(id="systems"):
            yield Static(id="table")
        with Horizontal(id="panes"):
            with Pane(id="failures"):
                yield RowList(id="list", empty="none: every answer was right")
            with Pane(id="answer"), VerticalScroll(id="answer-scroll"):
                yield Static(id="answer-text")
            with Pane(id="categories"), VerticalScroll(id="categories-scroll"):
                yield Static(id="categories-text")

    def on_mount(self) -> None:
        self.query_one("#systems", Pane).title("systems: per cent and 95 % interval")
        self.query_one("#systems", Pane).subtitle("c: categories, and what to do")
        self.query_one("#answer", Pane).title("answer")
        self.query_one("#categories", Pane).title("categories, and what to do")
        self.query_one("#list").focus()
        self.redraw()

    def reload(self) -> None:
        self.ask(lambda: self.desk.scores(self.version), self._scores_came, group="scores")

    def show_version(self, model_version: str | None) -> None:
        self.version = model_version
        self.reload()

    def _scores_came(self, found: Mapping[str, Any] | None) -> None:
        self._asked = True
        if found == self.scores and found is not None:
            return
        self.scores = found
        self.failures = scores.failures(found) if found else []
        self.redraw()

    def redraw(self) -> None:
        found = self.scores
        for name in ("#systems", "#panes"):
            self.query_one(name).display = found is not None
        line, probe = self.query_one("#headline", Static), self.query_one("#probe", Static)
        if found is None:
            probe.display = False
            line.update(self._empty())
            self.crumb("")
            return
        width = max(40, self.size.width - 4)
        line.update(scores.headline(found, width))
        loud = scores.sentences(found, 4 if self.wide else 1)
        probe.display = loud is not None
        if loud is not None:
            probe.update(loud)
        self.query_one("#table", Static).update(
            scores.table(found, self.size.width - (4 if self.wide else 2))
        )
        self.query_one(RowList).fill(
            [(str(n), partial(scores.failure_row, q)) for n, q in enumerate(self.failures)]
        )
        judged = scores.subject(found)
        self.query_one("#failures", Pane).title(f"{len(self.failures)} not right ({judged})")
        room = self.query_one("#categories-scroll").size.width or 44
        todo = scores.actions(found)
        page = scores.categories(found, room)
        why = scores.causes(found, room)
        if why is not None:
            page.append("\n\n")
            page.append_text(why)
        if todo.plain:
            page.append("\n\n")
            page.append_text(todo)
        self.query_one("#categories-text", Static).update(page)
        self.crumb(words.short_version(field(found, "version") or ""))
        self._draw_answer()
        self.keys_changed()

    def _empty(self) -> Text:
        if not self._asked:
            return text(("Looking for the newest evaluation…", "dim"))
        which = f" of {clean.line(self.version, 60)}" if self.version else ""
        return text(
            (f"\nNo evaluation{which} yet.\n\n", "strong"),
            "First run “Run qa-eval on trained model” on the Pilot screen (",
            ("1", "key"),
            "),\nor choose a version on the Versions screen (",
            ("6", "key"),
            ") and press ",
            ("e", "key"),
            ".\nThis page then shows base, retrieval and tuned model side by side.",
        )

    def _question(self) -> Mapping[str, Any] | None:
        chosen = self.query_one(RowList).chosen
        return self.failures[int(chosen)] if chosen is not None else None

    def _draw_answer(self) -> None:
        question = self._question()
        shown = scores.answer(question) if question else text(("nothing to show", "dim"))
        self.query_one("#answer-text", Static).update(shown)

    @on(OptionList.OptionHighlighted, "#list")
    def highlighted(self) -> None:
        self._draw_answer()
        self.query_one("#answer-scroll", VerticalScroll).scroll_home(animate=False)

    @on(OptionList.OptionSelected, "#list")
    def selected(self) -> None:
        self.action_open_answer()

    # keys

    def why_not(self, action: str) -> str | None:
        if action in ("open_answer", "categories", "flips", "report") and self.scores is None:
            return "no evaluation is shown"
        if action == "evaluate":
            if not field(self.scores, "version") and self.version is None:
                return "no version to evaluate: train one first, then choose it on screen 6"
            return self.no_route()
        return None

    def action_open_answer(self) -> None:
        question = self._question()
        if not self.refused("open_answer") and question is not None:
            self.app.push_screen(Page("Answer", scores.answer(question)))

    def action_categories(self) -> None:
        if not self.refused("categories"):
            self.toggle_class("-categories")

    def action_flips(self) -> None:
        found = self.scores
        if self.refused("flips") or found is None:
            return

        def look() -> Mapping[str, Any]:
            from tui.desk.report_page import flips_of

            return flips_of(self.desk, found)

        self.ask(look, self._flips_came, group="flips")

    def _flips_came(self, flips: Mapping[str, Any]) -> None:
        names = " → ".join(words.short_version(field(flips, k) or "–") for k in ("a", "b"))
        self.app.push_screen(Page(f"Flips: {names}", comparing.answers(flips)))

    def action_report(self) -> None:
        found = self.scores
        if self.refused("report") or found is None:
            return

        version = str(field(found, "version") or "")

        def write() -> str:
            from tui.desk.report_page import markdown_of

            return self.desk.report(version) if version else markdown_of(self.desk, found)

        self.ask(write, self._report_came, group="report")

    def _report_came(self, page: str) -> None:
        from tui.widgets.markdown_page import MarkdownPage

        self.app.push_screen(MarkdownPage("Report", page))

    def action_golden(self) -> None:
        from tui.screens.golden import GoldenScreen

        self.app.push_screen(GoldenScreen())

    def go_back(self) -> bool:
        if self.has_class("-categories"):
            self.remove_class("-categories")
            return True
        return False

    def action_choose_version(self) -> None:
        self.ask(lambda: list(self.desk.versions()), self._choose, group="versions")

    def _choose(self, versions: Sequence[VersionRow]) -> None:
        if not versions:
            self.notify("no version is registered yet", severity="warning", markup=False)
            return
        rows = []
        for v in versions:
            word, role = words.verdict(v.verdict)
            name = clean.line(v.model_version, 40)
            rows.append((v.model_version, text(f"{name:<26}", (f"{word:<14}", role))))
        body = text("Whose newest evaluation?")
        self.app.push_screen(
            Choose("Version", body, rows), lambda name: self.show_version(name) if name else None
        )

    def action_evaluate(self) -> None:
        if not self.refused("evaluate"):
            confirm_evaluation(self, self.version or str(field(self.scores, "version")))


def confirm_evaluation(screen: DeskScreen, model_version: str) -> None:
    """Ask, then start an evaluation job and show it."""
    body = text(
        "Base, retrieval and ",
        (clean.line(model_version, 60), "strong"),
        f" answer the golden set on {clean.line(screen.desk.host_name, 40)}. ",
        ("It holds the accelerator until it ends and goes on without this app.", "dim"),
    )

    def start(yes: bool | None) -> None:
        if yes:
            call = lambda: screen.desk.start_evaluation(model_version)  # noqa: E731
            opened = partial(screen.app.call_later, screen.centre.open_job)
            screen.ask(call, opened, group="start")

    dialog = Confirm("Start an evaluation?", body, verb="starts it", danger=False)
    screen.app.push_screen(dialog, start)
