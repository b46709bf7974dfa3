"""`qa-train`: fine-tune on pairs by a recipe. torch is imported only once there is work to do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import QAError, UsageError

_EPILOG = """\
examples:
  qa-train --recipe smollm2-135m --data pairs.jsonl --out runs/one
  qa-train --recipe mistral-7b --set profile=recommended --data pairs.jsonl --out runs/two
  qa-train --recipe tiny --data pairs.jsonl --out /tmp/try --smoke
  qa-train --recipe smollm2-135m --set train.epochs=2 --init-adapter runs/one/adapter …
  qa-train --recipe smollm2-135m --data pairs.jsonl --out runs/three --set probe.every=epoch \
           --set stop.rule=recall --probe held_out.jsonl
  qa-train --recipe smollm2-135m --data pairs.jsonl --out runs/census --census-only

exit codes: 0 done, 2 wrong input, 4 training failed, 6 this machine lacks something,
75 stopped by a signal at a checkpoint (--resume goes on)
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="qa-train",
        description="Fine-tune a base model on question/answer pairs with LoRA.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--recipe", metavar="NAME|FILE", help="a recipe of configs/recipes, or a file")
    p.add_argument("--data", type=Path, metavar="FILE", help="pairs, one JSON object a line")
    p.add_argument("--out", type=Path, metavar="DIR", help="receives adapter/ and summary.json")
    p.add_argument("--base-model", type=Path, metavar="DIR", help="instead of the recipe's model")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override, may be repeated"
    )
    p.add_argument("--init-adapter", type=Path, metavar="DIR", help="go on from this adapter")
    p.add_argument(
        "--previous-data", type=Path, metavar="FILE", help="pairs that adapter was trained on"
    )
    p.add_argument(
        "--probe",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="golden questions to probe with while training; may be repeated (default: "
        "configs/golden.yaml; probe.every in the recipe says how often)",
    )
    p.add_argument("--sources", type=Path, metavar="FILE", help="the source registry's rows")
    p.add_argument("--smoke", action="store_true", help="one epoch over 20 rows")
    p.add_argument(
        "--census-only", action="store_true", help="ask what the base knows; train nothing"
    )
    p.add_argument(
        "--resume", action="store_true", help="from the newest whole checkpoint in --out"
    )
    p.add_argument("--job", type=Path, metavar="DIR", help="run the spec.json of a job directory")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code. Errors go to standard error: what, why, what to try."""
    args = parser().parse_args(argv)
    try:
        return _run(args)
    except QAError as e:
        print(str(e), file=sys.stderr, flush=True)
        return e.exit_code


def _run(args: argparse.Namespace) -> int:
    from core.training.recipe import load_recipe
    from core.training.run import Request, as_job, train

    if args.job:
        return train(as_job(args.job))
    missing = [name for name in ("recipe", "data", "out") if getattr(args, name) is None]
    if missing:
        raise UsageError(
            f"qa-train: {', '.join('--' + m for m in missing)} missing",
            try_next="qa-train --help",
        )
    recipe = load_recipe(args.recipe, args.set)
    return train(
        Request(
            recipe=recipe,
            data=args.data,
            out=args.out,
            events=args.out / "events.jsonl",
            checkpoints=args.out / "checkpoints",
            base_model=args.base_model,
            init_adapter=args.init_adapter,
            smoke=args.smoke,
            resume=args.resume,
            previous_data=args.previous_data,
            probe=tuple(args.probe),
            sources=args.sources,
            census_only=args.census_only,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
