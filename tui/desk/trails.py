"""The audit trail of a version, page by page: its own rows, and switches to or from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.paging import Listing
from tui.desk.api_lists import AuditRow

if TYPE_CHECKING:
    from core.registry import Registry

_NAMED = "json_extract({}, '$.model_version') = ?"

LISTING = Listing(
    table="audit",
    key="seq",
    orders={
        "": ("seq",),
        "seq": ("seq",),
        "at": ("at", "seq"),
        "who": ("who", "seq"),
        "origin": ("origin", "seq"),
        "action": ("action", "seq"),
        "subject": ("subject", "seq"),
        "why": ("why", "seq"),
    },
    searched=("at", "who", "origin", "action", "subject", "before", "after", "why"),
    where=(
        "subject = ? OR subject IN ('staging', 'production')"
        f" AND ({_NAMED.format('before')} OR {_NAMED.format('after')})"
    ),
)


def listing(model_version: str) -> Listing:
    return replace(LISTING, values=(model_version,) * 3)


def of_page(reg: Registry, found: Sequence[Any]) -> list[AuditRow]:
    return [
        AuditRow(
            r["seq"], r["at"], r["who"], r["origin"], r["action"], r["subject"],
            r["before"] or "", r["after"] or "", r["why"],
        )
        for r in found
    ]  # fmt: skip
