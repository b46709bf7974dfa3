"""The mark beside a registry that is shared: with which host, and how that stood when last seen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import RegistryError
from core.jobdir import write_atomic
from core.registry.ledger import MAX_BLOCKS, Head
from core.registry.opening import mark_path


@dataclass(frozen=True, slots=True)
class Mark:
    """host: whose ledger.  head: the ledger's when last seen.  at: when that was."""

    host: str
    head: Head | None = None
    at: str = ""


def mark_of(path: Path) -> Mark | None:
    """The mark of the registry at `path`; None if it is not shared."""
    try:
        data = json.loads(mark_path(path).read_text("utf-8"))
        return Mark(str(data["host"]), head_from(data.get("head")), str(data.get("at", "")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise RegistryError(
            f"{mark_path(path)}: not readable",
            why=str(e),
            try_next="share it again: qa registry share --host NAME",
        ) from e


def write_mark(path: Path, mark: Mark) -> None:
    write_atomic(mark_path(path), json.dumps(asdict(mark), indent=1).encode())


def forget_head(path: Path) -> None:
    """The file is about to become another: what it had in common with the ledger is to be looked up."""
    mark = mark_of(path)
    if mark is not None:
        write_mark(path, Mark(mark.host))


def remove_mark(path: Path) -> None:
    """From now on the registry belongs to this laptop alone."""
    mark_path(path).unlink(missing_ok=True)


def head_from(data: Any) -> Head | None:
    """A Head of what stands in a file or came from a host. Raises ValueError if it is not one."""
    if data is None:
        return None
    if not isinstance(data, dict):
        raise ValueError("not a head")

    def text(name: str, length: int = 200) -> str:
        value = data[name]
        if not isinstance(value, str) or len(value) > length or not value.isprintable():
            raise ValueError(f"not a usable {name}")
        return value

    def number(name: str, least: int) -> int:
        value = data[name]
        if type(value) is not int or not least <= value < 1 << 62:
            raise ValueError(f"not a usable {name}")
        return value

    migrations = data["migrations"]
    if not isinstance(migrations, list) or not all(isinstance(m, str) for m in migrations):
        raise ValueError("not usable migrations")
    head = Head(
        number("generation", 1),
        text("root"),
        number("size", 1),
        number("audit_seq", 0),
        text("audit_head"),
        text("seen"),
        tuple(m[:100] for m in migrations[:1000]),
        text("who"),
        text("origin"),
        text("at"),
    )
    if head.size > MAX_BLOCKS << 16:
        raise ValueError("too large")
    return head
