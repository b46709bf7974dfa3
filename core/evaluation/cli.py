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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DiskFull, EnvironmentProblem, QAError, UsageError
from core.evaluation.arguments import parser, plan_of

if TYPE_CHECKING:
    from core.evaluation.plan import Plan


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code. Errors go to standard error: what, why, what to try."""
    given = list(sys.argv[1:] if argv is None else argv)
    command, args = _command(given)
    try:
        return command(args)
    except QAError as e:
        if args.json:
            print(json.dumps(e.as_dict(), ensure_ascii=False))
        print(str(e), file=sys.stderr, flush=True)
        return e.exit_code
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _command(
    given: list[str],
) -> tuple[Callable[[argparse.Namespace], int], argparse.Namespace]:
    if given[:1] == ["latency"]:
        from core.evaluation import latency_cli

        return latency_cli.run, latency_cli.parser().parse_args(given[1:])
    if given[:1] == ["judge"]:
        from core.evaluation import judge_cli

        return judge_cli.run, judge_cli.parser().parse_args(given[1:])
    return _run, parser().parse_args(given)


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
    plan = plan_of(args)
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
        json.dump(_as_named(document, plan), sys.stdout, ensure_ascii=False, allow_nan=False)
        print()
    else:
        print(report.render_text(document), flush=True)
    return 0


def _as_named(document: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """With a version's or folder's own name beside "tuned" and "previous", which stand for it."""
    systems = document["systems"]
    named = {given: systems[name] for name, given in plan.given.items() if name in systems}
    return {**document, "systems": {**systems, **named}}


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
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)  # torch on a CPU: a RuntimeError
    ):
        return EnvironmentProblem(
            "memory ran out while answering",
            why=str(error).splitlines()[0][:300] if str(error) else "",
            try_next=f"run again with --batch-size {max(1, plan.batch_size // 2)}: every answer "
            "so far is kept",
        )
    return None


if __name__ == "__main__":
    sys.exit(main())
