"""Sources: what a marker may point to, and what answers cited that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, OptionList, Static

from tui import clean
from tui.bindings import SOURCES, bindings
from tui.desk.api import SourceRow, SourcesView, UnknownRow
from tui.present import sources
from tui.present.words import text
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Ask, Choose
from tui.widgets.lists import Row, RowList
from tui.widgets.login import Questions
from tui.widgets.pane import Pane

UNKNOWN, KNOWN = "unknown ", "known "  # before the id of a row: an id may stand in both lists


class SourcesScreen(DeskScreen):
    MODE = "sources"
    CSS_PATH = "sources.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(SOURCES)

    def __init__(self) -> None:
        super().__init__()
        self.view: SourcesView | None = None
        self.wanted = ""

    def body(self) -> ComposeResult:
        yield Input(placeholder="part of an id, name, address or example", id="filter")
        with Horizontal(id="panes"):
            with Pane(id="sources"):
                yield RowList(id="list", empty="The sources are loading…")
            with Pane(id="source"), VerticalScroll(id="scroll"):
                yield Static(id="detail")

    def on_mount(self) -> None:
        self.query_one("#sources", Pane).title("sources")
        self.query_one("#source", Pane).title("source")
        self.query_one("#list").focus()

    # what is shown

    def reload(self) -> None:
        wanted = self.wanted
        self.ask(lambda: self.desk.sources(wanted), self._came, group="sources")

    def _came(self, view: SourcesView) -> None:
        if view != self.view:
            self.view = view
            self.redraw()
        self.keys_changed()

    def redraw(self) -> None:
        view = self.view
        if view is None:
            return
        rows: list[Row] = []
        if view.unknown:
            rows.append((None, partial(sources.heading, "Unknown", len(view.unknown), None)))
            rows += [(UNKNOWN + u.source_id, partial(sources.unknown_row, u)) for u in view.unknown]
        total = None if not self.wanted and len(view.known) == view.total else view.total
        rows.append((None, partial(sources.heading, "Known", len(view.known), total)))
        rows += [(KNOWN + s.source_id, partial(sources.known_row, s)) for s in view.known]
        if not view.known and not view.unknown:
            hint = "Nothing matches." if self.wanted else sources.EMPTY
            rows.append((None, lambda width: text((hint, "dim"))))
        self.query_one(RowList).fill(rows)
        self.query_one("#sources", Pane).subtitle(sources.summary(view))
        self._draw_detail()

    @property
    def row(self) -> UnknownRow | SourceRow | None:
        chosen, view = self.query_one(RowList).chosen, self.view
        if chosen is None or view is None:
            return None
        if chosen.startswith(UNKNOWN):
            wanted = chosen.removeprefix(UNKNOWN)
            return next((u for u in view.unknown if u.source_id == wanted), None)
        wanted = chosen.removeprefix(KNOWN)
        return next((s for s in view.known if s.source_id == wanted), None)

    def _draw_detail(self) -> None:
        row = self.row
        width = (self.query_one("#scroll").size.width or 41) - 1
        drawn = text()
        if isinstance(row, UnknownRow):
            drawn = sources.unknown_detail(row, width)
        elif row is not None:
            drawn = sources.known_detail(row, width)
        self.query_one("#detail", Static).update(drawn)
        self.crumb(clean.line(row.source_id, 60) if row else "")

    @on(OptionList.OptionHighlighted, "#list")
    def highlighted(self) -> None:
        self._draw_detail()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        self.keys_changed()

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        rows = self.query_one(RowList)
        for u in self.view.unknown if self.view else ():
            name = clean.line(u.source_id, 120)
            yield f"Unknown source: {name}", "", partial(rows.choose, UNKNOWN + u.source_id)

    def why_not(self, action: str) -> str | None:
        row = self.row
        if action in ("resolve", "alias", "drop_source") and not isinstance(row, UnknownRow):
            return (
                "this is for unknown sources: they stand at the top of the list, if there are any"
            )
        if action == "open_url" and not self._url(row):
            return "it has no http or https address"
        return None

    @staticmethod
    def _url(row: UnknownRow | SourceRow | None) -> str:
        if row is None:
            return ""
        return row.proposed_url if isinstance(row, UnknownRow) else row.link

    # the filter

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    @on(Input.Changed, "#filter")
    def typed(self, event: Input.Changed) -> None:
        self.wanted = event.value.strip()
        self.reload()

    @on(Input.Submitted, "#filter")
    def entered(self) -> None:
        self.query_one("#list").focus()

    def go_back(self) -> bool:
        field = self.query_one("#filter", Input)
        if not field.has_class("-open"):
            return False
        field.value = ""
        field.remove_class("-open")
        self.query_one("#list").focus()
        return True

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
        view = self.view
        domain = row.source_id.partition(":")[0]
        near = self._nearest(row.source_id, [s.source_id for s in view.known] if view else [])
        body = text(
            (clean.line(row.source_id, 200), "strong"),
            f"\nis another name of … (the nearest of {clean.line(domain, 40)} first; filter the list "
            "with / to find others)",
        )
        rows = [(name, text(clean.line(name, 120))) for name in near]

        def store(to: str | None) -> None:
            if to:
                call = lambda: self.desk.alias_source(row.source_id, to)  # noqa: E731
                self.ask(call, lambda _: self._settled(row, f"leads to {to}"), group="settle")

        self.app.push_screen(Choose("Another name", body, rows), store)

    @staticmethod
    def _nearest(source_id: str, known: list[str]) -> list[str]:
        """Those of the same domain by likeness, then the others."""
        from difflib import SequenceMatcher

        domain, low = source_id.partition(":")[0], source_id.casefold()

        def unlike(name: str) -> tuple[bool, float, str]:
            ratio = SequenceMatcher(None, low, name.casefold()).ratio()
            return name.partition(":")[0] != domain, -ratio, name

        return sorted(known, key=unlike)[:50]

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
