"""`qa-eval latency`: latency at a server at stated rates, and of the live tools beside it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from core.evaluation.arguments import named, positive

if TYPE_CHECKING:
    from core.evaluation.openai_http import Limits
    from core.evaluation.targets import Target

_EPILOG = """\
Requests leave on a schedule that is fixed in advance (open loop), and latency counts from the moment a
request was due. The live tools are measured in the same way, with the same questions at the same times:

  --against docs=http://127.0.0.1:8080/mcp --against-body call.json
      posts call.json with the question in the place of "{question}", for example
      {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
       "params": {"name": "search_resources", "arguments": {"query": "{question}"}}}
  --against-command 'live=python ask_tools.py {question}'
      runs the command without a shell; without "{question}" the question comes on standard input
  --mcp-latency FILE
      what the live tools took was recorded elsewhere: JSONL or CSV with id (of the golden question, if
      known) and latency_s or latency_ms

example:
  qa-eval latency --endpoint http://127.0.0.1:8000/v1 --model access-qa-v1.2.0 \\
      --golden golden.jsonl --rate 1,4,16 --seconds 60 --out out
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="qa-eval latency",
        description="Measure latency at a server, at stated rates.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--golden", type=Path, required=True, metavar="FILE", help="its questions are asked"
    )
    p.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible API")
    p.add_argument("--model", metavar="NAME", help="what the server calls it")
    p.add_argument(
        "--api-key-env", default="", metavar="VAR", help="environment variable of its key"
    )
    p.add_argument("--against", action="append", default=[], metavar="NAME=URL")
    p.add_argument("--against-body", type=Path, metavar="FILE", help="JSON to post to --against")
    p.add_argument("--against-command", action="append", default=[], metavar="NAME=COMMAND")
    p.add_argument("--mcp-latency", type=Path, metavar="FILE", help="recorded: .jsonl or .csv")
    p.add_argument("--rate", default="1,4,16", metavar="A,B,…", help="requests a second")
    p.add_argument("--seconds", type=float, default=60.0, metavar="S", help="for each rate")
    p.add_argument("--warmup", type=int, default=5, metavar="N", help="requests before, uncounted")
    p.add_argument("--spacing", choices=("random", "even"), default="random")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of random spacing")
    p.add_argument("--max-new-tokens", type=int, default=96, metavar="N")
    p.add_argument("--stall", type=float, default=60.0, metavar="S", help="longest silence")
    p.add_argument("--timeout", type=float, default=120.0, metavar="S", help="longest answer")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--json", action="store_true", help="print latency.json instead of the table")
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code. Raises QAError."""
    from core.evaluation.golden import load_golden
    from core.evaluation.latency import Load, measure
    from core.evaluation.openai_http import Limits
    from core.evaluation.recorded import read_recorded
    from core.jobdir import write_atomic

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)

    limits = Limits(stall=args.stall, total=args.timeout)
    targets = _targets(args, limits)
    questions = [(q.id, q.question) for q in load_golden(args.golden)]
    load = Load(
        rates=_rates(args.rate),
        seconds=args.seconds,
        warm_up=max(0, args.warmup),
        spacing=args.spacing,
        seed=args.seed,
        grace_s=args.timeout,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    recorded = {"mcp": read_recorded(args.mcp_latency)} if args.mcp_latency else {}
    document = measure(targets, questions, load, args.out, say, recorded)
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomic(args.out / "latency.json", text.encode("utf-8", "replace"))
    print(text if args.json else table(document), flush=True)
    return 0


def _rates(text: str) -> tuple[float, ...]:
    try:
        rates = tuple(float(r) for r in text.split(",") if r.strip())
    except ValueError:
        raise UsageError(f"--rate {text}: not numbers", try_next="--rate 1,4,16") from None
    if not rates or len(set(rates)) != len(rates):
        raise UsageError(f"--rate {text}: give each rate once", try_next="--rate 1,4,16")
    return rates


def _targets(args: argparse.Namespace, limits: Limits) -> list[Target]:
    from core.evaluation.endpoint import connect
    from core.evaluation.openai_http import server
    from core.evaluation.targets import Command, Posted, Served

    targets: list[Target] = []
    if args.endpoint:
        if not args.model:
            raise UsageError("--endpoint needs the name of a model", try_next="--model NAME")
        where = server(args.endpoint, args.api_key_env)
        tokens = positive(args.max_new_tokens, "--max-new-tokens")
        connect(where, args.model, max_new_tokens=tokens, limits=limits)
        targets.append(Served(args.model, where, args.model, tokens, limits))
    for name, url in named(args.against, "--against", "docs=http://127.0.0.1:8080/mcp"):
        targets.append(Posted(name, server(url), _body(args.against_body), limits))
    for name, line in named(args.against_command, "--against-command", "live=COMMAND"):
        targets.append(Command.of(name, line, limits))
    if not targets:
        raise UsageError("nothing to measure", try_next="give --endpoint URL --model NAME")
    if len({t.name for t in targets}) != len(targets):
        raise UsageError("two targets have the same name", try_next="name each differently")
    return targets


def _body(path: Path | None) -> Any:
    if path is None:
        return {"question": "{question}"}
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise UsageError(f"{path}: not a JSON file", why=str(e)) from None


def table(document: dict[str, Any]) -> str:
    """One line a target and rate: seconds with the 95 % interval."""
    lines = [
        f"{'target':24} {'rate/s':>7} {'n':>5} {'failed':>6}  {'P50 s':20} {'P95 s':20} {'P99 s':20} "
        f"{'first P95':20} {'tokens/s':>9}"
    ]
    for r in document["results"]:
        first = r["first_token"]["p95"] if r["first_token"] else None
        shown = [_seconds(r["latency"][p]) for p in ("p50", "p95", "p99")] + [_seconds(first)]
        tokens = f"{r['tokens_per_s']:9.1f}" if r["tokens_per_s"] is not None else f"{'–':>9}"
        lines.append(
            f"{r['target'][:24]:24} {r['rate']:7g} {r['n']:5} {r['failed']:6}  "
            + " ".join(f"{s:20}" for s in shown)
            + f" {tokens}"
        )
    for name, r in document["recorded"].items():
        shown = [_seconds(r["latency"][p]) for p in ("p50", "p95", "p99")]
        lines.append(
            f"{name[:15] + ' recorded':24} {'':>7} {r['n']:5} {r['failed']:6}  "
            + " ".join(f"{s:20}" for s in shown)
        )
    for d in document["differences"]:
        how = "same questions" if d["paired"] else "unpaired"
        lines.append(
            f"{d['target']} minus {d['against']} at {d['rate']:g}/s ({how}): "
            f"P50 {_seconds(d['p50'])} s, P95 {_seconds(d['p95'])} s"
        )
    return "\n".join(lines)


def _seconds(value: dict[str, float | None] | None) -> str:
    if value is None:
        return "–"
    s, low, high = (value[k] for k in ("s", "low", "high"))
    if s is None:
        return "no answer"
    ends = ["…" if end is None else f"{end:.3g}" for end in (low, high)]
    return f"{s:.3g} [{ends[0]}–{ends[1]}]"
