"""What a row can teach wrongly, in the operator's words. Light.

Each fault is found on the rendered tokens of a row, for none of them shows in its text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

# In the order of what to mend first: one fault often brings the later ones with it.
KINDS = ("control", "prefix", "length", "question", "answer", "marker", "end", "bos", "no-bos")


@dataclass(frozen=True, slots=True)
class Sizes:
    """longest: tokens of the longest row.  allowed: train.max_length.  context: tokens the model can
    read at all, 0 = it does not say."""

    longest: int
    allowed: int
    context: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """what: one sentence without the names of the rows.  The rest as in an error."""

    what: str
    why: str
    try_next: str


def words(kind: str, count: int, sizes: Sizes) -> Words:
    """kind: one of KINDS.  count: rows that have it."""
    said = _WORDS[kind](f"{count} row{'' if count == 1 else 's'}", sizes)
    if count == 1:
        said = replace(said, what=_ONE.sub(lambda m: _ONE_ROW[m[0]], said.what, count=1))
    return said


_ONE_ROW = {
    "row spell": "row spells",
    "row lose": "row loses",
    "row have": "row has",
    "row lack": "row lacks",
}
_ONE = re.compile("|".join(_ONE_ROW))


def named(ids: Sequence[str]) -> str:
    """A few ids, and how many more there are."""
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return ", ".join(ids[:5]) + more


def _length(rows: str, sizes: Sizes) -> Words:
    wide = -(-sizes.longest // 64) * 64
    shorten = "shorten those answers or leave the pairs out"
    beyond = sizes.context and sizes.longest > sizes.context
    return Words(
        f"{rows} would lose the end of the answer, where its <<SRC:…>> markers stand",
        f"the longest has {sizes.longest} tokens, train.max_length is {sizes.allowed}"
        + (f", the model reads {sizes.context}" if beyond else ""),
        shorten if beyond else f"--set train.max_length={wide}, or {shorten}",
    )


_WORDS: dict[str, Callable[[str, Sizes], Words]] = {
    "control": lambda rows, _: Words(
        f"{rows} spell out a control token of this model in the text",
        "it would end or open a turn in the middle of a message",
        "remove the token from the pair, or leave the pair out",
    ),
    "prefix": lambda rows, _: Words(
        f"the chat template renders {rows} so that the question cannot be told from the answer",
        "the rendered prompt is not a prefix of the rendered conversation",
        "use the chat template of the instruction-tuned model",
    ),
    "length": _length,
    "question": lambda rows, _: Words(
        f"the chat template leaves the question out of {rows}",
        "the tokens before the answer do not spell it",
        "use the chat template of the instruction-tuned model",
    ),
    "answer": lambda rows, _: Words(
        f"the chat template cuts the answer of {rows}",
        "the learned tokens do not spell the whole answer",
        "use the chat template of the instruction-tuned model",
    ),
    "marker": lambda rows, _: Words(
        f"{rows} lose a <<SRC:…>> marker on the way to tokens",
        "the learned tokens do not spell it; a model trained so learns to leave its sources out",
        "use the chat template and tokenizer of the instruction-tuned model",
    ),
    "end": lambda rows, _: Words(
        f"{rows} would not teach the model to stop",
        "the last learned token is not an end-of-turn token of this model",
        "check eos_token_id in generation_config.json against the chat template",
    ),
    "bos": lambda rows, _: Words(
        f"{rows} have more than one begin-of-text token",
        "template and tokenizer both add one",
        "remove the token from the chat template",
    ),
    "no-bos": lambda rows, _: Words(
        f"{rows} lack the begin-of-text token",
        "the tokenizer puts one before any text, the chat template does not: the model never saw text "
        "without it",
        "use the chat template of the instruction-tuned model",
    ),
}
