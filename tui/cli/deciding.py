"""`qa gates`, `qa report`, `qa checklist`: what a decision rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core import locations
from core.errors import NotFound, QAError, UsageError
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.evaluation.pages.dossier import Dossier
    from core.evaluation.pages.model import Page

gates = typer.Typer(help="The gates of a release.", no_args_is_help=True)
checklist = typer.Typer(help="The pilot's sixteen items.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
GATE_COLUMNS = "gate verdict target estimate low high n n_needed action".split()


def add_to(root: typer.Typer) -> None:
    root.command("report")(report)


@gates.command("check")
def gates_check(
    version: str,
    gates_file: Annotated[
        Path | None, typer.Option("--gates", help="judge by this file, not as it was evaluated")
    ] = None,
    json: Json = False,
) -> int:
    """The verdict of each gate for a version, from its newest evaluation. Exit 5 unless GO."""
    from core.evaluation.pages.verdict import named_action, sentence

    scores = _scores(version)
    if gates_file is not None:
        scores = _judged_by(scores, gates_file)
    rows = [
        {**g, "action": named_action(g, scores) or g.get("action", "")} for g in scores["gates"]
    ]
    if json:
        as_json(
            {
                "version": version,
                "verdict": scores["verdict"],
                "sentence": sentence(scores),
                "gates": rows,
                "reasons": scores.get("reasons", []),
            }
        )
    else:
        table(GATE_COLUMNS, [[g.get(c) for c in GATE_COLUMNS] for g in rows])
        out(scores["verdict"])
    if gates_file is None:
        _say_if_changed(version, str(scores["verdict"]))
    return 0 if scores["verdict"] == "GO" else 5


def report(
    version: str,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="write it there: FILE.html, or else Markdown")
    ] = None,
    json: Json = False,
) -> None:
    """The GO / NO-GO report of a version: for leadership as one HTML file, for terminals as text."""
    from core.evaluation.pages.compose import compose
    from core.evaluation.pages.gather import gather
    from core.evaluation.pages.text import text
    from core.registry import open_registry

    dossier = gather(open_registry(), version, locations.state_dir() / "mirror")
    page = compose(dossier)
    written = _write(page, out_file) if out_file is not None else {}
    if json:
        as_json(_report_json(dossier, page) | written)
    elif out_file is None:
        out(text(page))
    if out_file is not None:
        say(f"wrote {out_file}")


def _write(page: Page, path: Path) -> dict[str, Any]:
    """The file, its hash and whether it has pictures. Raises UsageError."""
    import hashlib

    from core.evaluation.pages import charts
    from core.evaluation.pages.html import html
    from core.evaluation.pages.markdown import markdown
    from core.jobdir import write_atomic

    as_html = path.suffix.lower() in (".html", ".htm")
    data = (html(page) if as_html else markdown(page)).encode()
    try:
        write_atomic(path, data)
    except OSError as e:
        raise UsageError(
            f"cannot write {path}", why=e.strerror or str(e), try_next="--out another file"
        ) from e
    drawn = as_html and charts.available()
    if as_html and not drawn:
        say(charts.MISSING)
    digest = hashlib.sha256(data).hexdigest()
    return {"file": str(path), "sha256": digest, "bytes": len(data), "pictures": drawn}


def _report_json(d: Dossier, page: Page) -> dict[str, Any]:
    from core.evaluation.pages.fields import candidate, mapping, rows, texts
    from core.evaluation.pages.flips import by_category
    from core.evaluation.pages.record import digests, signed
    from core.evaluation.pages.verdict import named_action

    s = d.scores
    flips = mapping(d.flips.get("flips"))
    return {
        "version": page.name,
        "verdict": page.verdict,
        "sentence": page.lead,
        "headline": texts(s.get("headline")),
        "gates": [
            {**g, "action": named_action(g, s) or g.get("action", "")} for g in rows(s.get("gates"))
        ],
        "systems": mapping(s.get("systems")),
        "against_previous": {
            "version": d.flips_from,
            "n": d.flips.get("n"),
            "regressions": [r.get("id") for r in rows(flips.get("regressions"))],
            "invented": [r.get("id") for r in rows(flips.get("invented"))],
            "improvements": [r.get("id") for r in rows(flips.get("improvements"))],
            "p_value": d.flips.get("p_value"),
            "categories": by_category(d.flips),
        }
        if flips
        else None,
        "causes": mapping(mapping(s.get("causes")).get(candidate(s))),
        "signatures": signed(d),
        "hashes": dict(digests(d)),
    }


def _scores(version: str) -> dict[str, Any]:
    from core.registry import evaluations, open_registry, versions

    reg = open_registry()
    versions.get(reg, version)
    found = evaluations.latest(reg, version)
    if found is None:
        raise NotFound(f"{version} has not been evaluated")
    return found.scores


def _judged_by(scores: dict[str, Any], path: Path) -> dict[str, Any]:
    """The scores with the verdict and gates of another file. Raises SettingsError, UsageError."""
    from core.evaluation.gates import load_gates
    from core.evaluation.rejudge import reasons, rejudge

    verdict, results = rejudge(scores, load_gates(path))
    rows = [r.as_dict() for r in results]
    return {**scores, "verdict": verdict, "gates": rows, "reasons": list(reasons(results))}


def _say_if_changed(version: str, verdict: str) -> None:
    """A promotion is judged by the gates of its own moment: say where they have moved on."""
    from core.registry import open_registry
    from tui.desk.release import judge_now

    try:
        now = judge_now(open_registry(), version)
    except QAError as e:
        say(f"the gates of now cannot be read: {e.what}")
        return
    if now is not None and not now.gates and now.reasons:
        say(f"the gates of now cannot be used: {now.reasons[0]}")
    elif now is not None and now.verdict != verdict:
        say(f"as it was evaluated; by configs/gates.yaml as it is now: {now.verdict}")


@checklist.command("list")
def checklist_list(json: Json = False) -> None:
    """Every item, its state and its newest evidence."""
    from core.registry import open_registry
    from tui.desk.checklist import rows

    found = rows(open_registry())
    if json:
        as_json(found)
    else:
        newest = [
            [i.week, i.id, i.state, i.title, i.evidence[0].summary if i.evidence else ""]
            for i in found
        ]
        table(["week", "id", "state", "item", "evidence"], newest)


@checklist.command("run")
def checklist_run(item: str, host: str = "sandbox", recipe: str = "smollm2-135m") -> int:
    """Run the check of one item on a host and store the evidence. Exit 4 if it failed."""
    from tui.desk.workbench import Workbench

    bench = Workbench(host, recipe=recipe)
    try:
        bench.connect()
        evidence = bench.run_item(item, say)
    finally:
        bench.close()
    out(f"{evidence.outcome}: {evidence.summary}")
    if evidence.detail:
        for line in evidence.detail.splitlines():
            say(line)
    return 4 if evidence.outcome == "fail" else 0


@checklist.command("note")
def checklist_note(item: str, text: str, json: Json = False) -> None:
    """Store what you saw or did as evidence of an item, for what no program can check."""
    from core.registry import checklist as items
    from tui.cli.registries import deciding_registry

    with deciding_registry() as reg:
        stored = items.add_evidence(reg, item, "note", text)
    if json:
        as_json(stored)
    else:
        say(f"noted: {stored.summary}")


@checklist.command("decide")
def checklist_decide(
    decision: Annotated[str, typer.Argument(metavar="GO|NO-GO")],
    reason: Annotated[str, typer.Option(help="why; it is part of the record")],
) -> None:
    """Record GO or NO-GO on going on after the pilot, with your name and the reason."""
    from core.registry import checklist as items
    from tui.cli.registries import deciding_registry

    with deciding_registry() as reg:
        made = items.decide(reg, decision.upper(), reason)
    say(f"recorded: {made.decision}")
