"""`qa adapter`: is an adapter whole and can it be served; sums, merges and exports of adapters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core.errors import UsageError
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.pairs import Pair
    from core.training.adapter_files import AdapterFiles
    from core.training.vllm_fit import Finding

app = typer.Typer(help="Adapters: check, merge, export.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Dirs = Annotated[list[Path], typer.Argument(metavar="DIR…", help="adapter directories")]
Out = Annotated[Path, typer.Option("--out", help="a new directory")]
Base = Annotated[str | None, typer.Option("--base", help="name or directory of the base model")]
Weights = Annotated[
    list[float] | None, typer.Option("--weight", help="one an adapter, in their order")
]
Dtype = Annotated[str | None, typer.Option("--dtype", help="bfloat16, float16 or float32")]
Least = Annotated[
    float, typer.Option("--min-survival", help="share of the update that must be left")
]
Prompts = Annotated[
    list[str] | None, typer.Option("--prompt", help="to compare scores on, may be repeated")
]
Format = Literal["merged", "peft", "gptq", "awq"]


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="an adapter directory")],
    max_lora_rank: Annotated[int | None, typer.Option(help="the vLLM server's")] = None,
    base: Base = None,
    json: Json = False,
) -> int:
    """Is it whole, of this base, and will vLLM serve it. Exit 2 if something is wrong."""
    from core.training.adapter_files import read
    from core.training.vllm_fit import fit, needed_rank

    files = read(folder)
    findings = [*_whole(files, base), *fit(files, max_lora_rank)]
    wrong = [f for f in findings if f.severity == "error"]
    about = {
        "adapter": str(folder),
        "base_model": files.base,
        "rank": files.rank,
        "max_lora_rank": needed_rank(files),
        "tensors": len(files.shapes),
        "ok": not wrong,
        "findings": findings,
    }
    if json:
        as_json(about)
        return 2 if wrong else 0
    out(f"{folder}: rank {files.rank}, {len(files.shapes)} tensors, for {files.base or 'no base'}")
    if findings:
        table(["", "about", "what", "do"], [[f.severity, f.key, f.what, f.fix] for f in findings])
    if not wrong:
        say(f"whole; vLLM serves it with --max-lora-rank {needed_rank(files)}")
    return 2 if wrong else 0


@app.command()
def merge(
    folders: Dirs,
    out_: Out,
    base: Base = None,
    weight: Weights = None,
    dtype: Dtype = None,
    min_survival: Least = 0.8,
    prompt: Prompts = None,
    json: Json = False,
) -> None:
    """Base and adapters as one model, summed in float32 and rounded once; says what survives."""
    _merged(folders, out_, base, weight, dtype, min_survival, prompt, json)


@app.command()
def export(
    folders: Dirs,
    out_: Out,
    format_: Annotated[Format, typer.Option("--format", help="merged, peft, gptq or awq")],
    base: Base = None,
    weight: Weights = None,
    dtype: Dtype = None,
    min_survival: Least = 0.8,
    prompt: Prompts = None,
    rank: Annotated[int | None, typer.Option(help="peft: cut the sum to this rank")] = None,
    data: Annotated[Path | None, typer.Option(help="gptq, awq: pairs to calibrate with")] = None,
    snapshot: Annotated[str | None, typer.Option(help="the same from a frozen snapshot")] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="gptq, awq: write the plan for a GPU host")
    ] = False,
    json: Json = False,
) -> None:
    """Merged model; the sum as one PEFT adapter; or four bit (of a merged model, on a GPU host)."""
    if rank is not None and (format_ != "peft" or rank < 1):
        raise UsageError(f"--rank {rank}", try_next="a rank from 1, with --format peft")
    if format_ in ("gptq", "awq"):
        _quantised(folders, out_, format_, data, snapshot, plan_only, json)
    elif format_ == "peft":
        _peft(folders, out_, base, weight, rank, json)
    else:
        _merged(folders, out_, base, weight, dtype, min_survival, prompt, json)


@app.command()
def strategy(
    before: Annotated[str, typer.Argument(help="snapshot (or file) the adapter was trained on")],
    after: Annotated[str, typer.Argument(help="the new one")],
    replay: Annotated[float, typer.Option(help="share of the rows that are old pairs")] = 0.3,
    json: Json = False,
) -> None:
    """Train anew, merge or continue: which, why, and what an incremental training would see."""
    from core.training import replay as replays
    from core.training.strategies import Change, decide

    if not 0.05 <= replay <= 0.95:
        raise UsageError(f"--replay {replay:g}: not a share from 0.05 to 0.95")
    old, new = _pairs(before), _pairs(after)
    mixed = replays.mix(old, new, share=replay, seed=0)
    change = Change(
        len(new), len(mixed.new), len(mixed.changed), len(mixed.removed), same_base=True
    )
    decision = decide(change)
    if json:
        as_json({**decision.as_dict(), "mix": mixed.as_dict(), "negatives": mixed.negatives})
        return
    out(f"{decision.strategy}: {'; '.join(decision.reasons)}")
    table(["not", "because"], sorted(decision.against.items()))
    out(f"merge or continue would see {len(mixed.ids)} rows: {mixed.sentence()}")


def _whole(files: AdapterFiles, base: str | None) -> list[Finding]:
    from core.training.adapter_files import check_hashes
    from core.training.export import base_of
    from core.training.vllm_fit import Finding

    found = [
        Finding("error", "files", what, "copy the adapter again") for what in check_hashes(files)
    ]
    if base:
        try:
            base_of([files], base)
        except UsageError as e:
            found.append(Finding("error", "base model", e.what, e.try_next))
    if not files.about.get("chat_template_sha256"):
        found.append(
            Finding(
                "warning",
                "chat template",
                "the template it was trained with is not beside it",
                "compare the server's template with the base model's",
            )
        )
    return found


def _merged(
    folders: list[Path],
    to: Path,
    base: str | None,
    weight: list[float] | None,
    dtype: str | None,
    min_survival: float,
    prompts: list[str] | None,
    json: bool,
) -> None:
    if dtype not in (None, "bfloat16", "float16", "float32"):
        raise UsageError(f"--dtype {dtype}", try_next="bfloat16, float16 or float32")
    if not 0 <= min_survival <= 1:
        raise UsageError(f"--min-survival {min_survival:g}: not a share from 0 to 1")
    arguments = ["merged", *_common(folders, to, base, weight)]
    arguments += ["--dtype", dtype] if dtype else []
    arguments += [f"--min-survival={min_survival}", *(f"--prompt={p}" for p in prompts or [])]
    done = _apart(arguments)
    if json:
        as_json(done)
    else:
        out(f"{to}: {done['base_model']} with {len(done['adapters'])} adapters")


def _peft(
    folders: list[Path],
    to: Path,
    base: str | None,
    weight: list[float] | None,
    rank: int | None,
    json: bool,
) -> None:
    arguments = ["peft", *_common(folders, to, base, weight)]
    done = _apart([*arguments, *([f"--rank={rank}"] if rank else [])])
    if json:
        as_json(done)
    else:
        served = (
            f"--max-lora-rank {done['max_lora_rank']}" if done["max_lora_rank"] else "not served"
        )
        out(f"{to}: one adapter of rank {done['rank']} (vLLM: {served})")


def _common(
    folders: list[Path], to: Path, base: str | None, weight: list[float] | None
) -> list[str]:
    """Arguments of the process that does it. What can be refused at once is refused here."""
    from core.training.adapter_files import read
    from core.training.export import check_out

    if weight and len(weight) != len(folders):
        raise UsageError(
            f"{len(weight)} weights for {len(folders)} adapters",
            try_next="--weight once an adapter, in their order, or not at all",
        )
    for folder in folders:
        read(folder)
    check_out(to)
    named = [str(f.absolute()) for f in folders]  # a leading dash is no option then
    rest = [f"--base={base}"] if base else []
    return [*named, f"--out={to.absolute()}", *rest, *(f"--weight={w}" for w in weight or [])]


def _apart(arguments: list[str]) -> dict[str, Any]:
    from core.training.adapter_cli import run_apart

    return run_apart(arguments, say)


def _quantised(
    folders: list[Path],
    to: Path,
    method: Literal["gptq", "awq"],
    data: Path | None,
    snapshot: str | None,
    plan_only: bool,
    json: bool,
) -> None:
    from core.training import quantised

    if len(folders) != 1:
        raise UsageError(f"--format {method} takes one merged model, not {len(folders)}")
    if (data is None) == (snapshot is None):
        raise UsageError(
            f"--format {method} needs pairs to calibrate with",
            try_next="--snapshot ID, or --data FILE; one of them",
        )
    plan = quantised.write_plan(method, folders[0], _pairs(str(data or snapshot)), to)
    typed = quantised.command(to.absolute())
    if json:
        as_json({"plan": plan, "command": typed, "install": quantised.INSTALL, "out": str(to)})
    else:
        out(f"{to}: plan for {method}, {plan.scheme}, {plan.rows} calibration rows")
        out(typed)
    if not plan_only:
        _carry_out(to, typed)


def _carry_out(to: Path, typed: str) -> None:
    """Here, if this machine can; the plan stays in any case."""
    from core.errors import MissingComponent

    try:
        _apart(["quantised", str(to.absolute())])
    except MissingComponent as e:
        raise MissingComponent(
            f"{e.what}; nothing was quantised, the plan is in {to}",
            why=e.why,
            try_next=f"{e.try_next}; then there: {typed}",
        ) from e
    say(f"quantised; evaluate {to / 'model'} before anybody uses it")


def _pairs(name: str) -> list[Pair]:
    """Of a pairs file, or of a frozen snapshot. Raises UsageError, NotFound."""
    from core.pairs import read_pairs

    path = Path(name)
    if path.is_file():
        report = read_pairs([path])
        if report.rejected:
            say(f"{report.rejected} rows of {name} are passed over: qa pairs check {name}")
        return report.require_pairs()
    from core.registry import open_registry, snapshots

    return list(snapshots.pairs(open_registry(), name))
