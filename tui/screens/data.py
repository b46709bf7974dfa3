"""Data: the files, what is wrong with them, the snapshots and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static

from core.errors import Cancelled, QAError
from tui import clean
from tui.bindings import DATA, bindings
from tui.desk.api_data import DataDesk, FileRow, FilesView, FrozenRow, ProblemRow, Synced
from tui.desk.api_pairs import PairsOf
from tui.present import data
from tui.present.words import text
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Ask, Confirm, Page
from tui.widgets.lists import Row, RowList
from tui.widgets.pane import Pane
from tui.widgets.steady import Steady

FILE, PROBLEM, FROZEN = "file ", "problem ", "snapshot "
LISTED = 100  # problems in the list; a file's own stand in its detail


class DataScreen(DeskScreen):
    MODE = "data"
    CSS_PATH = "data.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(DATA)

    def __init__(self) -> None:
        super().__init__()
        self.view: FilesView | None = None
        self.frozen: tuple[FrozenRow, ...] = ()
        self.marked: str | None = None
        self.syncing = False

    @property
    def there(self) -> DataDesk:
        return self.desk.data

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Pane(id="data"):
                yield RowList(id="list", empty=data.NO_FILES)
            with Pane(id="about"), VerticalScroll(id="scroll"):
                yield Steady(id="detail")
        yield Static(id="moving")

    def on_mount(self) -> None:
        self.query_one("#data", Pane).title("pairs and snapshots")
        self.query_one("#about", Pane).title("about it")
        self.query_one("#list").focus()
        self.set_interval(0.25, self._tick)
        self.action_again()

    # what is shown

    def reload(self) -> None:
        self.ask(self.there.snapshots, self._snapshots_came, group="snapshots")

    def action_again(self) -> None:
        self.ask(self.there.files, self._files_came, group="files")

    def _files_came(self, view: FilesView) -> None:
        self.view = view
        self._came()

    def _snapshots_came(self, rows: tuple[FrozenRow, ...]) -> None:
        self.frozen = rows
        self._came()

    def _came(self) -> None:
        self.redraw()
        self.call_after_refresh(self.redraw)  # now the panes have their widths
        self.keys_changed()

    def redraw(self) -> None:
        rows: list[Row] = []
        view = self.view
        if view is not None:
            rows.append((None, partial(data.heading, "Files", data.files_word(view))))
            rows += [(FILE + f.path, partial(data.file_row, f)) for f in view.files]
        rows.append((None, partial(data.heading, "Snapshots", "")))
        rows += [
            (FROZEN + s.dataset_version, partial(data.frozen_row, s, self.marked))
            for s in self.frozen
        ]
        if not self.frozen:
            rows.append((None, partial(data.hint, data.NO_SNAPSHOT)))
        if view is not None and view.problems:
            shown = view.problems[:LISTED]
            total = len(view.problems) + view.more
            word = str(total) if total == len(shown) else f"{len(shown)} of {total}"
            rows.append((None, partial(data.heading, "Problems", word)))
            rows += [(f"{PROBLEM}{n}", partial(data.problem_row, p)) for n, p in enumerate(shown)]
        self.query_one(RowList).fill(rows)
        self._draw_detail()

    @property
    def row(self) -> FileRow | ProblemRow | FrozenRow | None:
        chosen, view = self.query_one(RowList).chosen or "", self.view
        if chosen.startswith(FROZEN):
            wanted = chosen.removeprefix(FROZEN)
            return next((s for s in self.frozen if s.dataset_version == wanted), None)
        if view is None:
            return None
        if chosen.startswith(PROBLEM):
            return view.problems[int(chosen.removeprefix(PROBLEM))]
        return next((f for f in view.files if FILE + f.path == chosen), None)

    @property
    def snapshot(self) -> FrozenRow | None:
        return self.row if isinstance(self.row, FrozenRow) else None

    def file_behind(self) -> tuple[Path, int] | None:
        row, files = self.row, self.view.files if self.view else ()
        if isinstance(row, FileRow):
            return Path(row.path), 1
        if isinstance(row, ProblemRow):
            return next(((Path(f.path), row.line) for f in files if f.name == row.file), None)
        return None

    def _draw_detail(self) -> None:
        row = self.row
        width = (self.query_one("#scroll").size.width or 41) - 1
        drawn, crumb = text(), ""
        if isinstance(row, FileRow) and self.view is not None:
            drawn, crumb = data.file_detail(row, self.view, width), clean.line(row.name, 60)
        elif isinstance(row, ProblemRow):
            drawn = data.problem_detail(row, width)
            crumb = f"{clean.line(row.file, 40)}:{row.line}"
        elif isinstance(row, FrozenRow):
            drawn, crumb = data.frozen_detail(row, width), clean.line(row.dataset_version, 60)
        self.query_one("#detail", Static).update(drawn)
        self.crumb(crumb)

    @on(OptionList.OptionHighlighted, "#list")
    def highlighted(self) -> None:
        self._draw_detail()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        self.keys_changed()

    @on(OptionList.OptionSelected, "#list")
    def selected(self) -> None:
        self.action_open_pairs()

    def action_open_pairs(self) -> None:
        """Of the file it is in, where a problem is highlighted."""
        from tui.screens.data_pairs import PairsScreen

        row = self.row
        if self.refused("open_pairs"):
            return
        if isinstance(row, FrozenRow):
            self.app.push_screen(PairsScreen(PairsOf("snapshot", row.dataset_version)))
        elif found := self.file_behind():
            self.app.push_screen(PairsScreen(PairsOf("file", str(found[0])), str(found[1])))

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        rows = self.query_one(RowList)
        for s in self.frozen:
            name = clean.line(s.dataset_version, 80)
            yield f"Snapshot: {name}", "", partial(rows.choose, FROZEN + s.dataset_version)

    def why_not(self, action: str) -> str | None:
        row = self.row
        if action == "open_pairs" and row is None:
            return "no file and no snapshot is highlighted"
        if action in ("mark", "contamination", "verify") and not isinstance(row, FrozenRow):
            return "this is for a snapshot: they stand below the files"
        if action == "mark" and self.marked is None and len(self.frozen) < 2:
            return "there is no second snapshot to compare with"
        if action == "leave_out" and not (isinstance(row, FileRow) and not row.ours):
            return "this is for a file that was added with a"
        if action == "sync":
            return "it is being copied" if self.syncing else self.no_route()
        if action == "stop_sync" and not self.syncing:
            return "nothing is being copied"
        if action == "freeze" and self.view is None:
            return "the files are being checked"
        return super().why_not(action)

    # files

    def action_add_file(self) -> None:
        if self.refused("add_file"):
            return

        def add(path: str | None) -> None:
            if path:
                self.ask(
                    lambda: self.there.add_file(path), lambda _: self.action_again(), group="add"
                )

        body = text(
            "A JSONL file of question/answer pairs. It is checked, frozen and copied with the others."
        )
        self.app.push_screen(Ask("Add a file", body, verb="adds", placeholder="~/pairs.jsonl"), add)

    def action_leave_out(self) -> None:
        row = self.row
        if self.refused("leave_out") or not isinstance(row, FileRow):
            return
        self.ask(lambda: self.there.leave_out(row.path), lambda _: self.action_again(), group="add")

    # snapshots

    def action_freeze(self) -> None:
        view = self.view
        if self.refused("freeze") or view is None:
            return
        rejected = sum(f.rejected for f in view.files)
        body = text(
            "y freezes ",
            (data.files_word(view), "strong"),
            f" of {len(view.files)} files as a snapshot that nobody can change.",
        )
        if rejected:
            body.append(
                "\nRejected rows stay out; they stand in the list with their reasons.", "warn"
            )

        def freeze(yes: bool | None) -> None:
            if yes:
                self.ask(self.there.freeze, self._froze, group="freeze")

        self.app.push_screen(Confirm("Freeze?", body, verb="freezes", danger=False), freeze)

    def _froze(self, dataset_version: str) -> None:
        self.centre.say(f"{dataset_version} is frozen")
        self.ask(
            self.there.snapshots,
            lambda rows: self._shows(rows, dataset_version),
            group="snapshots",
        )

    def _shows(self, rows: tuple[FrozenRow, ...], dataset_version: str) -> None:
        self._snapshots_came(rows)
        self.query_one(RowList).choose(FROZEN + dataset_version)

    def action_mark(self) -> None:
        row = self.snapshot
        if self.refused("mark") or row is None:
            return
        if self.marked in (None, row.dataset_version):
            self.marked = None if self.marked else row.dataset_version
            self.redraw()
            self.keys_changed()
            return
        pair = sorted(
            (s for s in self.frozen if s.dataset_version in (self.marked, row.dataset_version)),
            key=lambda s: s.created_at,
        )
        a, b = (s.dataset_version for s in pair)
        self.marked = None
        self.redraw()
        self.ask(
            lambda: self.there.diff(a, b),
            lambda view: self._page("What changed", partial(data.diff_page, view)),
            group="diff",
        )

    def action_contamination(self) -> None:
        row = self.snapshot
        if self.refused("contamination") or row is None:
            return
        self.centre.say("comparing every golden question with every pair…")
        self.ask(
            lambda: self.there.contamination(row.dataset_version),
            lambda view: self._page("Contamination", partial(data.contamination_page, view)),
            group="contamination",
        )

    def _page(self, title: str, draw: Callable[[int], Text]) -> None:
        self.app.push_screen(Page(title, draw))

    def action_verify(self) -> None:
        row = self.snapshot
        if self.refused("verify") or row is None:
            return
        name = row.dataset_version
        self.ask(lambda: self.there.verify(name), partial(self._verified, name), group="verify")

    def _verified(self, name: str, faults: tuple[str, ...]) -> None:
        if faults:
            self.centre.say("\n".join(faults[:8]), title=f"{name}: {len(faults)} faults", bad=True)
        else:
            self.centre.say(f"{name} holds: every hash was computed again")

    # the host

    def action_sync(self) -> None:
        if self.refused("sync"):
            return
        self.syncing = True
        self.keys_changed()
        self.ask(self.there.sync, self._synced, group="sync", failed=self._not_synced)

    def _synced(self, done: Synced) -> None:
        self._sync_ended()
        self.centre.say(
            f"{done.files} files copied, {done.skipped} were there; "
            f"{done.wire / 1e6:.1f} MB travelled",
            title=self.desk.host_name,
        )

    def _not_synced(self, problem: QAError) -> None:
        self._sync_ended()
        if isinstance(problem, Cancelled):
            self.centre.say(problem.what)
        else:
            self.centre.report(problem)

    def _sync_ended(self) -> None:
        self.syncing = False
        self._tick()
        self.keys_changed()

    def action_stop_sync(self) -> None:
        if not self.refused("stop_sync"):
            self.there.stop_sync()

    def _tick(self) -> None:
        line, now = self.query_one("#moving", Static), self.there.moving() if self.syncing else None
        line.set_class(self.syncing, "-on")
        if now is not None:
            line.update(data.moving(now, max(20, self.app.size.width - 4)))
        elif self.syncing:
            line.update(text(("looking at what is there…", "dim")))
