"""The pull table against Textual's DataTable: the same rows and columns, in a real pseudo-terminal.

10,000 versions (ten columns) and 250,000 pairs (four). From the key to the first row on the terminal
that was not on it before: a page down, another order, a filter. The DataTable filters as
apps that use it do, by clearing it and adding the rows that pass. Beside each app a heartbeat of
20 ms notes how late its event loop is. The smaller table is run ours, peer, ours, peer.

`python -m benchmarks.tables pull|data FILE TABLE REPORT` is the app that is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.terminal import Terminal, rank

BEAT_S = 0.02
PAGES, ORDERS = 40, 6
KEY = re.compile(rb"row-(\d{6})")
LIMIT_S = 0.05


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        file = Path(tmp) / "rows.db"
        _fill(file)
        for table, name, order in (
            ("versions", "10,000 versions", ("pull", "data", "pull", "data")),
            ("pairs", "250,000 pairs", ("pull", "data", "pull")),
        ):
            found: dict[str, dict[str, list[float]]] = {"pull": {}, "data": {}}
            for kind in order:
                for what, took in _one(kind, file, table).items():
                    found[kind].setdefault(what, []).extend(took)
            yield from _figures(name, found["pull"], found["data"])


def _figures(
    name: str, ours: dict[str, list[float]], peer: dict[str, list[float]]
) -> Iterator[Figure]:
    for what, took in ours.items():
        for word, share in (("p50", 0.5), ("p99", 0.99)):
            mine = rank(took, share)
            yield Figure(
                f"{name}: {what}, {word}",
                "s",
                mine,
                "DataTable",
                rank(peer[what], share),
                1.0,
                len(took),
            )
        if what in ("page down", "another order", "filter"):
            p99 = rank(took, 0.99)
            yield Figure(f"{name}: {what}, p99", "s", p99, "limit", LIMIT_S, 1.0, len(took))
    stall = max(ours["event loop late"])
    yield Figure(f"{name}: longest stall", "s", stall, "limit", 0.1, 1.0, 1)


def _one(kind: str, file: Path, table: str) -> dict[str, list[float]]:
    """Seconds of each act, and how late the event loop was."""
    report = file.with_name(f"{kind}-{table}.json")
    argv = [sys.executable, "-m", "benchmarks.tables", kind, str(file), table, str(report)]
    took: dict[str, list[float]] = {"page down": [], "another order": [], "filter": []}
    with Terminal(argv, {"TEXTUAL_ANIMATIONS": "none"}) as terminal:
        first = terminal.until(b"row-000000", 240)
        _quiet(terminal)
        there = _numbers(terminal)
        for _ in range(PAGES):
            took["page down"].append(_new(terminal, b"\x1b[6~", there))
            there = _numbers(terminal)
        for _ in range(ORDERS):  # to and fro between two orders that have nothing in common
            took["another order"].append(_new(terminal, b"o", there))
            there = _numbers(terminal)
        terminal.drain(2.0)
        terminal.press(b"/")
        terminal.drain(1.0)
        terminal.press(b"\x1b[200~row-003711\x1b[201~")  # pasted: one change of the field
        took["filter"].append(terminal.until(b"1 row: row-003711", 120))
        terminal.leave(b"\x11", 60)
    facts = json.loads(report.read_text())
    return {"first rows, from the start": [first], **took, "event loop late": facts["late"]}


def _numbers(terminal: Terminal) -> set[bytes]:
    return set(KEY.findall(terminal.seen))


def _new(terminal: Terminal, key: bytes, there: set[bytes], limit: float = 60.0) -> float:
    """Seconds from the key to a row on the terminal that was not `there`."""
    terminal.press(key)
    began = time.perf_counter()
    while not _numbers(terminal) - there:
        if time.perf_counter() - began > limit:
            raise TimeoutError(f"no other row in {terminal.seen[-1500:]!r}")
        terminal.drain(0.001)
    took = time.perf_counter() - began
    _quiet(terminal)
    return took


def _quiet(terminal: Terminal) -> None:
    """Until nothing more is painted."""
    before = -1
    while before != len(terminal.seen):
        before = len(terminal.seen)
        terminal.drain(0.08)


def _fill(file: Path) -> None:
    db = sqlite3.connect(file)
    more = ", ".join(f"m{n} REAL NOT NULL" for n in range(8))
    db.execute(f"CREATE TABLE versions (id TEXT PRIMARY KEY, score INTEGER NOT NULL, {more})")
    db.executemany(
        f"INSERT INTO versions VALUES ({', '.join('?' * 10)})",
        ((f"row-{n:06}", n * 7919 % 10_007, *((n * k % 1000) / 1000 for k in range(8)))
         for n in range(10_000)),
    )  # fmt: skip
    db.execute(
        "CREATE TABLE pairs (id TEXT PRIMARY KEY, score INTEGER NOT NULL, domain TEXT NOT NULL,"
        " question TEXT NOT NULL) WITHOUT ROWID"
    )
    db.executemany(
        "INSERT INTO pairs VALUES (?, ?, ?, ?)",
        ((f"row-{n:06}", n * 7919 % 250_007, f"domain-{n % 7}",
          f"How much memory does a node of kind {n} have?") for n in range(250_000)),
    )  # fmt: skip
    for table in ("versions", "pairs"):
        db.execute(f"CREATE INDEX {table}_by_score ON {table} (score, id)")
    db.commit()
    db.close()


# ── the apps that are measured ──────────────────────────────────────────────────────────────────


def main(kind: str, file: Path, table: str, report: Path) -> None:
    late: list[float] = []
    app = _pull(file, table) if kind == "pull" else _data(file, table)

    async def beat() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.perf_counter()
            late.append(max(0.0, now - last - BEAT_S))
            last = now

    app.beating = beat
    app.run()
    # the last one waits for the terminal to close
    report.write_text(json.dumps({"late": late[:-1]}))


class Beats:
    """Mixin: the heartbeat begins when the first frame is there."""

    beating: Any

    def on_ready(self) -> None:
        self.beats = asyncio.create_task(self.beating())


def _pull(file: Path, table: str) -> Any:
    from textual.app import ComposeResult
    from textual.widgets import Static

    from tui.widgets.pull_table import PullTable
    from tui.widgets.pull_table.alone import Alone
    from tui.widgets.pull_table.sqlite import SqliteTable

    class Bench(Beats, Alone):
        BINDINGS = [("o", "other", "")]  # noqa: RUF012

        def compose(self) -> ComposeResult:
            yield from super().compose()
            yield Static(id="state")

        def action_other(self) -> None:
            table = self.query_one(PullTable)
            table.sort("id" if table.order.column == "score" else "score")

        def on_pull_table_row_highlighted(self, event: PullTable.RowHighlighted) -> None:
            if event.table.total == 1 and event.row is not None:
                self.query_one("#state", Static).update(f"1 row: {event.row[0]}")

    source = SqliteTable(file, table)
    return Bench(source, source.columns())


def _data(file: Path, name: str) -> Any:
    from textual import on
    from textual.app import App, ComposeResult
    from textual.widgets import DataTable, Input, Static

    db = sqlite3.connect(file)
    cursor = db.execute(f"SELECT * FROM {name} ORDER BY id")
    names = [d[0] for d in cursor.description]
    rows = [tuple(map(str, row)) for row in cursor]

    class Bench(Beats, App[None]):
        BINDINGS = [("o", "other", ""), ("slash", "find", ""), ("escape", "end", "")]  # noqa: RUF012
        by = "id"

        def compose(self) -> ComposeResult:
            yield DataTable(cursor_type="row")
            yield Input()
            yield Static(id="state")

        def on_mount(self) -> None:
            table = self.query_one(DataTable)
            for column in names:
                table.add_column(column, key=column)
            table.add_rows(rows)
            table.focus()

        def action_other(self) -> None:
            self.by = "id" if self.by == "score" else "score"
            key = int if self.by == "score" else None
            self.query_one(DataTable).sort(self.by, key=key)

        def action_find(self) -> None:
            self.query_one(Input).focus()

        def action_end(self) -> None:
            self.query_one(Input).value = ""
            self.query_one(DataTable).focus()

        @on(Input.Changed)
        def typed(self, event: Input.Changed) -> None:
            table = self.query_one(DataTable)
            found = [row for row in rows if any(event.value in cell for cell in row)]
            table.clear()
            table.add_rows(found)
            if len(found) == 1:
                self.query_one("#state", Static).update(f"1 row: {found[0][0]}")

    return Bench()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
