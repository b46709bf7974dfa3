"""A table that pulls: of a list of any length it holds the pages around what is in sight.

`python -m tui.widgets.pull_table FILE TABLE` shows a table of an SQLite file alone.
"""

from tui.widgets.pull_table.columns import Cell, Column
from tui.widgets.pull_table.memory import InMemory
from tui.widgets.pull_table.source import Order, PageSource
from tui.widgets.pull_table.table import PullTable

__all__ = ["Cell", "Column", "InMemory", "Order", "PageSource", "PullTable"]
