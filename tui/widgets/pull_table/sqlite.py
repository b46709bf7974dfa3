"""A table of an SQLite file as the source of a pull table. Reads only."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core import paging
from core.paging import Listing, Part
from tui import clean
from tui.widgets.pull_table.columns import Column
from tui.widgets.pull_table.source import Order

Values = tuple[Any, ...]
TEXT = 200  # characters of a value


class SqliteTable:
    """Rows as tuples, the key first. key: a unique column that is never NULL."""

    def __init__(self, path: Path | str, table: str, key: str = "") -> None:
        self._uri = f"file:{quote(str(path))}?mode=ro"
        self._threads = threading.local()
        self._guard = threading.Lock()
        self._watcher = sqlite3.connect(self._uri, uri=True, check_same_thread=False)
        info = self._watcher.execute(f"PRAGMA table_info({_name(table)})").fetchall()
        names = [row[1] for row in info]
        key = key or next((row[1] for row in info if row[5]), "rowid")
        self.names = [key, *(n for n in names if n != key)]
        columns = [_name(n) for n in self.names]
        never_null = {row[1] for row in info if row[3] or row[5]}
        orders = {n: (_name(n) if n in never_null else f"coalesce({_name(n)}, '')",) for n in names}
        self._listing = Listing(
            _name(table), columns[0], ", ".join(columns), orders, tuple(columns)
        )

    def columns(self) -> list[Column[Values]]:
        return [
            Column(n, n, partial(_value, at), rank=at, least=12) for at, n in enumerate(self.names)
        ]

    def key(self, row: Values) -> str:
        return str(row[0])

    def stamp(self) -> int:
        with self._guard:  # one connection: others have numbers of their own
            return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def count(self, text: str) -> int:
        return paging.count(self._read, self._listing, Part(text))

    def page(
        self, offset: int, limit: int, order: Order, text: str, after: str = "", before: str = ""
    ) -> Sequence[Values]:
        part = Part(text, order.column, order.descending)
        return paging.page(
            self._read, self._listing, part, offset, limit, after=after, before=before
        )

    def index_of(self, key: str, order: Order, text: str) -> int | None:
        part = Part(text, order.column, order.descending)
        return paging.index_of(self._read, self._listing, part, key)

    def _read(self, sql: str, values: Sequence[Any]) -> list[Values]:
        if not hasattr(self._threads, "reader"):
            self._threads.reader = sqlite3.connect(self._uri, uri=True)
        found: list[Values] = self._threads.reader.execute(sql, values).fetchall()
        return found


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(at: int, row: Values) -> str:
    value = row[at]
    return "–" if value is None else clean.line(value, TEXT)
