"""Sources: what a marker may point to, and what answers cited that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from tui import clean
from tui.bindings import SOURCES, bindings
from tui.desk.api import SourceRow, UnknownRow
from tui.desk.api_lists import ExampleRow
from tui.desk.paged import Listed
from tui.present import sources
from tui.present.words import text
from tui.screens.alias import AliasDialog
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Ask
from tui.widgets.login import Questions
from tui.widgets.pane import Pane
from tui.widgets.pull_table import Order, PullTable
from tui.widgets.steady import Steady


class SourcesScreen(DeskScreen):
    MODE = "sources"
    CSS_PATH = "sources.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(SOURCES)

    def __init__(self) -> None:
        super().__init__()
        self._examples: tuple[str, Sequence[ExampleRow]] = ("", ())  # of which id
        self._looked = False  # whether there are unknown ids is known

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Vertical(id="lists"):
                with Pane(id="unknown"):
                    yield PullTable(
                        sources.UNKNOWN,
                        order=Order("cited", descending=True),
                        empty="No unknown source holds these words.",
                        marks=False,
                        id="unknown-table",
                    )
                with Pane(id="known"):
                    yield PullTable(
                        sources.KNOWN,
                        order=Order("id"),
                        empty=sources.EMPTY,
                        marks=False,
                        id="known-table",
                    )
            with Pane(id="source"), VerticalScroll(id="scroll"):
                yield Steady(id="detail")

    def on_mount(self) -> None:
        self.query_one("#unknown", Pane).title("unknown")
        self.query_one("#known", Pane).title("known")
        self.query_one("#source", Pane).title("source")
        self.query_one("#unknown").display = False  # until there is one
        self.unknown.show(Listed(lambda: self.desk.lists, "unknown", "source_id"))
        self.known.show(Listed(lambda: self.desk.lists, "sources", "source_id"))
        self.known.focus()

    @property
    def unknown(self) -> PullTable[UnknownRow]:
        return self.query_one("#unknown-table", PullTable)

    @property
    def known(self) -> PullTable[SourceRow]:
        return self.query_one("#known-table", PullTable)

    @property
    def table(self) -> PullTable[Any]:
        """The list that is worked in."""
        return self.unknown if self.has_class("-unknown") else self.known

    # what is shown

    def reload(self) -> None:
        self.unknown.reload()
        self.known.reload()

    @on(PullTable.Told)
    def told(self, event: PullTable.Told) -> None:
        table = event.table
        pane = table.parent
        if isinstance(pane, Pane):
            pane.subtitle(table.state)
        if table is self.unknown:
            self._unknown_told()
        self.keys_changed()

    def _unknown_told(self) -> None:
        """Unknown ids come first, and go when the last one is settled.

        They have the focus where they are there from the start; those that arrive later, while somebody
        reads or types, do not take it.
        """
        pane, table = self.query_one("#unknown", Pane), self.unknown
        there = bool(table.total or table.text)
        first = not self._looked and not self.known.touched
        self._looked = self._looked or table.total is not None
        if there == pane.display:
            return
        was_here = table.has_focus_within
        pane.display = there
        if there and first:
            self.add_class("-unknown")
            table.focus()
        elif not there:
            self.remove_class("-unknown")
            if was_here:
                self.known.focus()
        self._draw_detail()

    def on_descendant_focus(self) -> None:
        """The list that has the focus gets the room, and is what the keys are about."""
        if self.known.has_focus_within or self.unknown.has_focus_within:
            self.set_class(self.unknown.has_focus_within, "-unknown")
            self._look()

    def redraw(self) -> None:
        for table in (self.unknown, self.known):
            table.rows.forget(widths=False)
        self._draw_detail()

    @property
    def row(self) -> UnknownRow | SourceRow | None:
        found: UnknownRow | SourceRow | None = self.table.row
        return found

    def _draw_detail(self) -> None:
        row = self.row
        width = (self.query_one("#scroll").size.width or 41) - 1
        drawn = text()
        if isinstance(row, UnknownRow):
            of, examples = self._examples
            drawn = sources.unknown_detail(row, width, examples if of == row.source_id else ())
        elif row is not None:
            drawn = sources.known_detail(row, width)
        self.query_one("#detail", Static).update(drawn)
        self.crumb(clean.line(row.source_id, 60) if row else "")

    @on(PullTable.RowHighlighted)
    def highlighted(self, event: PullTable.RowHighlighted) -> None:
        if event.table is self.table:
            self._look()

    def _look(self) -> None:
        """Show the highlighted row; the answers that cite an unknown one follow."""
        self._draw_detail()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        self.keys_changed()
        row = self.row
        if not isinstance(row, UnknownRow) or self._examples[0] == row.source_id:
            return
        name = row.source_id

        def came(found: Sequence[ExampleRow]) -> None:
            self._examples = (name, found)
            self._draw_detail()

        self.ask(lambda: self.desk.lists.examples(name), came, group="examples")

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for u in self.unknown.rows.window.rows():
            call = partial(self._go_to_unknown, u.source_id)
            yield f"Unknown source: {clean.line(u.source_id, 120)}", "", call

    def _go_to_unknown(self, source_id: str) -> None:
        self.unknown.focus()
        self.unknown.go_to_key(source_id)

    def jump(self, word: str, name: str) -> None:
        self.known.focus()
        self.known.look_for(name)

    def why_not(self, action: str) -> str | None:
        row = self.row
        if action in ("resolve", "alias", "drop_source") and not isinstance(row, UnknownRow):
            if self.unknown.total:
                return "this is for unknown sources: tab goes to them"
            return "this is for unknown sources, and there is none"
        if action == "open_url" and not self._url(row):
            return "it has no http or https address"
        return None

    @staticmethod
    def _url(row: UnknownRow | SourceRow | None) -> str:
        if row is None:
            return ""
        return row.proposed_url if isinstance(row, UnknownRow) else row.link

    def go_back(self) -> bool:
        return self.table.close_filter()

    # settling

    def action_resolve(self) -> None:
        row = self.row
        if self.refused("resolve") or not isinstance(row, UnknownRow):
            return

        def store(answers: list[str] | None) -> None:
            if answers:
                name, url = answers
                call = lambda: self.desk.resolve_source(row.source_id, name, url)  # noqa: E731
                self.ask(call, lambda _: self._settled(row, "is a source now"), group="settle")

        dialog = Questions(
            "It is a source",
            text((clean.line(row.source_id, 200), "strong")),
            [("display name: what a reader sees", True), ("address (http or https)", True)],
            hint="enter stores · esc cancels",
            values=["", row.proposed_url],
        )
        self.app.push_screen(dialog, store)

    def action_alias(self) -> None:
        row = self.row
        if self.refused("alias") or not isinstance(row, UnknownRow):
            return

        def store(to: str | None) -> None:
            if to:
                call = lambda: self.desk.alias_source(row.source_id, to)  # noqa: E731
                self.ask(call, lambda _: self._settled(row, f"leads to {to}"), group="settle")

        self.app.push_screen(AliasDialog(row.source_id, self.desk.lists.near), store)

    def action_drop_source(self) -> None:
        row = self.row
        if self.refused("drop_source") or not isinstance(row, UnknownRow):
            return

        def store(why: str | None) -> None:
            if why:
                call = lambda: self.desk.dismiss_source(row.source_id, why)  # noqa: E731
                self.ask(call, lambda _: self._settled(row, "is dismissed"), group="settle")

        body = text((clean.line(row.source_id, 200), "strong"), "\nis no source. Why?")
        self.app.push_screen(Ask("Dismiss", body, verb="dismisses"), store)

    def _settled(self, row: UnknownRow, verb: str) -> None:
        self.centre.say(f"{row.source_id} {verb}")
        self.centre.poll_overview()
        self.reload()

    def action_open_url(self) -> None:
        if not self.refused("open_url"):
            self.app.open_url(self._url(self.row))
