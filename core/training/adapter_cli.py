"""`python -m core.training.adapter_cli`: the part of `qa adapter` that needs torch, in a process of its own.

One JSON document on standard output, {"done": …} or {"error": …}; narration on standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.errors import QAError, UsageError
from core.training.failures import recognise


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m core.training.adapter_cli", description=__doc__)
    p.add_argument("what", choices=("merged", "peft", "quantised"))
    p.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="adapters; or one plan")
    p.add_argument("--out", type=Path, metavar="DIR", help="of merged and peft")
    p.add_argument("--base", metavar="NAME|DIR", help="instead of the one the adapters name")
    p.add_argument("--weight", type=float, action="append", default=[], help="one an adapter")
    p.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), help="of the result")
    p.add_argument("--min-survival", type=float, default=0.8, metavar="SHARE")
    p.add_argument("--prompt", action="append", default=[], metavar="TEXT")
    p.add_argument("--shard", default="5GB", metavar="SIZE")
    p.add_argument("--rank", type=int, help="cut the sum to this rank")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code. The process' own standard output stays JSON, whatever a library prints."""
    args = parser().parse_args(argv)
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        done = _work(args)
    except Exception as e:
        known = recognise(e)
        if known is None:
            raise
        print(json.dumps({"error": known.as_dict()}, ensure_ascii=False), file=stdout, flush=True)
        return known.exit_code
    finally:
        sys.stdout = stdout
    print(json.dumps({"done": done}, ensure_ascii=False), flush=True)
    return 0


def _work(args: argparse.Namespace) -> dict[str, Any]:
    from core.training import environment

    if args.what == "quantised":
        from core.training import quantised

        return quantised.run(args.folders[0])
    if args.out is None:
        raise UsageError("--out is missing", try_next="--out DIR")
    weights = args.weight or [1.0] * len(args.folders)
    environment.prepare()
    import transformers

    from core.training import export
    from core.training.merging import Part

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parts = [Part(a, w) for a, w in zip(args.folders, weights, strict=True)]
    if args.what == "peft":
        return export.peft(parts, args.out, base=args.base, rank=args.rank, say=_say)
    return export.merged(
        parts,
        args.out,
        base=args.base,
        dtype=args.dtype,
        min_survival=args.min_survival,
        prompts=args.prompt,
        max_shard_size=args.shard,
        say=_say,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_apart(arguments: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """This program in another process: what it did. say: gets its narration, line by line.

    Raises the error it met, by its type; MissingComponent where its packages are not installed.
    """
    import subprocess

    from core import locations
    from core.errors import EnvironmentProblem, MissingComponent

    path = os.pathsep.join(
        filter(None, [str(locations.project_root()), os.environ.get("PYTHONPATH", "")])
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "core.training.adapter_cli", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    last = ""
    try:
        for line in process.stderr:  # the answer is one short document: it waits in the pipe
            last = line.strip() or last
            if not line.startswith((" ", "Traceback")):
                say(line.rstrip("\n"))
        answer = process.stdout.read()
        process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    try:
        found = json.loads(answer)
    except ValueError:
        found = {}
    if "error" in found:
        raise _typed(found["error"], process.returncode)
    if process.returncode == 0 and "done" in found:
        done: dict[str, Any] = found["done"]
        return done
    if "ModuleNotFoundError" in last:
        raise MissingComponent(
            "the packages that hold a model are not installed here",
            why=last,
            try_next="pip install -c constraints.txt -e '.[train]', or run it on the host",
        )
    raise EnvironmentProblem(
        "the work on the adapter ended early", why=last or f"exit code {process.returncode}"
    )


def _typed(found: dict[str, str], exit_code: int) -> QAError:
    from core import errors
    from core.training import failures

    name = str(found.get("error"))
    kind = getattr(errors, name, None) or getattr(failures, name, None) or QAError
    error: QAError = kind(
        str(found.get("what")), why=str(found.get("why")), try_next=str(found.get("try_next"))
    )
    error.exit_code = exit_code
    return error


if __name__ == "__main__":
    sys.exit(main())
