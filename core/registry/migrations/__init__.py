"""The migrations of registry.db, for sqlite-utils. Imported only when one is pending.

Each has a file `<name>.py` here with a function `<name>(db)`, and its name stands in
`migrations_known.MIGRATIONS`, in the order in which they apply. A migration that has been released is never
edited: a later one changes what it made. Each runs in one transaction with the record of it.
"""

from __future__ import annotations

from importlib import import_module

from sqlite_utils import Migrations

from core.registry.migrations_known import MIGRATION_SET, MIGRATIONS

migrations = Migrations(MIGRATION_SET)

for _name in MIGRATIONS:
    migrations(name=_name)(getattr(import_module(f"{__name__}.{_name}"), _name))
