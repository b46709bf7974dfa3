"""`qa golden`: the golden set, checked, listed and added to."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import NotFound, UsageError
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.evaluation.golden.checks import Report
    from core.evaluation.golden.editing import Merge
    from core.evaluation.golden.sets import GoldenSet, Mount
    from core.pairs import Pair

app = typer.Typer(help="The golden set.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Maybe = Annotated[Path | None, typer.Argument(help="default: what configs/golden.yaml mounts")]
Also = Annotated[list[Path] | None, typer.Option(help="mount this file beside it; repeatable")]
Target = Annotated[Path, typer.Argument(help="the golden file (JSONL); made if it is not there")]


@app.command("check")
def check_golden(
    file: Maybe = None,
    also: Also = None,
    pairs: Annotated[
        list[Path] | None, typer.Option(help="training pairs; default: the corpus' own")
    ] = None,
    snapshot: Annotated[str, typer.Option(help="a frozen snapshot instead of pairs")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="exit 2 for findings, too")] = False,
    json: Json = False,
) -> int:
    """Labels, counts by category, alike questions, and what the training data give away."""
    from core.corpus import corpus_dir, load_sources
    from core.evaluation.golden.checks import check, raise_faults
    from core.evaluation.golden.known import tools_of

    trained = _pairs(pairs, snapshot)
    listed = corpus_dir() / "sources.yaml"
    sources = {row["source_id"] for row in load_sources().rows} if listed.is_file() else set()
    report = check(
        _mounts(file, also), pairs=trained, sources=sources, tools=tools_of(trained or ())
    )
    if json:
        as_json(report.as_json())
    raise_faults(report)
    if not json:
        _show_report(report)
    return 2 if strict and report.findings else 0


@app.command("list")
def list_golden(
    file: Maybe = None,
    also: Also = None,
    category: Annotated[str, typer.Option(help="of this category only")] = "",
    set: Annotated[str, typer.Option(help="of this set only")] = "",
    text: Annotated[str, typer.Option(help="with this in id or question")] = "",
    paraphrases: Annotated[
        bool, typer.Option("--paraphrases", help="those as questions of their own, too")
    ] = False,
    json: Json = False,
) -> None:
    """The questions, in the order of the files."""
    from core.evaluation.deferral import expects

    golden = _load(file, also, paraphrases=paraphrases)
    _known(category, {q.category for q in golden.questions}, "category")
    _known(set, {q.set for q in golden.questions}, "set")
    part = text.casefold()
    found = [
        q
        for q in golden.questions
        if category in ("", q.category)
        and set in ("", q.set)
        and part in f"{q.id}\n{q.question}".casefold()
    ]
    if json:
        parts = [asdict(p) for p in golden.parts]
        rows = [q.as_row() for q in found]
        as_json({"sha256": golden.sha256, "parts": parts, "questions": rows})
        return
    table(
        ["id", "set", "category", "wants", "question"],
        [
            [q.id, q.set, q.category, "canary" if q.canary else expects(q), q.question]
            for q in found
        ],
    )
    say(f"{len(found)} of {len(golden.questions)} questions, version {golden.sha256[:12]}")


@app.command("show")
def show_golden(
    id: str,
    file: Annotated[
        Path | None, typer.Option(help="default: what configs/golden.yaml mounts")
    ] = None,
    also: Also = None,
    json: Json = False,
) -> None:
    """One question with its labels, and what grades an answer to it."""
    from difflib import get_close_matches

    from core.evaluation.golden.files import expand
    from core.evaluation.grading import Grader

    golden = _load(file, also)
    by_id = {q.id: q for q in expand(golden.questions)}
    if id not in by_id:
        near = get_close_matches(id, list(by_id), 1)
        raise NotFound(
            f"no golden question {id!r}",
            try_next=f"did you mean {near[0]!r}?" if near else "qa golden list",
        )
    q = by_id[id]
    graded = Grader(q).grade(q.expected_answer)
    about = {**q.as_row(), "wants": Grader(q).expects, "rule": graded.rule}
    if json:
        as_json(about)
        return
    for name, value in about.items():
        if value in ([], (), "", False):
            continue
        for item in value if isinstance(value, list | tuple) else [value]:
            out(f"{name}: {_said(item)}")
            name = " " * len(name)


@app.command("add")
def add_question(
    file: Target,
    category: Annotated[str, typer.Option()] = "",
    question: Annotated[str, typer.Option()] = "",
    answer: Annotated[str, typer.Option(help="a right answer in words")] = "",
    fact: Annotated[
        list[str] | None, typer.Option(help='"256 GB", or "Slurm|SLURM"; repeatable')
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="domain:entity_id")] = None,
    tool: Annotated[
        list[str] | None, typer.Option(help="live tool; makes the question DYNAMIC")
    ] = None,
    forbid: Annotated[list[str] | None, typer.Option(help="text no answer may hold")] = None,
    paraphrase: Annotated[list[str] | None, typer.Option(help="the same in other words")] = None,
    cite: Annotated[
        bool | None, typer.Option(help="a citation is expected; default: with a source")
    ] = None,
    canary: Annotated[bool, typer.Option("--canary", help="asks for an invented thing")] = False,
    id: Annotated[str, typer.Option(help="default: the next free one")] = "",
    also: Also = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only check it")] = False,
    json: Json = False,
) -> None:
    """Add one question: from options, or without --question one JSON object from stdin."""
    from core.evaluation.golden import GoldenFileError
    from core.evaluation.golden.editing import merge
    from core.evaluation.golden.rows import RowReader
    from core.evaluation.golden.tables import RawRow, fact_of

    if question:
        data: dict[str, Any] | None = {
            "category": category,
            "question": question,
            "expected_answer": answer,
            "key_facts": [fact_of(f) for f in fact or ()],
            "expected_sources": source or [],
            "expected_tools": tool or [],
            "query_type": "DYNAMIC" if tool else "STATIC",
            "citation_expected": bool(source) if cite is None else cite,
            "forbidden": forbid or [],
        }
        assert data is not None
        optional = {"id": id, "paraphrases": paraphrase, "canary": canary}
        data |= {name: value for name, value in optional.items() if value}
        row = RawRow("options", 0, data)
    else:
        if sys.stdin.isatty():
            raise UsageError(
                "no question was given", try_next="--question TEXT …, or one JSON object on stdin"
            )
        reader = RowReader("stdin", 1)
        data = reader.parse(sys.stdin.read(1 << 24))
        if data is None or reader.faults:
            raise GoldenFileError(reader.faults)
        row = RawRow("stdin", 1, data)
    done = merge(file, [row], others=_others(file, also), dry_run=dry_run)
    if done.faults:
        raise GoldenFileError(list(done.faults))
    _tell_alike(done, file, also)
    _tell_merge(done, file, 0, json, dry_run)


@app.command("import")
def import_questions(
    source: Annotated[Path, typer.Argument(help=".csv or .jsonl")],
    file: Target,
    also: Also = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="questions whose id is there already")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="take the good rows although others are faulty")
    ] = False,
    aside: Annotated[
        Path | None, typer.Option(help="where good rows are kept if others are faulty")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would change")] = False,
    json: Json = False,
) -> int:
    """Add the questions of a file. With a faulty row nothing is added unless --skip-bad is given (on a
    terminal: unless you say so); the good rows are kept aside. Exit 2 where rows are faulty."""
    from core.evaluation.golden.editing import merge
    from core.evaluation.golden.tables import read_table, write_table

    given = read_table(source)
    others = _others(file, also)

    def run(*, skip: bool, dry: bool) -> Merge:
        return merge(file, given.rows, others=others, replace=replace, skip_bad=skip, dry_run=dry)

    done = run(skip=True, dry=True)
    faults = sorted([*given.faults, *done.faults], key=lambda f: f.line)
    for fault in faults:
        say(f"{fault} (try: {fault.try_next})")
    kept: Path | None = None
    take = not faults or skip_bad
    if faults and not take and not dry_run and done.good:
        if sys.stdin.isatty() and not json:
            take = typer.confirm(f"add the {len(done.good)} good questions?", err=True)
        if not take:
            kept = aside or source.with_name(f"{source.stem}.good.jsonl")
            _new_file(kept, write_table(done.good, "jsonl"))
            say(f"{len(done.good)} good rows are kept in {kept}; nothing was added")
    if take and not dry_run:
        done = run(skip=True, dry=False)
        _tell_alike(done, file, also)
    _tell_merge(done, file, len(faults), json, dry_run or not take, kept)
    return 2 if faults else 0


@app.command("export")
def export_questions(
    file: Maybe = None,
    to: Annotated[Path | None, typer.Option(help="else stdout")] = None,
    format: Annotated[str, typer.Option(help="jsonl or csv; default: by the suffix")] = "",
    also: Also = None,
) -> None:
    """The questions with all their fields and notes; `import` reads them back exactly."""
    from core.evaluation.golden import GoldenFileError
    from core.evaluation.golden.sets import read_mounts
    from core.evaluation.golden.tables import FORMATS, format_of, write_table
    from core.jobdir import write_atomic

    kind = format or (format_of(to) if to else "jsonl")
    _known(kind, FORMATS, "format")
    readings, faults = read_mounts(_mounts(file, also))
    if faults:
        raise GoldenFileError(list(faults))
    rows = [line.data for _, reading in readings for line in reading.lines]
    data = write_table(rows, kind)
    if to is not None:
        try:
            write_atomic(to, data)
        except OSError as e:
            raise UsageError(f"{to}: cannot be written", why=str(e.strerror)) from e
        say(f"{len(rows)} questions written: {to}")
    elif sys.stdout.isatty():
        out(data.decode("utf-8-sig").rstrip("\n"))
    else:
        sys.stdout.write(data.decode())


def _mounts(file: Path | None, also: Iterable[Path] | None) -> list[Mount]:
    from core.evaluation.golden.sets import mounts, named

    first = list(mounts()) if file is None else [named(file)]
    return [*first, *map(named, also or ())]


def _others(file: Path, also: Iterable[Path] | None) -> list[Mount]:
    """What shares its ids with `file`: the files it is mounted with, and those named."""
    from core.evaluation.golden.sets import beside, named

    return [*beside(file), *map(named, also or ())]


def _load(
    file: Path | None, also: Iterable[Path] | None, *, paraphrases: bool = False
) -> GoldenSet:
    from core.evaluation.golden.sets import load_set

    return load_set(_mounts(file, also), paraphrases=paraphrases)


def _pairs(files: list[Path] | None, snapshot: str) -> list[Pair] | None:
    if snapshot:
        from core.registry import open_registry
        from core.registry import snapshots as store

        if files:
            raise UsageError("say one of --pairs and --snapshot")
        return list(store.iter_pairs(open_registry(), snapshot))
    from core.corpus import pair_files
    from core.errors import PairsError
    from core.pairs import read_pairs

    try:
        return list(read_pairs(files or pair_files()).pairs)
    except PairsError:
        if files:
            raise
        say("no training pairs in the corpus: what they give away is not looked at")
        return None


def _known(name: str, known: Iterable[str], what: str) -> None:
    from difflib import get_close_matches

    names = sorted(known)
    if name and name not in names:
        near = get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        shown = ", ".join(n for n in names if n)
        raise UsageError(f"no {what} {name!r}", try_next=f"{hint}one of: {shown}")


def _new_file(path: Path, data: bytes) -> None:
    """Good rows put aside must not cost somebody an older file."""
    try:
        with open(path, "xb") as f:
            f.write(data)
    except OSError as e:
        raise UsageError(
            f"{path}: the good rows cannot be kept there ({e.strerror}); nothing was added",
            try_next="name another place with --aside, or add them with --skip-bad",
        ) from e


def _tell_alike(done: Merge, file: Path, also: Iterable[Path] | None) -> None:
    """Questions that come close to others: worth a word, no reason to refuse them."""
    from core.evaluation.golden.sets import read_mounts
    from core.near_duplicates import near_duplicates

    readings, _ = read_mounts([*_mounts(file, also), *_others(file, None)])
    added = {q.id for q in done.questions}
    old = [q for _, r in readings for q in r.questions if q.id not in added]
    for d in near_duplicates([q.question for q in done.questions], [q.question for q in old]):
        say(f"{done.questions[d.golden].id} comes close to {old[d.training].id}: read both")


def _tell_merge(
    done: Merge, file: Path, faulty: int, json: bool, dry_run: bool, kept: Path | None = None
) -> None:
    from core.evaluation.golden import golden_sha256

    told = {
        "file": str(file),
        "sha256": golden_sha256(file) if file.is_file() else None,
        "new": done.new,
        "changed": done.changed,
        "same": done.same,
        "faulty": faulty,
        "kept": str(kept) if kept else None,
        "dry_run": dry_run,
    }
    if json:
        as_json(told)
        return
    for name in (*done.new, *done.changed):
        out(name)
    verb = "would be" if dry_run else "were"
    say(
        f"{file}: {len(done.new)} {verb} added, {len(done.changed)} changed, "
        f"{len(done.same)} are there already, {faulty} faulty"
    )


def _said(value: Any) -> str:
    if isinstance(value, dict):
        text = f"{value['value']:,} {value['unit']}".strip()
        extra = [f"{k}: {v}" for k, v in value.items() if k in ("tolerance", "aliases")]
        return f"{text} ({'; '.join(extra)})" if extra else text
    return " | ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _show_report(report: Report) -> None:
    from core.evaluation.golden import DESIGN_COUNTS

    table(
        ["category", "questions", "design"],
        [[c, n, DESIGN_COUNTS[c]] for c, n in report.categories.items()],
    )
    print()
    table(["", "n"], report.counts.items())
    print()
    table(
        ["file", "set", "questions", "version"],
        [[p.path, p.name, p.items, p.sha256[:12]] for p in report.parts],
    )
    if report.contamination:
        print()
        strata = report.contamination.strata.items()
        table(["stratum (paraphrases included)", "questions"], strata)
    if report.findings:
        print()
        rows = [[f.kind, f.id, f.what, f.try_next] for f in report.findings]
        table(["finding", "id", "what", "try"], rows)
    say(f"version {report.sha256}; {len(report.findings)} findings")
