"""Decisions on a registry that several operators share: on the newest truth, and told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tui.desk.api import Say

if TYPE_CHECKING:
    from core.registry import Registry
    from remote.helper_client import Carrier


@contextmanager
def deciding(
    reg: Registry, route_to: Callable[[str], Carrier], *, say: Say = lambda text: None
) -> Iterator[None]:
    """Nothing special for a registry of one operator. A shared one is brought up to date before, and
    the decision is put into the registry of record right after.

    route_to: a route to the host of that name.  Raises ChangedUnderYou (another operator was first:
    the decision is undone here), RouteError (the registry of record cannot be reached: then nothing
    is decided; reading goes on).
    """
    from core.registry.marks import mark_of

    if mark_of(reg.path) is None:
        yield
        return
    from core.registry import sharing
    from remote.ledger import ledger_for

    with sharing.deciding(reg, ledger_for(reg.path, route_to)) as decision:
        yield
    if decision.unsent is not None:
        say(f"decided here, not yet known to the others: {decision.unsent.what}; qa registry sync")
