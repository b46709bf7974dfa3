"""Evaluate: is the model good enough? Systems side by side, gates, single answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static

from core.errors import QAError
from tui import clean
from tui.bindings import EVALUATE, bindings
from tui.desk.api import VersionRow
from tui.desk.api_opinions import OpinionsView
from tui.present import answers, groups, opinions, scores, words
from tui.present.answers import Question
from tui.present.groups import By, Group
from tui.present.words import field, text
from tui.screens.base import DeskScreen
from tui.screens.evaluate_answer import AnswerPage
from tui.widgets.confirm import Choose, Confirm
from tui.widgets.lists import RowList
from tui.widgets.pane import Pane

HUGE = 160  # from here on the overview stands beside the answer
HIGH = 50  # below this the table gives way to a list of groups


class EvaluateScreen(DeskScreen):
    """The list at the left shows answers, or groups of them: by cause or category. Enter on a group
    lists its questions; esc leads back."""

    MODE = "evaluate"
    CSS_PATH = "evaluate.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(EVALUATE)

    def __init__(self) -> None:
        super().__init__()
        self.version: str | None = None  # None: the newest evaluation
        self.scores: Mapping[str, Any] | None = None
        self.view = OpinionsView()
        self.by: By | None = None
        self.inside: str | None = None  # the key of the group whose questions are listed
        self.everything = False  # right answers are listed too
        self._groups: list[Group] = []
        self._listed: list[Question] = []
        self._asked = False
        self._labels: deque[tuple[str, Question, str]] = deque()  # the first is being stored
        self._stored = 0

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
            with Pane(id="overview"), VerticalScroll(id="overview-scroll"):
                yield Static(id="overview-text")

    def on_mount(self) -> None:
        self.query_one("#systems", Pane).title("systems: per cent and 95 % interval")
        self.query_one("#overview", Pane).title("categories, causes, and what to do")
        self.query_one("#list").focus()
        self.redraw()

    def reload(self) -> None:
        self.ask(lambda: self.desk.scores(self.version), self._scores_came, group="scores")

    def show_version(self, model_version: str | None) -> None:
        self.version = model_version
        self.reload()

    def _scores_came(self, found: Mapping[str, Any] | None) -> None:
        self._asked = True
        name = str(field(found, "version") or "")
        if found is None or found != self.scores:
            if name != str(field(self.scores, "version") or "") or not name:
                self.by = self.inside = None
                self.view = OpinionsView()
            self.scores = found
            self.redraw()
        if name:  # they take longer than the scores, which do not wait for them
            self.ask(lambda: self.desk.opinions.of(name), self._looked, group="opinions")

    def _looked(self, view: OpinionsView) -> None:
        if view != self.view and self.scores is not None:
            self.view = view
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
            scores.table(
                found,
                self.size.width - (4 if self.wide else 2),
                brief=self.by is not None and self.size.height < HIGH,
            )
        )
        # a list of groups has its own figures: on a small screen it takes the table's place
        self.query_one("#systems").display = self.wide or self.by is None
        self.set_class(self.size.width >= HUGE, "-huge")
        self._groups = groups.grouped(found, self.by) if self.by else []
        self._fill()
        room = (self.query_one("#overview-scroll").size.width or 58) - 2
        self.query_one("#overview-text", Static).update(self._overview(found, room, whole=True))
        self.crumb(words.short_version(field(found, "version") or ""))
        self._draw_answer()
        self.keys_changed()

    def _fill(self) -> None:
        found, pane = self.scores, self.query_one("#failures", Pane)
        assert found is not None
        group = self._inside()
        if self.by and group is None:
            self._listed = []
            rows = [(g.key or "-", partial(groups.row, g, self.by)) for g in self._groups]
            n = sum(len(g.failed) for g in self._groups)
            pane.title(f"{n} not right, by {self.by}")
            pane.subtitle("enter opens · esc back")
            self.query_one(RowList).fill(rows)
            return
        self._listed = (
            list(group.failed)
            if group
            else answers.answered(found)
            if self.everything
            else answers.failures(found)
        )
        n = len(self._listed)
        what = "answers" if self.everything and not group else "not right"
        pane.title(f"{group.title}: {n}" if group else f"{n} {what} ({scores.subject(found)})")
        key = self.key
        pane.subtitle("esc back" if group else f"{key('causes')} why · {key('all')} all")
        self.query_one(RowList).fill(
            [
                (str(n), partial(answers.row, q, opinions.label_of(self.view, q)))
                for n, q in enumerate(self._listed)
            ]
        )

    def _inside(self) -> Group | None:
        return next((g for g in self._groups if g.key == self.inside), None) if self.by else None

    def _overview(self, found: Mapping[str, Any], room: int, *, whole: bool) -> Text:
        """whole: categories and causes too, not only what to do and what others think."""
        why = scores.causes(found, room) if whole else None
        parts = [scores.categories(found, room)] if whole else []
        parts += [why] if why is not None else []
        todo = scores.actions(found)
        parts += [todo] if todo.plain else []
        said = opinions.agreement(self.view.agreement, room)
        parts += [Text.assemble(("second opinions\n", "dim"), said)] if said is not None else []
        return Text("\n\n").join(parts)

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

    def _question(self) -> Question | None:
        chosen = self.query_one(RowList).chosen
        if chosen is None or not chosen.isdigit() or int(chosen) >= len(self._listed):
            return None
        return self._listed[int(chosen)]

    def _group(self) -> Group | None:
        """The highlighted one."""
        if self.by is None or self._inside() is not None:
            return None
        chosen = self.query_one(RowList).chosen
        return next((g for g in self._groups if (g.key or "-") == chosen), None)

    def _draw_answer(self) -> None:
        found, pane = self.scores, self.query_one("#answer", Pane)
        group, question = self._group(), self._question()
        shown = text(("nothing to show", "dim"))
        pane.title("answer")
        if found is not None and group is not None and self.by:
            room = self.query_one("#answer-scroll").size.width or 44
            pane.title(self.by)
            shown = groups.page(found, group, self.by, room - 1)
            if self.by == "category" and self.size.width < HUGE:
                rest = self._overview(found, room - 1, whole=False)
                shown = Text("\n\n").join([shown, rest] if rest.plain else [shown])
        elif question is not None:
            shown = answers.answer(question, opinions.told(self.view, question))
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
        shown = ("open_answer", "causes", "categories", "all", "trace", "flips", "report")
        if action in shown and self.scores is None:
            return "no evaluation is shown"
        if action == "all" and self.by:
            return "that is of the plain list; esc leads back to it"
        if action == "trace" and self._question() is None:
            return "no answer is highlighted"
        if action == "trace" and not field(self.scores, "version"):
            return "the answer is of no registered version"
        if action == "evaluate":
            if not field(self.scores, "version") and self.version is None:
                return "no version to evaluate: train one first, then choose it on screen 6"
            return self.no_route()
        return None

    def action_open_answer(self) -> None:
        if self.refused("open_answer"):
            return
        group, question = self._group(), self._question()
        if group is not None:
            if not group.failed:
                self.notify(f"{group.title}: none", markup=False, timeout=3)
                return
            self.inside = group.key
            self._regrouped()
        elif question is not None:
            version = str(field(self.scores, "version") or "")
            at = self._listed.index(question)
            page = AnswerPage(version, self._listed, at, self.view, self.give_label)
            self.app.push_screen(page, self._left_at)

    def give_label(self, version: str, question: Question, label: str) -> None:
        """Store a label once those before it are: the newest one counts, so their order matters."""
        self._labels.append((version, question, label))
        if len(self._labels) == 1:
            self._store_label()

    def _store_label(self) -> None:
        version, question, label = self._labels[0]
        there = self.desk.opinions
        name, system = str(question.get("id")), str(question.get("system"))
        answer = str(question.get("answer") or "")  # what was read, not what is newest by then

        def give() -> OpinionsView:
            there.label(version, name, label, system, answer)
            return there.of(version)

        # a group of its own: nothing that is asked later may replace a write
        self._stored += 1
        group, then = f"label-{self._stored}", partial(self._labelled, version)
        self.ask(give, then, group=group, failed=self._not_labelled)

    def _labelled(self, version: str, view: OpinionsView) -> None:
        if version == str(field(self.scores, "version") or ""):
            self._looked(view)
        for page in self.app.screen_stack:
            if isinstance(page, AnswerPage) and page.version == version:
                page.looked(view)
        self._next_label()

    def _not_labelled(self, problem: QAError) -> None:
        self._next_label()
        self.centre.report(problem)

    def _next_label(self) -> None:
        self._labels.popleft()
        if self._labels:
            self._store_label()

    def _left_at(self, at: int | None) -> None:
        if at is not None:
            self.query_one(RowList).choose(str(at))

    def action_causes(self) -> None:
        self._group_by("causes", "cause")

    def action_categories(self) -> None:
        self._group_by("categories", "category")

    def _group_by(self, action: str, by: By) -> None:
        if not self.refused(action):
            self.by = None if self.by == by and self.inside is None else by
            self.inside = None
            self._regrouped()

    def _regrouped(self, choose: str | None = None) -> None:
        rows = self.query_one(RowList)
        rows.choose(None)
        self.redraw()
        rows.choose(choose)
        self.call_after_refresh(self.redraw)  # the panes have their new sizes

    def action_all(self) -> None:
        if not self.refused("all"):
            self.everything = not self.everything
            self._regrouped()

    def action_trace(self) -> None:
        question = self._question()
        if not self.refused("trace") and question is not None:
            name = "/".join(
                str(part)
                for part in (field(self.scores, "version"), question["id"], question["system"])
            )
            self.app.call_later(self.centre.jump, "trace", "trace", name)

    def go_back(self) -> bool:
        if self.by is None:
            return False
        inside, self.inside = self.inside, None
        if inside is None:
            self.by = None
        self._regrouped(inside)
        return True

    def action_flips(self) -> None:
        found = self.scores
        if self.refused("flips") or found is None:
            return

        def look() -> Mapping[str, Any]:
            from tui.desk.report_page import flips_of

            return flips_of(self.desk, found)

        self.ask(look, self._flips_came, group="flips")

    def _flips_came(self, flips: Mapping[str, Any]) -> None:
        from tui.screens.evaluate_flips import FlipsScreen

        self.app.push_screen(FlipsScreen(flips))

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
