"""`qa-eval judge`: grades of a finished evaluation by a judge model, beside the key facts."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from core.evaluation.arguments import positive

if TYPE_CHECKING:
    from core.evaluation.judge import Verdict

_EPILOG = """\
The judge's grades are for people to look at. No gate reads them, and below kappa 0.6 against people's
labels they should not be argued with either. Answers leave for the endpoint that is named, and nowhere
else: keep it on your own machines.

example:
  qa-eval judge --scores out/scores.json --endpoint http://127.0.0.1:8000/v1 --model llama-70b \\
      --labels people.csv
people.csv: columns id,label[,system]; labels correct, incorrect, not_attempted
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="qa-eval judge",
        description="Let a judge model grade the answers of an evaluation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--scores", type=Path, required=True, metavar="FILE", help="scores.json")
    p.add_argument("--endpoint", required=True, metavar="URL", help="an OpenAI-compatible API")
    p.add_argument("--model", required=True, metavar="NAME", help="the judge")
    p.add_argument(
        "--api-key-env", default="", metavar="VAR", help="environment variable of its key"
    )
    p.add_argument("--systems", default="", metavar="A,B,…", help="default: all in the scores")
    p.add_argument("--labels", type=Path, metavar="FILE", help="people's grades, CSV")
    p.add_argument("--parallel", type=int, default=8, metavar="N", help="requests at a time")
    p.add_argument("--stall", type=float, default=60.0, metavar="S", help="longest silence")
    p.add_argument("--timeout", type=float, default=120.0, metavar="S", help="longest reply")
    p.add_argument("--out", type=Path, metavar="DIR", help="default: beside the scores")
    p.add_argument("--json", action="store_true", help="print judge.json")
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code. Raises QAError."""
    from core.evaluation import judge
    from core.jobdir import write_atomic

    rows = _rows(args.scores, args.systems)
    labels = judge.read_labels(args.labels) if args.labels else {}
    out = args.out or args.scores.parent
    document = judged(
        rows,
        labels,
        out,
        endpoint=args.endpoint,
        model=args.model,
        api_key_env=args.api_key_env,
        parallel=positive(args.parallel, "--parallel"),
        stall=args.stall,
        timeout=args.timeout,
    )
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomic(out / "judge.json", text.encode("utf-8", "replace"))
    print(text if args.json else table(document), flush=True)
    return 0


def judged(
    rows: Sequence[Mapping[str, Any]],
    labels: Mapping[tuple[str, str], Verdict],
    out: Path,
    *,
    endpoint: str,
    model: str,
    api_key_env: str = "",
    parallel: int = 8,
    stall: float = 60.0,
    timeout: float = 120.0,
) -> dict[str, Any]:
    """What a judge model says of these answers: judge.json. Its replies are kept under `out`/judge, and
    what is there is not asked again. Raises UsageError, EndpointError.
    """
    from core.evaluation import judge
    from core.evaluation.endpoint import connect
    from core.evaluation.openai_http import Limits, server

    where = server(endpoint, api_key_env)
    limits = Limits(stall=stall, total=timeout)
    engine = connect(where, model, max_new_tokens=judge.MAX_NEW_TOKENS, limits=limits)
    about = {"judge": model, "endpoint": where.url, "prompt": judge.prompt_sha256()}
    verdicts: dict[tuple[str, str], Verdict | None] = {}
    with contextlib.closing(engine):
        for system in dict.fromkeys(str(r["system"]) for r in rows):
            mine = [r for r in rows if r["system"] == system]
            file = re.sub(r"[^\w.+-]+", "_", system)  # a system may be called anything
            replies = _ask(engine, mine, out / "judge" / f"{file}.jsonl", about, parallel)
            verdicts |= {(system, i): judge.read_verdict(text) for i, text in replies.items()}
    return {
        **about,
        "temperature": 0,
        "judged_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **judge.summary(rows, verdicts, labels),
        "unanswered": {u.id: u.why for u in engine.unanswered()},
    }


def _rows(path: Path, systems: str) -> list[Mapping[str, Any]]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise _no_scores(str(path), e) from None
    return rows_of(document, systems, origin=str(path))


def rows_of(document: Any, systems: str = "", *, origin: str) -> list[Mapping[str, Any]]:
    """The answers in a scores.json, of some systems or of all. Raises UsageError."""
    try:
        rows = document["questions"]
        for row in rows:
            for name in ("system", "id", "question", "expected_answer", "answer", "grade"):
                if not isinstance(row[name], str):
                    raise TypeError(name)
    except (KeyError, TypeError) as e:
        raise _no_scores(origin, e) from None
    wanted = [s.strip() for s in systems.split(",") if s.strip()]
    known = {r["system"] for r in rows}
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"the scores have no system {name!r}",
                try_next=f"one of: {', '.join(sorted(known))}",
            )
    return [r for r in rows if not wanted or r["system"] in wanted]


def _no_scores(origin: str, e: Exception) -> UsageError:
    return UsageError(
        f"{origin}: no scores", why=f"{type(e).__name__}: {e}", try_next="give a scores.json"
    )


def _ask(
    engine: Any, rows: Sequence[Mapping[str, Any]], path: Path, about: dict[str, Any], parallel: int
) -> dict[str, str]:
    """Question id → the judge's reply; what is on disk already is not asked again."""
    from core.evaluation.answers import AnswerLog
    from core.evaluation.engines import Asked
    from core.evaluation.judge import prompt_for

    prompts = {r["id"]: prompt_for(r["question"], r["expected_answer"], r["answer"]) for r in rows}
    log = AnswerLog(path, about)
    try:
        todo = [Asked(i, text) for i, text in prompts.items() if not log.has(i, text)]
        print(f"{path.stem}: {len(todo)} answers to judge", file=sys.stderr, flush=True)
        for batch in engine.answer_batches(todo, parallel):
            for reply in batch:
                log.add(reply, prompts[reply.id])
        return {i: log.done[i].answer for i, text in prompts.items() if log.has(i, text)}
    finally:
        log.close()


def table(document: Mapping[str, Any]) -> str:
    """The judge's accuracy a system, and whom it agrees with."""
    lines = [f"judge {document['judge']}, prompt {document['prompt'][:12]}, for display only"]
    for name, found in document["systems"].items():
        m = found["accuracy"]
        share = "–" if m["estimate"] is None else f"{m['estimate'] * 100:.0f} % ({m['k']}/{m['n']})"
        lines.append(f"  {name:20} correct {share}, unreadable {found['unreadable']}")
    for name, a in document["kappa"].items():
        if a is None:
            lines.append(f"  kappa with {name}: no labels given")
            continue
        kappa = "–" if a["kappa"] is None else f"{a['kappa']:.2f}"
        span = "" if a["low"] is None else f" [{a['low']:.2f}–{a['high']:.2f}]"
        lines.append(f"  kappa with {name}: {kappa}{span}, n = {a['n']}")
    if not document["trusted"]:
        lines.append("  not to be relied on: kappa with people below 0.6, or fewer than 50 labels")
    return "\n".join(lines)
