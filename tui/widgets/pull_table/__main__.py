"""A table of an SQLite file alone: `python -m tui.widgets.pull_table FILE TABLE`"""

from __future__ import annotations

import sys

from tui.widgets.pull_table.alone import Alone
from tui.widgets.pull_table.sqlite import SqliteTable


def main(path: str, table: str) -> None:
    source = SqliteTable(path, table)
    Alone(source, source.columns()).run()


if __name__ == "__main__":
    main(*sys.argv[1:3])
