"""Versions: what exists, what is live where; promote and roll back, with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from tui.bindings import VERSIONS, bindings
from tui.desk.api import VersionRow
from tui.desk.paged import Listed
from tui.present import versions, words
from tui.present.versions import ENVIRONMENTS
from tui.present.words import text
from tui.screens import version_acts, version_switch
from tui.screens.base import DeskScreen
from tui.screens.evaluate import confirm_evaluation
from tui.widgets.pane import Pane
from tui.widgets.pull_table import Order, PullTable
from tui.widgets.steady import Steady

LATE_S = 0.15  # a detail that comes sooner takes the place of the one before: nothing flickers
Reasons = dict[str, str | None]


class VersionsScreen(DeskScreen):
    MODE = "versions"
    CSS_PATH = "versions.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(VERSIONS)

    def __init__(self) -> None:
        super().__init__()
        self.live: Mapping[str, str] = {}  # environment → the version live there
        self.events: Sequence[Mapping[str, Any]] = ()
        self._detail: Mapping[str, Any] = {}
        self._reasons: Reasons = {}
        self.returns: Reasons = {}  # environment → why no return is possible there, None if it is
        self._asked = False
        self._to_promote = ""  # as soon as it is under the cursor
        self._late: Timer | None = None

    def body(self) -> ComposeResult:
        yield Static(id="empty")
        with Pane(id="list"):
            yield PullTable(
                versions.COLUMNS,
                order=Order("version", descending=True),
                empty="No version holds these words.",
                id="table",
            )
        with Horizontal(id="panes"):
            with Pane(id="detail"), VerticalScroll(id="detail-scroll"):
                yield Steady(id="detail-text")
            with Pane(id="history"), VerticalScroll(id="history-scroll"):
                yield Steady(id="history-text")

    def on_mount(self) -> None:
        self.query_one("#list", Pane).title("versions")
        self.query_one("#history", Pane).title("history")
        self.table.show(Listed(lambda: self.desk.lists, "versions", "model_version"))
        self.table.focus()
        self.set_interval(3.0, self._poll)
        self.redraw()

    @property
    def table(self) -> PullTable[VersionRow]:
        return self.query_one(PullTable)

    @property
    def marked(self) -> tuple[str, ...]:
        return self.table.marks

    # what is shown

    def reload(self) -> None:
        self.table.reload()
        self.ask(self._read, self._came, group="versions")

    def _poll(self) -> None:
        if self.in_sight:
            self.ask(self._read, self._came, group="versions-poll", poll=True)

    def _read(self) -> tuple[Mapping[str, str], list[Mapping[str, Any]], Reasons]:
        live = self.desk.lists.live()
        returns = {e: self.desk.why_not_return(e) for e in ENVIRONMENTS if e in live}
        return live, [versions.as_row(r) for r in self.desk.history()], returns

    def _came(self, found: tuple[Mapping[str, str], Sequence[Mapping[str, Any]], Reasons]) -> None:
        live, events, returns = found
        changed = (live, list(events)) != (self.live, list(self.events))
        self.live, self.events = live, events
        if returns != self.returns:
            self.returns = returns
            self.keys_changed()
        if changed or not self._asked:
            self._asked = True
            self.redraw()
            self.call_after_refresh(self.redraw)  # panes may have come into sight just now
            self._ask_detail()

    @on(PullTable.Told)
    def told(self) -> None:
        table = self.table
        self.query_one("#list", Pane).subtitle(table.state)
        empty = table.total == 0 and not table.text
        if empty != self.query_one("#empty").display:
            self.redraw()
            self.call_after_refresh(self.redraw)  # now the panes have their widths
        self.keys_changed()

    def redraw(self) -> None:
        table = self.table
        empty = not table.total and not table.text
        self.query_one("#empty").display = empty
        for name in ("#list", "#panes"):
            self.query_one(name).display = not empty
        if empty:
            self.query_one("#empty", Static).update(self._empty())
            return
        table.rows.forget(widths=False)
        if not table.rows.has_focus and self.focused is None:
            table.focus()
        self.query_one("#history-text", Static).update(
            versions.history(self.events, self._history_width)
        )
        self._draw_detail()
        self.keys_changed()

    @property
    def _history_width(self) -> int:
        return (self.query_one("#history-scroll").size.width or 41) - 1

    def _empty(self) -> Text:
        if self.table.total is None:
            return text(("Reading the registry…", "dim"))
        return text(
            ("No version yet.\n\n", "strong"),
            "A version is registered when a trained model has been evaluated:\nwork down the Pilot"
            " checklist (",
            ("1", "key"),
            "), or start a training job on screen ",
            ("3", "key"),
            ".",
        )

    @property
    def version(self) -> VersionRow | None:
        return self.table.row

    @on(PullTable.RowHighlighted)
    def highlighted(self) -> None:
        self._ask_detail()
        self._draw_detail()
        version = self.version
        wanted, self._to_promote = self._to_promote, ""  # another row: it is not there
        if version is not None and version.model_version == wanted:
            self.action_promote()

    def jump(self, word: str, name: str) -> None:
        if word == "at":
            version_acts.show_moment(self, name)
        elif word == "promote" and self.table.chosen == name:
            self.action_promote()
        else:
            self._to_promote = name if word == "promote" else ""
            self.table.go_to_key(name)

    def _ask_detail(self) -> None:
        version = self.version
        if version is None:
            return
        name = version.model_version

        def read() -> tuple[str, Mapping[str, Any], Reasons]:
            reasons = {e: self.desk.why_not_promote(name, e) for e in ENVIRONMENTS}
            return name, self.desk.version_detail(name), reasons

        self.ask(read, self._detail_came, group="detail")

    def _detail_came(self, found: tuple[str, Mapping[str, Any], Reasons]) -> None:
        name, detail, reasons = found
        version = self.version
        if version is not None and version.model_version == name:
            other = self._detail.get("model_version") != detail.get("model_version")
            self._detail, self._reasons = detail, reasons
            self._draw_detail()
            self.keys_changed()
            if other:
                self.query_one("#detail-scroll", VerticalScroll).scroll_home(animate=False)

    def _draw_detail(self) -> None:
        version = self.version
        if version is None:
            return
        if self._detail.get("model_version") == version.model_version:
            self._write_detail()
        elif self._late is None:
            self._late = self.set_timer(LATE_S, self._write_detail)
        self.crumb(words.short_version(version.model_version))

    def _write_detail(self) -> None:
        """Name and detail together: neither stands beside another version's."""
        if self._late is not None:
            self._late.stop()
            self._late = None
        version, scroll = self.version, self.query_one("#detail-scroll")
        if version is None:
            return
        pane = self.query_one("#detail", Pane)
        name = words.short_version(version.model_version)
        production = "production" in version.live_in
        pane.set_class(production, "-production")
        pane.title(text((name, "strong"), (" ● live in production", "warn") if production else ""))
        here = self._detail.get("model_version") == version.model_version
        self.query_one("#detail-text", Steady).update(
            versions.detail(self._detail, self._reasons, (scroll.size.width or 61) - 1)
            if here
            else text(("…", "dim"))
        )

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for v in self.table.rows.window.rows():
            call = partial(self.table.go_to_key, v.model_version)
            yield f"Version: {v.model_version}", ", ".join(v.live_in) or v.status, call

    def why_not(self, action: str) -> str | None:
        version = self.version
        if version is None:
            return "there is no version yet"
        if action == "evaluate":
            return self.no_route()
        if action == "roll_back" and not self.live:
            return "nothing is live, so there is nothing to roll back"
        if action == "return_live":
            return self._why_no_return()
        return None

    def _why_no_return(self) -> str | None:
        if None in self.returns.values():
            return None
        return next(
            iter(self.returns.values()), "nothing is live, so there is nothing to return to"
        )

    def live_in(self, environment: str) -> str | None:
        return self.live.get(environment)

    # acts

    def action_promote(self) -> None:
        version = self.version
        if not self.refused("promote") and version is not None:
            version_switch.promote(self, version)

    def action_roll_back(self) -> None:
        if not self.refused("roll_back"):
            version_switch.roll_back(self)

    def done(self, message: str) -> None:
        self.centre.say(message, title="Done")
        self.centre.poll_overview()
        self.reload()

    # the rest

    @on(PullTable.RowSelected)
    def selected(self) -> None:
        self.action_open_scores()

    def action_open_scores(self) -> None:
        version = self.version
        if not self.refused("open_scores") and version is not None:
            self.app.call_later(self.centre.open_scores, version.model_version)

    def action_evaluate(self) -> None:
        version = self.version
        if not self.refused("evaluate") and version is not None:
            confirm_evaluation(self, version.model_version)

    def action_return_live(self) -> None:
        if not self.refused("return_live"):
            version_acts.return_(self)

    def action_approve(self) -> None:
        version = self.version
        if not self.refused("approve") and version is not None:
            version_acts.approve(self, version.model_version)

    def action_mark(self) -> None:
        version = self.version
        if self.refused("mark") or version is None:
            return
        table, name = self.table, version.model_version
        others = [m for m in self.marked if m != name]
        if len(self.marked) == 2:
            self._compare(*self.marked)
        elif name in self.marked:
            table.mark(name, False)
        elif others:
            self._compare(others[-1], name)
        else:
            table.mark(name)
            self.notify("m on another version compares the two", markup=False, timeout=3)

    def _compare(self, a: str, b: str) -> None:
        self.table.unmark_all()
        version_acts.compare(self, a, b)

    def action_look_back(self) -> None:
        version_acts.look_back(self)

    def action_card(self) -> None:
        version = self.version
        if not self.refused("card") and version is not None:
            version_acts.read_card(self, version.model_version)

    def action_trail(self) -> None:
        version = self.version
        if not self.refused("trail") and version is not None:
            version_acts.read_trail(self, version.model_version)

    def action_history(self) -> None:
        self.toggle_class("-history")
        self.call_after_refresh(self.redraw)

    def go_back(self) -> bool:
        if self.has_class("-history"):
            self.remove_class("-history")
            return True
        if self.marked:
            self.table.unmark_all()
            return True
        return False
