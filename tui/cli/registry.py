"""`qa registry`: looking after registry.db, and sharing it with other operators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import locations
from core.errors import ChangedUnderYou, RegistryError, UsageError
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.registry.sharing import Synced
    from remote.ledger import HostLedger

app = typer.Typer(help="Look after registry.db, and share it with others.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
SHOWN = 5


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="another registry file")] = None,
    json: Json = False,
) -> int:
    """Pages, references, rules, snapshots, audit, search index. Exit 5 if anything is wrong."""
    from core.registry import maintenance

    path = file or locations.registry_path()
    faults = maintenance.check_file(path)
    if json:
        as_json({"file": str(path), "sound": not faults, "faults": faults})
        return RegistryError.exit_code if faults else 0
    if faults:
        beside = [p.name for p in maintenance.backups(path)][:3]
        raise RegistryError(
            f"{path}: {len(faults)} thing{'s are' if len(faults) > 1 else ' is'} wrong",
            why="; ".join(f"{f.area}: {f.what}" for f in faults[:SHOWN])
            + (f"; and {len(faults) - SHOWN} more: --json names all" if faults[SHOWN:] else ""),
            try_next="qa registry restore FILE"
            + (
                f" (beside it: {', '.join(beside)})" if beside else "; there is no backup beside it"
            ),
        )
    print(f"{path}: sound")
    return 0


@app.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="default: beside the registry")] = None,
) -> None:
    """Copy the registry while it is used. The copy is verified; its name is printed."""
    from core.registry import maintenance, open_registry

    with open_registry() as reg:
        print(maintenance.backup(reg, file))


@app.command()
def restore(
    file: Path,
    confirm: Annotated[str, typer.Option(help="type the file's name again")] = "",
) -> None:
    """Put a backup in place of the registry. It is checked first; the present file is kept aside."""
    from core.registry import maintenance
    from core.registry.marks import mark_of

    if confirm != file.name:
        raise UsageError(
            "putting a backup in place was not confirmed",
            why=f"the registry becomes what it was when {file.name} was made",
            try_next=f"qa registry restore {file} --confirm {file.name}",
        )
    path = locations.registry_path()
    done = maintenance.restore(path, file)
    print(done.restored)
    if done.aside is not None:
        say(f"what was there is kept as {done.aside}")
    mark = mark_of(path)
    if mark is not None:
        say(f"shared: the next sync brings what {mark.host} has that this file has not")


@app.command()
def vacuum() -> None:
    """Give unused room back to the disk."""
    from core.registry import maintenance, open_registry

    with open_registry() as reg:
        before, after = maintenance.vacuum(reg)
    print(f"{before} → {after} bytes")


@app.command()
def seed() -> None:
    """Take over sources.yaml and checklist.yaml; by itself only a registry that is not shared does."""
    from core.registry import open_registry
    from core.registry.seed import seed_files

    with open_registry() as reg:
        seed_files(reg)


@app.command()
def share(
    host: Annotated[str, typer.Option("--host", help="where the registry of record is kept")],
    take_theirs: Annotated[
        bool, typer.Option("--take-theirs", help="both have decisions: keep ours aside")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="both have decisions: ours becomes the one of record")
    ] = False,
) -> None:
    """Share the registry with the other operators of a host. Each keeps a whole copy to read offline."""
    from core.registry import open_registry, sharing

    if take_theirs and replace:
        raise UsageError("--take-theirs and --replace are opposites", try_next="give one of them")
    with _ledger(host) as ledger, open_registry() as reg:
        _tell(sharing.share(reg, ledger, take_theirs=take_theirs, replace_theirs=replace))


@app.command()
def unshare(confirm: Annotated[bool, typer.Option("--yes", help="do it")] = False) -> None:
    """From now on this laptop's registry is its own. The host's stays as it is."""
    from core.registry.marks import mark_of, remove_mark

    mark = mark_of(locations.registry_path())
    if mark is None:
        raise UsageError("this registry is not shared", try_next="qa registry status")
    if not confirm:
        raise UsageError(
            f"no longer sharing with {mark.host} was not confirmed",
            try_next="qa registry unshare --yes",
        )
    remove_mark(locations.registry_path())
    print(f"not shared any more; the registry of record stays on {mark.host}")


@app.command()
def sync(json: Json = False) -> int:
    """Bring this replica and the registry of record together. Exit 5 if changes of ours were lost."""
    from core.registry import open_registry, sharing

    with _ledger(_shared_with()) as ledger, open_registry() as reg:
        found = sharing.sync(reg, ledger)
    if json:
        as_json(found)
    else:
        _tell(found)
    return ChangedUnderYou.exit_code if found.lost else 0


@app.command()
def status(json: Json = False) -> None:
    """Where the registry is, how it stands, and with whom it is shared. Asks no host."""
    from core.registry import audit, maintenance, open_registry, sharing
    from core.registry.marks import mark_of
    from core.registry.migrations_known import MIGRATIONS

    path = locations.registry_path()
    with open_registry(path) as reg:
        mark = mark_of(path)
        ahead = sharing.unshared(reg, mark.head) if mark else ()
        found = {
            "file": str(path),
            "bytes": maintenance.size(reg),
            "schema": MIGRATIONS[-1],
            "audit": audit.mark(reg),
            "backups": [p.name for p in maintenance.backups(path)],
            "shared_with": mark.host if mark else None,
            "synced_at": mark.at if mark else None,
            "record": mark.head if mark else None,
            "not_there_yet": ahead,
        }
    if json:
        as_json(found)
        return
    rows = [[k, found[k]] for k in ("file", "bytes", "schema", "audit", "shared_with")]
    if mark is not None and mark.head is not None:
        head = mark.head
        rows.append(["record", f"generation {head.generation}, by {head.who} on {head.origin}"])
        rows.append(["synced", mark.at])
        rows.append(["not there yet", f"{len(ahead)} decisions"])
    rows.append(["backups", str(len(maintenance.backups(path)))])
    table(["", ""], [[k, str(v) if v is not None else None] for k, v in rows])


def _shared_with() -> str:
    from core.registry.marks import mark_of

    mark = mark_of(locations.registry_path())
    if mark is None:
        raise UsageError("this registry is not shared", try_next="qa registry share --host NAME")
    return mark.host


@contextmanager
def _ledger(host: str) -> Iterator[HostLedger]:
    from remote.ledger import HostLedger
    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import Line, check_host_name

    check_host_name(host)
    line = Line(host, terminal_prompter())
    try:
        say(f"connecting to {host}")
        yield HostLedger(line.route(), host)
    finally:
        line.close()


def _tell(found: Synced) -> None:
    words = {
        "same": "nothing to do",
        "pulled": "taken over from there",
        "pushed": "put there",
        "merged": "brought together",
        "lost": "theirs taken over; other operators were first",
    }
    print(f"{words[found.outcome]}: generation {found.head.generation}")
    if not found.lost:
        return
    say(f"changed under you: look again. These did not make it (kept in {found.aside}):")
    for entry in found.lost:
        out(f"  {entry.at}  {entry.action} {entry.subject}  {entry.why}")
