"""`qa eval label`, `labels` and `judge`: second opinions of stored answers. No gate reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import NotFound, UsageError
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.registry import Registry
    from core.registry.evaluations import Evaluation

Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="an evaluated version")]
SHOWN = 60  # characters of a question in the table


def add_to(evaluations: typer.Typer) -> None:
    for name, command in (("label", label), ("labels", listed), ("judge", judge)):
        evaluations.command(name)(command)


def label(
    version: Version,
    question: Annotated[str, typer.Argument(help="id of a golden question")] = "",
    grade: Annotated[
        str, typer.Argument(metavar="LABEL", help="correct, incorrect or not_attempted")
    ] = "",
    system: Annotated[str | None, typer.Option(help="default: the system that is judged")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="many at once: CSV with id,label[,system]")
    ] = None,
    who: Annotated[str | None, typer.Option(help="default: you")] = None,
    json: Json = False,
) -> None:
    """Say what you think of a stored answer. Kept with who and when; the newest label counts."""
    from core.evaluation.judge import read_labels
    from core.registry import judging
    from tui.cli.registries import deciding_registry

    if (file is None) == (not (question and grade)):
        raise UsageError(
            "one label, or a file of them", try_next="qa eval label VERSION QUESTION correct"
        )
    given = (
        {(system or "", question): grade.lower().replace(" ", "_").replace("-", "_")}
        if file is None
        else read_labels(file)
    )
    named = {(of or system or "", name): said for (of, name), said in given.items()}
    with deciding_registry() as reg:
        _evaluated(reg, version)
        done = judging.give(reg, version, named, who=who)
    if json:
        as_json(done)
    for one in () if json else done:
        out(f"{one.question_id}  {one.label}  ({one.system}, by {one.who})")


def listed(
    version: Version,
    todo: Annotated[
        bool, typer.Option("--todo", help="answers without a label that counts")
    ] = False,
    system: Annotated[str | None, typer.Option(help="default: the system that is judged")] = None,
    json: Json = False,
) -> None:
    """Labels of a version's newest evaluation, and how far people, key facts and judge agree."""
    from core.evaluation.pages.gather import opinions_of
    from core.evaluation.pages.opinions import sentence
    from core.registry import judging, open_registry

    reg = open_registry()
    found = _evaluated(reg, version)
    name = system or str(found.scores.get("candidate") or "tuned")
    rows = [r for r in found.scores.get("questions", ()) if r.get("system") == name]
    labels = judging.labels(reg, rows)
    shown = [
        {"id": str(r.get("id")), "system": name, "grade": r.get("grade"),
         "label": said.label if said else None, "who": said.who if said else None,
         "at": said.at if said else None, "stale": said.stale if said else None,
         "question": str(r.get("question") or "")}
        for r in rows
        if todo in ((said := labels.get((name, str(r.get("id"))))) is None, not said or said.stale)
    ]  # fmt: skip
    agreement = opinions_of(reg, found.scores, found.scores_sha256)
    if json:
        as_json({"version": version, "rows": shown, "opinions": agreement})
        return
    if shown:
        table(
            ["id", "key facts", "label", "who", "at", "question"],
            [[r["id"], r["grade"], f"{r['label']} (stale)" if r["stale"] else r["label"],
              r["who"], str(r["at"] or "")[:16].replace("T", " ")
              or None, r["question"][:SHOWN]] for r in shown],
        )  # fmt: skip
    say(sentence(agreement) if agreement else "No answer of this evaluation is labelled yet.")


def judge(
    version: Version,
    endpoint: Annotated[str, typer.Option(help="an OpenAI-compatible API, on your own machines")],
    model: Annotated[str, typer.Option(help="the judge")],
    systems: Annotated[str, typer.Option(help="A,B,…; default: the system that is judged")] = "",
    api_key_env: Annotated[str, typer.Option(help="environment variable of its key")] = "",
    parallel: Annotated[int, typer.Option(min=1, help="requests at a time")] = 8,
    json: Json = False,
) -> None:
    """Let a judge model grade a version's stored answers, for people to look at. It goes on after a
    kill; the report then shows its kappa against key facts and people."""
    from core import locations
    from core.evaluation.judge_cli import judged, rows_of
    from core.evaluation.judge_cli import table as told
    from core.registry import judging, open_registry
    from tui.cli.registries import deciding_registry

    reg = open_registry()
    found = _evaluated(reg, version)
    name = systems or str(found.scores.get("candidate") or "tuned")
    rows = rows_of(found.scores, name, origin=version)
    labels = judging.counted(judging.labels(reg, rows))
    folder = locations.state_dir() / "judged" / found.scores_sha256[:16]
    document: dict[str, Any] = judged(
        rows, labels, folder, endpoint=endpoint, model=model, api_key_env=api_key_env,
        parallel=parallel,
    )  # fmt: skip
    with deciding_registry() as reg:  # anew: the judge may have taken an hour
        judging.keep(reg, found.scores_sha256, document, model_version=version)
    if json:
        as_json(document)
    else:
        out(told(document))


def _evaluated(reg: Registry, version: str) -> Evaluation:
    from core.registry import evaluations, versions

    versions.get(reg, version)
    found = evaluations.latest(reg, version)
    if found is None:
        raise NotFound(f"{version} has not been evaluated", try_next=f"qa jobs evaluate {version}")
    return found
