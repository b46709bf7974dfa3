"""`qa eval`: two evaluations side by side, everything that is known of one question's answers, and what
people and a judge model say of them (labelling.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import NotFound, UsageError
from tui.cli import labelling
from tui.cli.show import as_json, out, table

app = typer.Typer(help="Evaluations of versions.", no_args_is_help=True)
labelling.add_to(app)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
_HOW = {"regression": "worse", "invented": "right, but invents", "improvement": "better"}
SHOWN = 90  # characters of a question in the table


@app.callback()
def _group() -> None:
    """Evaluations of versions."""


@app.command("compare")
def compare(
    a: Annotated[str, typer.Argument(help="a version, or a scores.json")],
    b: Annotated[str, typer.Argument(help="the one to hold against it")],
    system: Annotated[str, typer.Option(help="which system of the two")] = "tuned",
    json: Json = False,
) -> None:
    """B against A on the questions that both answered: paired test, flips with regressions first."""
    from core.evaluation.compare import compare_scores
    from core.evaluation.pages.flips import by_category

    try:
        found = compare_scores(_scores(a), _scores(b), system=system)
    except (KeyError, TypeError) as e:
        raise UsageError(
            "these scores have no answers to compare",
            why=f"missing: {e}",
            try_next="evaluate both again",
        ) from e
    if not found["n"]:
        raise UsageError(
            f"{a} and {b} have no answered question of system {system!r} in common",
            try_next="--system NAME",
        )
    found = {"a": a, "b": b, "system": system, **found, "categories": by_category(found)}
    if json:
        as_json(found)
    else:
        _show(found)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="VERSION", help="a version, or a scores.json")],
    question: Annotated[str, typer.Argument(help="id of a golden question")],
    json: Json = False,
) -> None:
    """One question: what every system answered, to which prompt, with grade, facts and markers."""
    from core.evaluation.evidence import evidence_of

    found = evidence_of(_scores(name), _answers(name), question)
    if json:
        as_json(found)
        return
    out(f"{found['id']} · {found['category']} · expects: {found['expects']}")
    out(f"asked:  {found['question']}")
    out(f"wanted: {found['expected_answer']}")
    for pair in found["nearest"]:
        out(f"near:   {pair['id']} ({pair['coverage']:.2f}) {pair['question']}")
    for system, row in found["systems"].items():
        out(f"\n{system}: {row['grade']}{' · ' + row['cause'] if row.get('cause') else ''}")
        table(["", ""], [[k, v] for k, v in _told(row)])


def _told(row: dict[str, Any]) -> list[tuple[str, str]]:
    """What there is to say of an answer, in a person's order."""
    markers = [f"{m['text']} {m['class']}" for m in row.get("markers", ())]
    lists = {k: row.get(k) for k in ("matched", "missing", "contradictions", "forbidden")}
    seconds = row.get("latency_s") if row.get("latency_s") is not None else row.get("seconds")
    how = "alone" if row.get("latency_s") is not None else f"in a batch of {row.get('batch')}"
    told = [
        ("answer", row.get("answer")),
        ("markers", "; ".join(markers)),
        *((k, "; ".join(v)) for k, v in lists.items() if v),
        ("from nowhere", "; ".join(row.get("confabulated") or ())),
        ("prompt", row.get("prompt")),
        ("raw", row.get("raw")),
        ("tokens", row.get("tokens")),
        ("took", None if seconds is None else f"{seconds:.2f} s, {how}"),
        ("reused", "from an earlier evaluation" if row.get("reused") else None),
    ]
    return [(k, str(v)) for k, v in told if v not in (None, "")]


def _show(found: dict[str, Any]) -> None:
    from core.evaluation.flips import Flips, counted
    from core.evaluation.pages.fields import percent, probability

    was, now = (percent(found["accuracy"][k]) for k in ("a", "b"))
    flips = Flips.between(found).all
    out(
        f"{found['b']} against {found['a']} on {found['n']} questions: accuracy {was} → {now} per cent;"
        f" {counted(flips)}; p = {probability(found['p_value'])} (exact McNemar)"
    )
    if found["categories"]:
        table(
            ["category", "worse", "better", "p", "p (Holm)"],
            [
                [
                    k,
                    c.get("losses"),
                    c.get("wins"),
                    *(probability(c.get(p)) for p in ("p_value", "holm_p")),
                ]
                for k, c in found["categories"].items()
            ],
        )
    if flips:
        table(
            ["", "id", "category", "question"],
            [[_HOW[f.kind], f.id, f.category, f.question[:SHOWN]] for f in flips],
        )


def _scores(name: str) -> dict[str, Any]:
    """Of a version's newest evaluation, or of a file. Raises NotFound, UsageError."""
    import json

    path = Path(name)
    if path.suffix == ".json":
        try:
            found = json.loads(path.read_text("utf-8"))
        except OSError as e:
            raise NotFound(f"no file {name}", why=e.strerror or str(e)) from e
        except ValueError as e:
            raise UsageError(f"{name} is no JSON", why=str(e)) from e
        if not isinstance(found, dict):
            raise UsageError(f"{name} is no scores.json")
        return found
    from core.registry import evaluations, open_registry, versions

    reg = open_registry()
    versions.get(reg, name)
    newest = evaluations.latest(reg, name)
    if newest is None:
        raise NotFound(f"{name} has not been evaluated", try_next=f"qa jobs evaluate {name}")
    return newest.scores


def _answers(name: str) -> Path:
    """Folder of the answers of a version's newest evaluation, or beside a file; may not be there."""
    from core import locations
    from core.registry import evaluations, open_registry

    if Path(name).suffix == ".json":
        return Path(name).parent / "answers"
    newest = evaluations.latest(open_registry(), name)
    job = newest.job_id if newest is not None else None
    mirrored = sorted((locations.state_dir() / "mirror").glob(f"*/{job}/artifacts/answers"))
    return mirrored[0] if job and mirrored else Path("answers")
