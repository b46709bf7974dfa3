"""The pull table over a real SQLite file of 250,000 rows, as a reader uses it."""

from __future__ import annotations

import csv
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from core.errors import Cancelled, RegistryError
from tests.ui.conftest import until
from tui import exporting
from tui.widgets.lists import RowList
from tui.widgets.pull_table import Column, Order, PullTable, columns, paint
from tui.widgets.pull_table.alone import Alone
from tui.widgets.pull_table.columns import GAP, Want, fit
from tui.widgets.pull_table.rows import Rows
from tui.widgets.pull_table.sqlite import SqliteTable
from tui.widgets.pull_table.window import KEPT, PAGE

ROWS = 250_000


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.db"
    db = sqlite3.connect(path)
    db.execute(
        "CREATE TABLE pairs (id TEXT PRIMARY KEY, domain TEXT NOT NULL, question TEXT NOT NULL,"
        " score INTEGER NOT NULL) WITHOUT ROWID"
    )
    rows = (
        (f"pair-{n:06}", f"domain-{n % 7}", f"What about node {n}?", n * 7919 % ROWS)
        for n in range(ROWS)
    )
    db.executemany("INSERT INTO pairs VALUES (?, ?, ?, ?)", rows)
    db.execute("CREATE INDEX pairs_by_score ON pairs (score, id)")
    db.commit()
    db.close()
    return path


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((f"k{n:03}", f"name {n}") for n in range(300)))
    db.commit()
    db.close()
    return path


class Slow(SqliteTable):
    """Pages wait while `shut` is set; counts what was asked."""

    def __init__(self, path: Path, table: str) -> None:
        super().__init__(path, table)
        self.open = threading.Event()
        self.open.set()
        self.pages: list[int] = []
        self.fails: Exception | None = None

    def page(
        self, offset: int, limit: int, order: Order, text: str, after: str = "", before: str = ""
    ) -> Sequence[Any]:
        self.open.wait(30)
        self.pages.append(offset)
        if self.fails is not None:
            raise self.fails
        return super().page(offset, limit, order, text, after, before)


class Heard(Alone):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heard: list[Any] = []

    def on_pull_table_row_highlighted(self, event: PullTable.RowHighlighted) -> None:
        self.heard.append(("lit", event.row and event.row[0]))

    def on_pull_table_row_selected(self, event: PullTable.RowSelected) -> None:
        self.heard.append(("selected", event.row[0]))

    def on_pull_table_marks_changed(self, event: PullTable.MarksChanged) -> None:
        self.heard.append(("marks", *event.keys))


@asynccontextmanager
async def showing(
    source: SqliteTable, size: tuple[int, int] = (100, 30), order: Order | None = None
) -> AsyncIterator[tuple[Heard, Pilot[Any], PullTable[Any]]]:
    app = Heard(source, source.columns(), order)
    async with app.run_test(size=size) as pilot:
        table = app.query_one(PullTable)
        await until(pilot, lambda: table.row is not None or table.total == 0)
        yield app, pilot, table


def lines(app: Alone) -> list[str]:
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    texts = ["".join(s.text for s in line)[: width - 1] for line in strips[:height]]
    return [text.rstrip() for text in texts]  # without the scroll bar


async def press(
    pilot: Pilot[Any], table: PullTable[Any], keys: Sequence[str], chosen: str | None
) -> None:
    for key in keys:
        await pilot.press(key)
    await until(pilot, lambda: table.chosen == chosen, f"{keys} → {chosen}, not {table.chosen}")


