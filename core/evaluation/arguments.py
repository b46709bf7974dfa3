"""The command line of `qa-eval`, and the plan it stands for. Light until a plan is made."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError

if TYPE_CHECKING:
    from core.evaluation.engines import EngineName
    from core.evaluation.plan import Plan

_EPILOG = """\
systems: retrieval (the nearest stored answer), base (the untuned model), base+retrieval (the untuned
model with the three nearest stored pairs in its prompt), tuned (base with --adapter), previous (base
with --previous-adapter). A registered version (access-qa-v1.2.0) or an adapter's folder stands for
tuned; of two versions the first one is previous.

other commands:
  qa-eval latency --help    latency at a server, at stated rates
  qa-eval judge --help      grades by a judge model, for display beside the key facts

examples:
  qa-eval --golden golden.jsonl --systems base,retrieval,tuned --adapter runs/one/adapter --out out
  qa-eval --golden golden.jsonl --answers mine=answers.jsonl --systems retrieval --out out --json
  qa-eval --golden golden.jsonl --systems retrieval,base,base+retrieval,access-qa-v1.2.0 \\
          --endpoint http://127.0.0.1:8000/v1 --serve base=mistral-7b --out out

A NO-GO is a result, not an error.
exit codes: 0 measured, 2 wrong input, 5 no source registry, 6 this machine lacks something or the
endpoint fails, 75 stopped by a signal (the same command goes on)
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="qa-eval",
        description="Measure question-answering systems on a golden set and judge the gates.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--golden", type=Path, metavar="FILE", help="the golden set, JSONL")
    p.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a further golden file beside it; may be repeated (default: those that configs/golden.yaml "
        "mounts beside --golden; of stored answers alone, those they answer)",
    )
    p.add_argument("--only", action="store_true", help="nothing beside --golden")
    p.add_argument(
        "--paraphrases", action="store_true", help="ask the paraphrases of each item too"
    )
    p.add_argument("--systems", default="", metavar="A,B,…", help="who is to answer, see below")
    p.add_argument(
        "--answers",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="score stored answers {id, answer, latency_s?}; no model needed; may be repeated",
    )
    p.add_argument(
        "--out", type=Path, metavar="DIR", help="receives answers/, scores.json, report.md"
    )
    p.add_argument("--probe", type=Path, metavar="FILE", help="unseen wording of trained facts")
    p.add_argument("--sources", type=Path, metavar="FILE", help="source registry as JSONL")
    p.add_argument(
        "--pairs", type=Path, action="append", default=[], metavar="FILE", help="for retrieval"
    )
    p.add_argument("--base-model", metavar="NAME|DIR", help="default: smollm2-135m")
    p.add_argument("--adapter", type=Path, metavar="DIR", help="of the tuned system")
    p.add_argument("--previous-adapter", type=Path, metavar="DIR")
    p.add_argument("--gates", type=Path, metavar="FILE", help="instead of configs/gates.yaml")
    p.add_argument("--candidate", metavar="NAME", help="the system to judge (default: tuned)")
    p.add_argument("--reason", default="", help="for releasing what is not better than retrieval")
    p.add_argument("--version", metavar="NAME", help="the version being judged, for the record")
    p.add_argument("--limit", type=int, metavar="N", help="only N questions, spread over the file")
    p.add_argument("--max-new-tokens", type=int, metavar="N", help="default: 96")
    p.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="at most; default: 256; endpoint: 8 requests; vllm: 512",
    )
    p.add_argument("--latency-sample", type=int, default=12, metavar="N", help="asked one by one")
    p.add_argument(
        "--no-batch-check",
        action="store_true",
        help="do not ask those once more in a batch to see whose answer differs",
    )
    p.add_argument("--engine", choices=("transformers", "endpoint", "vllm"), help="who generates")
    p.add_argument(
        "--endpoint", metavar="URL", help="an OpenAI-compatible API: http://127.0.0.1:8000/v1"
    )
    p.add_argument(
        "--serve",
        action="append",
        default=[],
        metavar="SYSTEM=MODEL",
        help="what the endpoint calls a system's model; may be repeated",
    )
    p.add_argument(
        "--api-key-env", default="", metavar="VAR", help="environment variable of its key"
    )
    p.add_argument("--stall", type=float, default=60.0, metavar="S", help="longest silence of it")
    p.add_argument("--timeout", type=float, default=300.0, metavar="S", help="longest answer of it")
    p.add_argument(
        "--accept-unanswered",
        action="store_true",
        help="what the endpoint fails to answer counts as not attempted, and not as a failed run",
    )
    p.add_argument("--latency", type=Path, metavar="FILE", help="latency.json of `qa-eval latency`")
    p.add_argument(
        "--mcp-latency",
        type=Path,
        metavar="FILE",
        help="what the live tools took, recorded elsewhere: {id, latency_s} as JSONL or CSV",
    )
    p.add_argument(
        "--shared",
        type=Path,
        metavar="DIR",
        help="take over answers that earlier runs gave to the same wording, and leave new ones there",
    )
    p.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    p.add_argument("--json", action="store_true", help="print scores.json instead of the page")
    p.add_argument("--job", type=Path, metavar="DIR", help="run the spec.json of a job directory")
    return p


