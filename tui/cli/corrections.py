"""`qa trace corrections`: the queue of pairs that are wrong."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from core.errors import UsageError
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.registry import Registry
    from core.registry.corrections import Correction

app = typer.Typer(
    help="Pairs to be corrected or removed in the next snapshot.", no_args_is_help=True
)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Reason = Annotated[str, typer.Option("--reason", help="why; it is kept in the audit")]


@app.command("list")
def list_corrections(
    status: Annotated[str, typer.Option(help="open, applied or dismissed")] = "open",
    all: Annotated[bool, typer.Option("--all", help="whatever became of them")] = False,
    json: Json = False,
) -> None:
    """The corrections, newest first."""
    from core.registry import corrections, open_registry

    if status not in get_args(corrections.Status):
        raise UsageError(f"{status!r} is no status", try_next=", ".join(corrections.STATUSES))
    with open_registry() as reg:
        found = corrections.list(reg, None if all else status)  # type: ignore[arg-type]
    if json:
        as_json([asdict(c) for c in found])
        return
    columns = ["id", "status", "at", "who", "pair", "becomes", "why"]
    table(
        columns, [[c.id, c.status, c.at[:19], c.who, c.pair_id, _becomes(c), c.why] for c in found]
    )


def _becomes(c: Correction) -> str:
    if c.answer is None:
        return "removed"
    flat = " ".join(c.answer.split())
    return flat if len(flat) <= 60 else flat[:59] + "…"


@app.command("add")
def add_correction(
    pair: Annotated[str, typer.Argument(help="id of the wrong pair")],
    reason: Reason,
    snapshot: Annotated[
        str | None, typer.Option(help="where it stands; default: the newest")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="what it should say, marker included; - reads it from stdin")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="leave the pair out instead")] = False,
    response: Annotated[str, typer.Option(help="id of the answer that led there")] = "",
    json: Json = False,
) -> None:
    """Queue a correction: --answer TEXT, or --remove. The pair itself stays as it was frozen."""
    from core.registry import corrections
    from core.tracing.given import parse_id
    from tui.cli.registries import deciding_registry

    if (answer is None) != remove:
        raise UsageError("say one of --answer and --remove")
    if answer == "-":
        answer = sys.stdin.buffer.read(2 << 20).decode("utf-8", "replace")
    named = parse_id(response)
    with deciding_registry() as reg:
        queued = corrections.queue(
            reg, snapshot or _newest(reg), pair, answer, reason, response=response,
            model_version=named.version if named else None,
        )  # fmt: skip
    _told(queued, json)


@app.command("dismiss")
def dismiss_correction(number: int, reason: Reason, json: Json = False) -> None:
    """The pair was right after all: it stays."""
    from core.registry import corrections
    from tui.cli.registries import deciding_registry

    with deciding_registry() as reg:
        _told(corrections.dismiss(reg, number, reason), json)


@app.command("export")
def export_corrections(
    file: Annotated[Path, typer.Argument(help="JSONL, written whole or not at all")],
    json: Json = False,
) -> None:
    """Write the corrected pairs of the queue, ready for the next snapshot; removed ones are told."""
    from json import dumps

    from core.registry import corrections, open_registry
    from tui.cli.writing import write_file

    with open_registry() as reg:
        found = corrections.list(reg)
        pairs = [p for c in reversed(found) if (p := corrections.corrected(reg, c)) is not None]
    write_file(file, "".join(dumps(p.to_row(), ensure_ascii=False) + "\n" for p in pairs))
    removed = [c.pair_id for c in found if c.answer is None]
    if json:
        as_json({"file": str(file), "corrected": [p.id for p in pairs], "removed": removed})
        return
    out(file)
    say(f"{len(pairs)} corrected pairs; they replace those of the same id")
    if removed:
        say(f"to be left out: {', '.join(removed)}")


@app.command("freeze")
def freeze_corrected(
    snapshot: Annotated[str | None, typer.Argument(help="default: the newest")] = None,
    json: Json = False,
) -> None:
    """Freeze the snapshot that follows, with the open corrections in it. Prints its id."""
    from core.registry import corrections
    from tui.cli.registries import deciding_registry

    with deciding_registry() as reg:
        name = snapshot or _newest(reg)
        new = corrections.next_snapshot(reg, name)
        applied = [c.pair_id for c in corrections.list(reg, "applied") if c.applied_in == new]
    if json:
        as_json({"dataset_version": new, "parent": name, "applied": applied})
    else:
        out(new)
        say(f"{len(applied)} corrections applied")


@app.command("settle")
def settle_corrections(snapshot: str, json: Json = False) -> None:
    """Mark applied what a snapshot that was frozen otherwise holds corrected."""
    from core.registry import corrections
    from tui.cli.registries import deciding_registry

    with deciding_registry() as reg:
        done = corrections.mark_applied(reg, snapshot)
    if json:
        as_json([asdict(c) for c in done])
    else:
        out(f"{len(done)} corrections applied in {snapshot}")


def _newest(reg: Registry) -> str:
    from core.errors import NotFound
    from core.registry import snapshots

    known = snapshots.list(reg)
    if not known:
        raise NotFound("there is no snapshot", try_next="qa snapshots freeze FILES")
    return known[0].dataset_version


def _told(c: Correction, json: bool) -> None:
    if json:
        as_json(c)
    else:
        out(f"correction {c.id}: {c.pair_id} {'removed' if c.answer is None else 'corrected'},"
            f" {c.status}")  # fmt: skip