async def test_only_a_window_of_a_long_list_is_held(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (app, pilot, table):
        assert table.total == ROWS and table.state == "250,000"
        assert "pair-000000" in lines(app)[1] and "domain-0" in lines(app)[1]
        await press(pilot, table, ["G"], "pair-249999")
        await until(pilot, lambda: "pair-249999" in lines(app)[-1])
        assert "pair-249971" in lines(app)[1], "the last page is full"
        await press(pilot, table, ["g"], "pair-000000")
        for _ in range(60):
            await pilot.press("ctrl+d")
        await until(pilot, lambda: table.rows.cursor == 60 * 28)
        assert table.chosen == f"pair-{60 * 28:06}"
        assert len(table.rows.window) <= KEPT * PAGE
        assert len(table.rows._cells) <= 4 * KEPT * PAGE + 30


async def test_vi_keys_arrows_and_pages(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (_, pilot, table):
        await press(pilot, table, ["j", "down", "j", "k"], "pair-000002")
        await press(pilot, table, ["ctrl+d", "pagedown"], "pair-000058")
        await press(pilot, table, ["ctrl+u"], "pair-000030")
        await press(pilot, table, ["end", "k", "up"], "pair-249997")
        await press(pilot, table, ["home", "up", "k"], "pair-000000")


async def test_sorting_keeps_the_cursor_on_its_row(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (app, pilot, table):
        await press(pilot, table, ["j"] * 5, "pair-000005")
        table.sort("score")
        await until(pilot, lambda: table.order == Order("score"))
        assert table.chosen == "pair-000005" and table.rows.cursor == 5 * 7919
        shown = [line for line in lines(app)[1:] if line]
        scores = [int(line.split()[-1]) for line in shown]
        assert scores == sorted(scores) and 5 * 7919 in scores and len(scores) == 29
        assert "score ↑" in lines(app)[0] and table.state == "250,000 · by score ↑"
        await pilot.press("S")
        await until(pilot, lambda: table.order == Order("score", True))
        assert table.rows.cursor == ROWS - 1 - 5 * 7919 and table.chosen == "pair-000005"
        await press(pilot, table, ["g"], f"pair-{pow(7919, -1, ROWS) * (ROWS - 1) % ROWS:06}")


async def test_a_click_on_a_header_sorts_and_again_turns(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (app, pilot, table):
        at = lines(app)[0].index("question")
        await pilot.click(table.rows, offset=(at, 0))
        await until(pilot, lambda: table.order == Order("question"))
        await pilot.click(table.rows, offset=(at, 0))
        await until(pilot, lambda: table.order == Order("question", True))
        await pilot.press("s")  # the next column, round from the last to the first
        await until(pilot, lambda: table.order == Order("score"))
        await pilot.press("s")
        await until(pilot, lambda: table.order == Order("id"))


async def test_filter_narrows_as_it_is_typed_and_esc_ends_it(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (app, pilot, table):
        await pilot.press("slash", *"node", "space", *"077777")
        await until(pilot, lambda: table.total == 1)
        assert table.chosen == "pair-077777" and "/node 077777" in table.state
        await pilot.press("enter", "j")  # the keys are the table's again
        assert table.query_one(Input).value == "node 077777"
        await pilot.press("escape")
        await until(pilot, lambda: table.total == ROWS)
        assert table.chosen == "pair-077777", "the row that was found stays under the cursor"
        assert "pair-077777" in "\n".join(lines(app))
        await pilot.press("slash", *"!node")
        await until(pilot, lambda: table.total == 0)
        assert "nothing here" in "\n".join(lines(app)) and table.row is None
        assert app.heard[-1] == ("lit", None)


async def test_keys_that_come_all_at_once_reach_the_filter(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (_, pilot, table):
        for key in ("slash", *"pair-077777".replace("-", "_")):
            name = {"_": "minus"}.get(key, key)
            table.rows._forward_event(Key(name, None if name == "slash" else key.replace("_", "-")))
        await until(pilot, lambda: table.total == 1)
        assert table.text == "pair-077777" and table.marks == ()


async def test_marks_stay_with_their_keys(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (app, pilot, table):
        await pilot.press("space", "space", "j", "space")
        await until(pilot, lambda: len(table.marks) == 3)
        assert table.marks == ("pair-000000", "pair-000001", "pair-000003")
        assert app.heard[-1] in (("marks", *table.marks), ("lit", "pair-000004"))
        table.sort("score")
        await until(pilot, lambda: table.order.column == "score")
        await press(pilot, table, ["g"], "pair-000000")
        assert lines(app)[1].startswith("▸ pair-000000")
        await pilot.press("space")
        await until(pilot, lambda: "pair-000000" not in table.marks)


async def test_mouse_clicks_wheel_and_double_click(pairs: Path) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (app, pilot, table):
        await pilot.click(table.rows, offset=(6, 4))
        await until(pilot, lambda: table.chosen == "pair-000003")
        await pilot.click(table.rows, offset=(6, 4), times=2)
        await until(pilot, lambda: ("selected", "pair-000003") in app.heard)
        for _ in range(3):
            table.rows._on_mouse_scroll_down(_wheel(table))
        await until(pilot, lambda: table.rows.top > 0)
        assert table.chosen == "pair-000003", "the wheel leaves the cursor"
        await press(pilot, table, ["enter"], "pair-000003")
        assert app.heard.count(("selected", "pair-000003")) >= 2


def _wheel(table: PullTable[Any]) -> Any:
    from textual.events import MouseScrollDown

    return MouseScrollDown(table.rows, 5, 5, 0, 1, 0, False, False, False)


async def test_places_while_rows_are_on_their_way_and_keys_are_not_lost(pairs: Path) -> None:
    source = Slow(pairs, "pairs")
    async with showing(source) as (app, pilot, table):
        await until(pilot, lambda: len(source.pages) >= 2)  # the page ahead is here too
        source.open.clear()
        await pilot.press("G")
        await until(pilot, lambda: table.rows.cursor == ROWS - 1)
        assert "250,000 …" in lines(app)[-1] and table.row is None
        await pilot.press("k", "k")
        source.open.set()
        await until(pilot, lambda: table.chosen == "pair-249997")
        assert "…" not in "\n".join(lines(app)[1:])


async def test_pages_of_places_passed_by_are_not_asked_for(pairs: Path) -> None:
    source = Slow(pairs, "pairs")
    async with showing(source) as (_, pilot, table):
        await until(pilot, lambda: len(source.pages) >= 2)
        source.open.clear()
        before = len(source.pages)
        for index in range(10_000, 200_000, 10_000):
            table.rows.go_to(index)
            await pilot.pause(0.01)
        source.open.set()
        await until(pilot, lambda: table.chosen == "pair-190000")
        assert len(source.pages) - before < 8


async def test_rows_that_come_go_and_change_leave_the_cursor_on_its_key(few: Path) -> None:
    async with showing(SqliteTable(few, "t")) as (app, pilot, table):
        await press(pilot, table, ["j"] * 40, "k040")
        top = table.rows.top
        db = sqlite3.connect(few)
        db.executemany("INSERT INTO t VALUES (?, 'new')", ((f"a{n}",) for n in range(7)))
        db.execute("UPDATE t SET name = 'another' WHERE id = 'k040'")
        db.commit()
        table._poll()
        await until(pilot, lambda: table.total == 307)
        assert table.chosen == "k040" and table.rows.cursor == 47
        assert table.rows.top == top + 7, "what the reader looks at stays where it is"
        await until(pilot, lambda: table.row is not None and table.row[1] == "another")
        db.execute("DELETE FROM t WHERE id = 'k040'")
        db.commit()
        table._poll()
        await until(pilot, lambda: table.chosen == "k041")
        db.execute("DELETE FROM t")
        db.commit()
        db.close()
        table._poll()
        await until(pilot, lambda: table.total == 0)
        assert "nothing here" in "\n".join(lines(app))
        for key in ("j", "G", "space", "enter", "s", "ctrl+d"):
            await pilot.press(key)


async def test_a_failure_is_said_and_tried_again(few: Path) -> None:
    source = Slow(few, "t")
    async with showing(source) as (app, pilot, table):
        source.fails = RegistryError("the file is busy")
        await pilot.press("G")
        await until(pilot, lambda: "cannot be read: the file is busy" in "\n".join(lines(app)))
        source.fails = None
        table._poll()
        await until(pilot, lambda: table.chosen == "k299" and not table.rows.problem)


async def test_columns_can_be_hidden_and_the_least_important_go_when_it_is_narrow(
    pairs: Path,
) -> None:
    async with showing(SqliteTable(pairs, "pairs")) as (app, pilot, _):
        await pilot.press("c")
        await until(pilot, lambda: len(app.screen.query(RowList)) == 1)
        await pilot.press("j", "space", "escape")
        await until(pilot, lambda: "domain" not in lines(app)[0])
        assert "question" in lines(app)[0]
        await pilot.resize_terminal(28, 24)
        await until(pilot, lambda: "score" not in lines(app)[0])
        assert "id" in lines(app)[0] and "domain" not in lines(app)[0]
        for line in lines(app)[1:]:
            assert line.endswith(("…", "?")), line


HOSTILE = (
    "[bold red]x[/]", "\x1b]52;c;aGk=\x07", "\u202egnp.exe", "名前" * 40, "a\nb\tc\rd", "x" * 1_000_000,
    "\x00\x9b31m", "e\u0301" * 50, "👩‍👩‍👧 family",
)  # fmt: skip


async def test_hostile_text_is_text_and_every_line_has_the_width_of_the_screen(
    tmp_path: Path,
) -> None:
    path = tmp_path / "evil.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY, evil TEXT)")
    db.executemany(
        "INSERT INTO t VALUES (?, ?)", ((t[:50] + str(n), t) for n, t in enumerate(HOSTILE))
    )
    db.commit()
    db.close()
    source = SqliteTable(path, "t")
    raw = [Column("evil", "evil", lambda row: row[1]), Column("id", "id", lambda row: row[0])]
    for shown in (source.columns(), raw):  # also where nobody has cleaned it
        app = Heard(source, shown)
        async with app.run_test(size=(60, 20)) as pilot:
            table = app.query_one(PullTable)
            await until(pilot, lambda: table.total == len(HOSTILE))  # noqa: B023
            await pilot.press("j", "space", "G")
            text = "\n".join(lines(app))
            assert "[bold red]x[/]" in text
            assert not any(c in text for c in "\x1b\x07\x00\u202e\r\x9b")
            for y in range(table.rows.size.height):
                assert table.rows.render_line(y).cell_length == 60


# columns

wants = st.lists(
    st.builds(Want, st.integers(0, 9), st.integers(0, 30), st.integers(0, 90)), max_size=14
)


@given(wants, st.integers(0, 250))
def test_fitted_columns_never_take_more_than_there_is(found: list[Want], room: int) -> None:
    widths = fit(found, room)
    taken = [w for w in widths if w]
    assert sum(taken) + GAP * max(0, len(taken) - 1) <= room
    for want, width in zip(found, widths, strict=True):
        assert width <= want.natural or len(taken) == 1
    if len(taken) > 1:
        assert all(w >= min(f.least, f.natural) for f, w in zip(found, widths, strict=True) if w)


@given(wants, st.integers(1, 250))
def test_the_least_important_columns_go_first(found: list[Want], room: int) -> None:
    widths = fit(found, room)
    seen = [(f.rank, n) for n, f in enumerate(found) if widths[n]]
    gone = [
        (f.rank, n) for n, f in enumerate(found) if not widths[n] and min(f.least, f.natural) > 0
    ]
    assert not seen or not gone or max(seen) < min(gone)


@given(wants, st.integers(0, 250), st.integers(0, 40))
def test_more_room_never_shows_fewer_columns(found: list[Want], room: int, more: int) -> None:
    assert sum(map(bool, fit(found, room))) <= sum(map(bool, fit(found, room + more)))


@given(
    st.lists(st.tuples(st.text(max_size=40), st.just("")), max_size=4),
    st.integers(0, 60),
    st.booleans(),
)
def test_a_cut_cell_is_as_wide_as_its_column(
    cell: list[tuple[str, str]], room: int, right: bool
) -> None:
    safe = columns.pieces(cell, 60)
    out = "".join(words for words, _ in columns.cut(safe, room, right=right))
    assert cell_len(out) == room
    if columns.width(safe) > room > 0:
        assert out.rstrip().endswith("…"), "what is cut says so"


def test_the_spans_of_a_header_meet() -> None:
    assert paint.spans([3, 0, 5]) == [(0, 5), (5, 5), (5, 12)]


def test_all_rows_of_a_long_table_are_written_and_nothing_of_a_stopped_one(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_STATE", str(tmp_path))
    source = SqliteTable(pairs, "pairs")
    rows = Rows(source.columns(), empty="", gutter=False)
    rows.source, rows.order, rows.hidden = source, Order("score", descending=True), {"question"}
    held: list[int] = []

    def told(done: int) -> None:
        held.append(done)

    path, count = exporting.keep_whole(rows.whole(), "pairs", 0.0, told)
    assert count == ROWS and held == [*range(2000, ROWS + 1, 2000)], "page by page"
    with path.open(encoding="utf-8", newline="") as f:
        head, *found = csv.reader(f)
    assert head == ["id", "domain", "score"]
    scores = [int(row[2]) for row in found]
    assert len({row[0] for row in found}) == ROWS
    assert scores == sorted(scores, reverse=True)

    rows.text = "domain-3 !node"
    assert exporting.keep_whole(rows.whole(), "none", 0.0)[1] == 0
    rows.text = "domain-3"
    path, count = exporting.keep_whole(rows.whole(), "some", 0.0)
    assert count == sum(n % 7 == 3 for n in range(ROWS))

    def stop(done: int) -> None:
        if done > 10_000:
            raise Cancelled("enough")

    before = set(path.parent.iterdir())
    with pytest.raises(Cancelled):
        exporting.keep_whole(rows.whole(), "stopped", 0.0, stop)
    assert set(path.parent.iterdir()) == before