def plan_of(args: argparse.Namespace) -> Plan:
    """What the operator asked for. Raises UsageError, SettingsError, RegistryError."""
    from core.evaluation.gates import load_gates
    from core.evaluation.plan import BATCH, DEFAULT_MODEL, MAX_NEW_TOKENS, Plan

    stored = {name: Path(file) for name, file in named(args.answers, "--answers", "mine=a.jsonl")}
    chosen = _systems(args, served=bool(args.endpoint))
    systems = chosen.names
    if not systems and not stored:
        systems = ["base", "retrieval", "tuned"] if args.adapter else ["base", "retrieval"]
    searching = any("retrieval" in name for name in systems)
    engine: EngineName = args.engine or ("endpoint" if args.endpoint else "transformers")
    return Plan(
        golden=args.golden,
        out=args.out,
        systems=tuple(systems),
        stored=stored,
        probe=args.probe,
        sources=args.sources or _registered_sources(),
        pairs=tuple(args.pairs) or (_corpus_pairs() if searching else ()),
        base_model=args.base_model or chosen.base_model or DEFAULT_MODEL,
        adapter=chosen.adapter,
        previous_adapter=chosen.previous_adapter,
        version=args.version or chosen.version,
        gates=load_gates(args.gates),
        candidate=args.candidate,
        reason=args.reason,
        max_new_tokens=positive(
            MAX_NEW_TOKENS if args.max_new_tokens is None else args.max_new_tokens,
            "--max-new-tokens",
        ),
        batch_size=positive(
            BATCH[engine] if args.batch_size is None else args.batch_size, "--batch-size"
        ),
        latency_sample=max(0, args.latency_sample),
        limit=None if args.limit is None else positive(args.limit, "--limit"),
        dtype=args.dtype,
        also=() if args.only else tuple(args.also) or _beside(args.golden, systems, stored),
        paraphrases=args.paraphrases,
        engine=engine,
        endpoint=args.endpoint,
        serve={**chosen.serve, **dict(named(args.serve, "--serve", "base=mistral-7b"))},
        api_key_env=args.api_key_env,
        stall_s=args.stall,
        timeout_s=args.timeout,
        accept_unanswered=args.accept_unanswered,
        check_batches=not args.no_batch_check,
        latency=args.latency,
        mcp_latency=args.mcp_latency,
        shared=args.shared,
        given=chosen.given,
    )


def named(given: Sequence[str], option: str, example: str) -> list[tuple[str, str]]:
    """NAME=VALUE options, each name once."""
    out: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            form = {"--answers": "FILE", "--serve": "MODEL"}.get(option, "…")
            raise UsageError(f"{option} {text}: not NAME={form}", try_next=f"{option} {example}")
        if name in out:
            raise UsageError(f"{option}: {name!r} is named twice")
        out[name] = value
    return list(out.items())


@dataclass(slots=True)
class _Chosen:
    """Systems as the engine knows them, and what versions and folders among the names stand for."""

    names: list[str] = field(default_factory=list)
    adapter: Path | None = None
    previous_adapter: Path | None = None
    base_model: str | None = None
    version: str | None = None
    serve: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)


def _systems(args: argparse.Namespace, *, served: bool) -> _Chosen:
    from core.evaluation.plan import KNOWN_SYSTEMS

    names = [n for n in (s.strip() for s in args.systems.split(",")) if n]
    models = [n for n in names if n not in KNOWN_SYSTEMS and _is_model(n)]
    if len(models) > 2:
        raise UsageError(
            f"--systems: {len(models)} versions", try_next="name two at most: previous, and judged"
        )
    role = dict(zip(reversed(models), ("tuned", "previous"), strict=False))
    out = _Chosen([role.get(n, n) for n in names], args.adapter, args.previous_adapter)
    out.given = {r: n for n, r in role.items()}
    for name in models:
        _place(out, name, role[name], args.base_model, served=served)
    return out


def _is_model(name: str) -> bool:
    return name.startswith("access-qa-v") or (Path(name) / "adapter_config.json").is_file()


def _place(out: _Chosen, name: str, role: str, base_model: str | None, *, served: bool) -> None:
    """Find the adapter of a version or a folder that was named as a system."""
    if name.startswith("access-qa-v"):
        if role == "tuned":
            out.version = name
        if served:
            out.serve[role] = name
            return
    given = out.adapter if role == "tuned" else out.previous_adapter
    if given is not None:
        return
    if name.startswith("access-qa-v"):
        from core.evaluation.systems import registered

        base, folder = registered(name)
        if out.base_model not in (None, base) and base_model is None:
            raise UsageError(
                f"{name} has another base model than the other version",
                why=f"{base} and {out.base_model}",
                try_next="evaluate them in two runs and compare these",
            )
        out.base_model = base
    else:
        folder = Path(name)
    if role == "tuned":
        out.adapter = folder
    else:
        out.previous_adapter = folder


def _beside(golden: Path, systems: Sequence[str], stored: Mapping[str, Path]) -> tuple[Path, ...]:
    """The files that are mounted beside a golden file of the configuration.

    Where no model answers, only those of which the stored answers have any: a file that nobody was
    asked would count as not attempted.
    """
    from core.evaluation.golden.sets import beside
    from core.evaluation.plan import MODEL_SYSTEMS

    mounted = tuple(mount.path for mount in beside(golden))
    if not mounted or not stored or any(name in MODEL_SYSTEMS for name in systems):
        return mounted
    from core.evaluation.answers import read_answers
    from core.evaluation.golden.files import read_golden

    given = {question for file in stored.values() for question in read_answers(file)}
    return tuple(
        path
        for path in mounted
        if any(
            q.id.partition("~")[0] in given or q.id in given for q in read_golden(path).questions
        )
    )


def positive(value: int, option: str) -> int:
    if value < 1:
        raise UsageError(f"{option} {value}: must be 1 or more")
    return value


def _registered_sources() -> list[dict[str, Any]]:
    """The operator's own source registry, created and filled on first use."""
    from core.registry import open_registry, sources

    with open_registry() as registry:
        return sources.rows(registry)


def _corpus_pairs() -> tuple[Path, ...]:
    from core.corpus import pair_files

    return tuple(pair_files())
