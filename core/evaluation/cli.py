"""`qa-eval`: answers questions with one or more systems, or scores stored answers; GO or NO-GO.

torch is imported only once a model has to answer.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DiskFull, EnvironmentProblem, QAError, UsageError

if TYPE_CHECKING:
    from core.evaluation.plan import Plan

_EPILOG = """\
systems: base (the untuned model), retrieval (the nearest stored answer), tuned (base with --adapter;
an access-qa-v… name means tuned and is recorded), previous (base with --previous-adapter)

examples:
  qa-eval --golden golden.jsonl --systems base,retrieval,tuned --adapter runs/one/adapter --out out
  qa-eval --golden golden.jsonl --answers mine=answers.jsonl --systems retrieval --out out --json

A NO-GO is a result, not an error.
exit codes: 0 measured, 2 wrong input, 5 no source registry, 6 this machine lacks something,
75 stopped by a signal (the same command goes on)
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="qa-eval",
        description="Measure question-answering systems on a golden set and judge the gates.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--golden", type=Path, metavar="FILE", help="the golden set, JSONL")
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
    p.add_argument("--batch-size", type=int, default=16, metavar="N")
    p.add_argument("--latency-sample", type=int, default=12, metavar="N", help="asked one by one")
    p.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    p.add_argument("--json", action="store_true", help="print scores.json instead of the page")
    p.add_argument("--job", type=Path, metavar="DIR", help="run the spec.json of a job directory")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code. Errors go to standard error: what, why, what to try."""
    args = parser().parse_args(argv)
    try:
        return _run(args)
    except QAError as e:
        if args.json:
            print(json.dumps(e.as_dict(), ensure_ascii=False))
        print(str(e), file=sys.stderr, flush=True)
        return e.exit_code
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(args: argparse.Namespace) -> int:
    from core.evaluation.plan import Plan
    from core.jobdir import JobDir

    if args.job:
        job = JobDir(args.job.resolve())
        plan = Plan.from_settings(job.spec().settings, job.artifacts)
        return _evaluate(plan, job.events, as_json=False, narrate=sys.stdout)
    missing = [name for name in ("golden", "out") if getattr(args, name) is None]
    if missing:
        raise UsageError(
            f"qa-eval: {', '.join('--' + m for m in missing)} missing", try_next="qa-eval --help"
        )
    plan = _plan(args)
    plan.out.mkdir(parents=True, exist_ok=True)
    return _evaluate(plan, plan.out / "events.jsonl", as_json=args.json, narrate=sys.stderr)


def _evaluate(plan: Plan, events_path: Path, *, as_json: bool, narrate: Any) -> int:
    import time

    from core.evaluation import engine, report
    from core.jobdir import EXIT_PREEMPTED, EventWriter
    from core.training.signals import Preempted, watch

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=narrate, flush=True)

    events = EventWriter(events_path)
    try:
        with watch():
            document = engine.evaluate(plan, events, say)
        events.result(**engine.headline_figures(document))
    except Preempted:
        events.phase("preempted")
        say("stopped by a signal; every answer so far is kept, run again to go on")
        return EXIT_PREEMPTED
    except Exception as e:
        known = _recognise(e, plan)
        with contextlib.suppress(OSError):  # the disk may be what failed
            events.emit("error", **(known.as_dict() if known else {"error": type(e).__name__}))
        if known is None or known is e:
            raise
        raise known from e
    finally:
        events.close()
    if as_json:
        json.dump(document, sys.stdout, ensure_ascii=False, allow_nan=False)
        print()
    else:
        print(report.render_text(document), flush=True)
    return 0


def _recognise(error: Exception, plan: Plan) -> QAError | None:
    """The typed form of what a full disk or memory raises; None if it is neither."""
    if isinstance(error, QAError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            "the disk is full",
            why=str(error),
            try_next="free space and run again: every answer so far is kept",
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return EnvironmentProblem(
            "memory ran out while answering",
            why=str(error).splitlines()[0][:300] if str(error) else "",
            try_next=f"run again with --batch-size {max(1, plan.batch_size // 2)}: every answer "
            "so far is kept",
        )
    return None


def _plan(args: argparse.Namespace) -> Plan:
    from core.evaluation.gates import load_gates
    from core.evaluation.plan import DEFAULT_MODEL, MAX_NEW_TOKENS, Plan

    stored: dict[str, Path] = {}
    for given in args.answers:
        name, equals, file = given.partition("=")
        if not equals or not name or not file:
            raise UsageError(f"--answers {given}: not NAME=FILE", try_next="--answers mine=a.jsonl")
        if name in stored:
            raise UsageError(f"--answers: the system {name!r} is named twice")
        stored[name] = Path(file)
    systems, version = [], args.version
    for name in filter(None, (s.strip() for s in args.systems.split(","))):
        if name.startswith("access-qa-v"):
            name, version = "tuned", version or name
        systems.append(name)
    if not systems and not stored:
        systems = ["base", "retrieval", "tuned"] if args.adapter else ["base", "retrieval"]
    return Plan(
        golden=args.golden,
        out=args.out,
        systems=tuple(systems),
        stored=stored,
        probe=args.probe,
        sources=args.sources or _registered_sources(),
        pairs=tuple(args.pairs) or (_corpus_pairs() if "retrieval" in systems else ()),
        base_model=args.base_model or DEFAULT_MODEL,
        adapter=args.adapter,
        previous_adapter=args.previous_adapter,
        version=version,
        gates=load_gates(args.gates),
        candidate=args.candidate,
        reason=args.reason,
        max_new_tokens=_positive(
            MAX_NEW_TOKENS if args.max_new_tokens is None else args.max_new_tokens,
            "--max-new-tokens",
        ),
        batch_size=_positive(args.batch_size, "--batch-size"),
        latency_sample=max(0, args.latency_sample),
        limit=None if args.limit is None else _positive(args.limit, "--limit"),
        dtype=args.dtype,
    )


def _positive(value: int, option: str) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
