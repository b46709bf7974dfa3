"""`qa data`: training rows built from pairs, and what a training set contains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.cli.show import as_json, say, table

if TYPE_CHECKING:
    from core.augment.build import Built
    from core.augment.coverage import Coverage
    from core.evaluation.engines import Engine
    from core.pairs import Pair

app = typer.Typer(help="Training rows built from pairs.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Held = Annotated[
    list[Path] | None,
    typer.Option(
        "--held-out",
        help="golden files whose wordings must not be trained, beside the mounted golden set",
    ),
]
SHOWN = 20


@app.command("augment")
def augment(
    pairs: Annotated[list[Path], typer.Argument(help="JSONL files of pairs")],
    out: Annotated[Path, typer.Option(help="the training set; JSONL, replaced if it is there")],
    forms: Annotated[int, typer.Option(help="rows a fact gets at most")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="of every random choice")] = 0,
    deferrals: Annotated[float, typer.Option(help="share of rows that hand over or refuse")] = 0.15,
    premises: Annotated[float, typer.Option(help="share that answers a wrong premise")] = 0.05,
    held_out: Held = None,
    replay: Annotated[
        list[Path] | None, typer.Option(help="pairs of an earlier set, mixed in again")
    ] = None,
    replay_share: Annotated[float, typer.Option(help="their share of the mix, 0.2 to 0.5")] = 0.3,
    endpoint: Annotated[
        str, typer.Option(help="OpenAI-compatible address of a model that writes wordings")
    ] = "",
    model: Annotated[
        str, typer.Option(help="its name there; without --endpoint, a base model here")
    ] = "",
    key_env: Annotated[str, typer.Option(help="environment variable with the key")] = "",
    json: Json = False,
) -> None:
    """Every pair, other wordings of it, rows that defer, and old pairs, as a file to freeze.

    Answers stay as they are to the letter. Each built row names its pair and its form in its
    metadata. Same pairs, same options: the same file.
    """
    from core.augment.build import Plan, build
    from core.augment.held_out import golden_wordings
    from core.pairs import read_pairs, write_pairs

    plan = Plan(forms, deferrals, premises, replay_share=replay_share, seed=seed)
    good = _read(pairs)
    old = read_pairs(replay).require_pairs() if replay else []
    written = _written(good, endpoint, model, key_env) if endpoint or model else None
    built = build(good, plan, held_out=golden_wordings(held_out or ()), old=old, written=written)
    out.parent.mkdir(parents=True, exist_ok=True)
    whole = out.with_name(f".{out.name}.part")
    write_pairs(whole, built.rows)
    whole.replace(out)
    if json:
        as_json({"file": str(out), "pairs": len(good), **_counts(built)})
        return
    table(["what", "rows"], _counts_rows(len(good), built))
    say(f"{out}: {len(built.rows)} rows; look at them with `qa data coverage {out}`")


@app.command("coverage")
def show_coverage(
    files: Annotated[list[Path], typer.Argument(help="JSONL files of a training set")],
    held_out: Held = None,
    json: Json = False,
) -> int:
    """What a training set contains per fact. Exit 2 if something should be mended first."""
    from core.augment import templates
    from core.augment.coverage import coverage
    from core.augment.held_out import golden_wordings

    found = coverage(_read(files), templates.load(), golden_wordings(held_out or ()))
    if json:
        as_json(found.as_json())
    else:
        _show(found)
    return 2 if found.findings() else 0


def _read(files: list[Path]) -> list[Pair]:
    from core.pairs import read_pairs

    report = read_pairs(files)
    for problem in report.problems:
        say(str(problem))
    return report.require_pairs()


def _written(
    pairs: list[Pair], endpoint: str, model: str, key_env: str
) -> Mapping[str, Sequence[str]]:
    """What a model words anew; how much of it passed is told on stderr."""
    from core.augment import model_forms
    from core.citations import find

    engine: Engine
    if endpoint:
        from core.evaluation.endpoint import Endpoint, served_models
        from core.evaluation.openai_http import Limits, server

        there = server(endpoint, key_env)
        name = model or next(iter(served_models(there, Limits())), "")
        engine = Endpoint(there, name, 400)
    else:
        from core import base_models
        from core.evaluation.generate import load

        engine = load(base_models.resolve(model), max_new_tokens=256)
    try:
        result = model_forms.write([p for p in pairs if find(p.answer)], engine)
    finally:
        engine.close()
    kept = sum(map(len, result.kept.values()))
    say(f"the model gave {kept} wordings that pass, {sum(result.refused.values())} that do not")
    for reason, n in result.refused.items():
        say(f"  {n}  {reason}")
    return result.kept


def _counts(built: Built) -> dict[str, object]:
    from collections import Counter

    from core.augment.rows import form_of
    from core.augment.templates import kind

    families = Counter(kind(form_of(p)) or "as extracted" for p in built.rows)
    return {
        "rows": len(built.rows),
        "families": dict(families.most_common()),
        "replayed": built.replayed,
        "refused": built.refused,
        "too_close_to_held_out": built.kept_out,
    }


def _counts_rows(pairs: int, built: Built) -> list[list[object]]:
    counts = _counts(built)
    rows: list[list[object]] = [["pairs given", pairs]]
    for name in ("families", "refused", "too_close_to_held_out"):
        found = counts[name]
        assert isinstance(found, dict)
        prefix = {"families": "", "refused": "refused: "}.get(name, "too close to a held-out one: ")
        rows += [[f"{prefix}{k}", v] for k, v in found.items()]
    return [*rows, ["replayed", built.replayed], ["all", len(built.rows)]]


def _show(found: Coverage) -> None:
    wordings = sorted(f.wordings for f in found.facts)
    table(
        ["what", ""],
        [
            ["rows", found.rows],
            ["built from a pair", found.built],
            ["facts", len(found.facts)],
            ["wordings a fact, least", wordings[0] if wordings else 0],
            ["wordings a fact, median", wordings[len(wordings) // 2] if wordings else 0],
            ["rows that defer", f"{found.deferring} ({found.deferral_share:.0%})"],
            ["wrong premises", found.premises],
            ["too close to a held-out wording", len(found.contaminated)],
        ],
    )
    if found.thin:
        print()
        rows = [[f.wordings, f.rows, f.entity, f.fact, f.answer] for f in found.thin[:SHOWN]]
        table(["wordings", "rows", "source", "fact", "answer"], rows)
        if len(found.thin) > SHOWN:
            say(f"and {len(found.thin) - SHOWN} more; all of them with --json")
    for text in found.findings():
        say(f"▲ {text}")
