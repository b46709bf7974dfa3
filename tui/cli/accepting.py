"""`--accept L5 "REASON"`: an error of the lint is taken, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from core.errors import UsageError

Accept = Annotated[
    list[str] | None, typer.Option("--accept", help='RULE "REASON", may be repeated')
]


class WithReasons(TyperCommand):
    """`--accept L5 REASON`: an option of two words that may be given several times."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        folded, rest = [], list(args)
        while rest:
            word = rest.pop(0)
            if word == "--accept" and rest and "=" not in rest[0]:
                rule = rest.pop(0)
                if not rest or rest[0].startswith("--"):
                    raise UsageError(
                        f"--accept {rule}: the reason is missing",
                        try_next=f'--accept {rule} "why it is right here"',
                    )
                folded += [word, f"{rule}={rest.pop(0)}"]
            else:
                folded.append(word)
        return super().parse_args(ctx, folded)


def reasons(accept: list[str]) -> dict[str, str]:
    """Rule → reason. Raises UsageError: no such rule, no reason."""
    from core.training.recipe import RULES

    reasons = {}
    for text in accept:
        rule, sign, reason = text.partition("=")
        if not sign or not reason.strip():
            raise UsageError(
                f"--accept {text!r}: the reason is missing", try_next='--accept L5 "REASON"'
            )
        if rule.upper() not in RULES:
            raise UsageError(
                f"--accept {rule!r}: no such rule", try_next=f"one of: {', '.join(RULES)}"
            )
        reasons[rule.upper()] = reason.strip()
    return reasons
