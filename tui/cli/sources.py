"""`qa sources`: what a marker may point to, and what answers cited that is not known."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import UsageError
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.registry import Registry

app = typer.Typer(help="What a marker may point to.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command("list")
def list_sources(
    text: Annotated[str, typer.Argument(help="part of an id, name or address")] = "",
    json: Json = False,
) -> None:
    """Known sources by id."""
    from core.registry import sources as store

    with _registry() as reg:
        chosen = {s.source_id for s in store.search(reg, text, limit=1_000_000)}
        found = [row for row in store.rows(reg) if row["source_id"] in chosen]
    if json:
        as_json(found)
    else:
        columns = ["source_id", "status", "display_name", "url"]
        table(columns, [[f[c] for c in columns] for f in found])


@app.command("show")
def show_source(source_id: str, json: Json = True) -> None:
    """One source as JSON, and where it leads if it was renamed."""
    from core.registry import source_patterns
    from core.registry import sources as store

    with _registry() as reg:
        found = store.get(reg, source_id)
        index = store.index(reg)
        target = index.resolve(source_id)
        leads = target.source_id if target and target.source_id != source_id else None
        pattern = source_patterns.proposed_url(reg, source_id)
    as_json({**asdict(found), "leads_to": leads, "by_pattern": pattern})


@app.command("import")
def import_sources(
    file: Annotated[Path, typer.Argument(help=".yaml, .csv, .json or .jsonl")],
    skip_bad: Annotated[
        bool, typer.Option(help="take the good rows although others are faulty")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would change")] = False,
    json: Json = False,
) -> int:
    """Add and replace sources; all or none. Exit 2 where rows are faulty."""
    from core.registry import source_patterns
    from core.registry import sources as store
    from core.source_files import read_sources

    found = read_sources(file)
    for fault in found.faults:
        say(f"{file.name}: row {fault.row}: {fault.source_id}: {fault.what}")
    if found.faults and not skip_bad:
        raise UsageError(
            f"{file}: {len(found.faults)} faulty rows; nothing was changed",
            try_next="mend them, or take the good ones with --skip-bad",
        )
    with _registry(decides=not dry_run) as reg:
        before = {row["source_id"]: row for row in store.rows(reg)}
        new = [r["source_id"] for r in found.rows if r["source_id"] not in before]
        changed = [
            r["source_id"] for r in found.rows if before.get(r["source_id"]) not in (None, r)
        ]
        if not dry_run:
            with reg.writing():
                store.upsert_many(reg, found.rows, why=f"imported from {file.name}")
                for domain, template in found.patterns.items():
                    source_patterns.set_pattern(reg, domain, template)
    told = {"rows": len(found.rows), "new": new, "changed": changed, "faulty": len(found.faults)}
    if json:
        as_json({**told, "dry_run": dry_run})
    else:
        verb = "would be" if dry_run else "were"
        out(f"{len(new)} {verb} added, {len(changed)} changed, {len(found.faults)} faulty")
    return 2 if found.faults else 0


@app.command("export")
def export_sources(
    file: Annotated[Path | None, typer.Argument(help="else stdout")] = None,
    to: Annotated[str | None, typer.Option("--format", help="yaml, csv, json or jsonl")] = None,
) -> None:
    """The whole registry of sources; `import` reads it back exactly."""
    from core.registry import source_patterns
    from core.registry import sources as store
    from core.source_files import format_of, write_sources

    kind = to or (format_of(file) if file else "yaml")
    with _registry() as reg:
        text = write_sources(store.rows(reg), source_patterns.patterns(reg), kind)
    if file is None:
        out(text.rstrip("\n"))
        return
    from tui.cli.writing import write_file

    write_file(file, text)
    say(f"written: {file}")


@app.command("unknown")
def list_unknown(
    everything: Annotated[bool, typer.Option("--all", help="settled ones too")] = False,
    json: Json = False,
) -> None:
    """Sources that answers cited and the registry does not know: counts, versions, an example."""
    from core.registry import source_patterns
    from core.registry import sources as store

    with _registry() as reg:
        found = [
            {**asdict(u), "proposed_url": source_patterns.proposed_url(reg, u.source_id)}
            for u in store.unknown(reg, open_only=not everything)
        ]
    if json:
        as_json(found)
    else:
        columns = [
            "source_id",
            "occurrences",
            "first_seen",
            "last_seen",
            "model_version",
            "example",
        ]
        table(
            ["source_id", "times", "first seen", "last seen", "version", "example"],
            [[*(f[c] for c in columns[:-1]), str(f["example"])[:60]] for f in found],
        )


@app.command("resolve")
def resolve(
    source_id: str,
    name: Annotated[str | None, typer.Option(help="display name: it is a source")] = None,
    url: Annotated[
        str | None, typer.Option(help="its address; default: by the URL pattern")
    ] = None,
    alias: Annotated[str | None, typer.Option(help="it is another name of this source")] = None,
    dismiss: Annotated[str | None, typer.Option(help="it is none; why")] = None,
    json: Json = False,
) -> None:
    """Settle an unknown source: --name (it exists), --alias ID (another name), or --dismiss WHY."""
    from core.registry import source_patterns
    from core.registry import sources as store

    if sum(x is not None for x in (name, alias, dismiss)) != 1:
        raise UsageError(
            "say one of --name, --alias and --dismiss",
            try_next=f"qa sources resolve {source_id} --name 'what a reader sees'",
        )
    with _registry(decides=True) as reg:
        if name is not None:
            address = source_patterns.proposed_url(reg, source_id) if url is None else url
            store.resolve_unknown(reg, source_id, name, address or "")
        elif alias is not None:
            store.alias_unknown(reg, source_id, alias)
        else:
            store.dismiss_unknown(reg, source_id, dismiss or "")
    verb = "resolved" if name is not None else "alias" if alias is not None else "dismissed"
    if json:
        leads = source_id if name is not None else alias
        as_json({"source_id": source_id, "resolution": verb, "resolved_to": leads})
    else:
        out(f"{source_id}: {f'an alias of {alias}' if verb == 'alias' else verb}")


@app.command("pattern")
def pattern(
    domain: Annotated[str | None, typer.Argument(help="else all are listed")] = None,
    template: Annotated[str | None, typer.Argument(help="e.g. https://host/x/{entity_id}")] = None,
    json: Json = False,
) -> None:
    """List or set where the pages of a domain's entities lie."""
    from core.registry import source_patterns

    with _registry(decides=bool(template)) as reg:
        if domain and template:
            source_patterns.set_pattern(reg, domain, template)
        found = source_patterns.patterns(reg)
    rows = {d: t for d, t in sorted(found.items()) if domain in (None, d)}
    if json:
        as_json(rows)
    else:
        table(["domain", "pattern"], [list(r) for r in rows.items()])


def _registry(*, decides: bool = False) -> AbstractContextManager[Registry]:
    from core.registry import open_registry
    from tui.cli.registries import deciding_registry

    return deciding_registry() if decides else open_registry(how="cli")
