"""The rows as the model will see them, looked at before the first step. Pure: it only reports.

Everything is read off the tokens that are then trained on: pairs go in as prompt and completion, the
prompt's labels are masked here, and the trainer gets the very rows of the report.

What is wrong becomes an error of core.training.refusals. That packed rows give the loss of unpacked
ones takes the model, not the tokenizer: core.training.packing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from core import citations
from core.errors import MissingComponent
from core.training import data, faults
from core.training.data import IGNORED, Conversation, Reading, Rendered, Row, Tokenizer
from core.training.preflight_report import Example as Example
from core.training.preflight_report import Finding as Finding
from core.training.preflight_report import PreflightReport as PreflightReport
from core.training.preflight_report import RowLink as RowLink
from core.training.preflight_report import lengths
from core.training.recipe import Recipe
from core.training.tokenizer import mended

LINKS = 20  # rows named in one finding; the rest are counted
EXAMPLES = 3
SHOWN = 2000  # characters of an example
MUCH = 16  # tokens a template may add to a row before it is worth a word
ENDLESS = 10**9  # tokenizers without a limit say 1e30


def check(
    rows: Sequence[Conversation],
    tokenizer: Tokenizer,
    recipe: Recipe,
    *,
    eos_ids: set[int] | None = None,
    file: str | Path = "",
) -> PreflightReport:
    """Render every row and look at it. eos_ids: all tokens that end a turn, by default the tokenizer's
    own. Raises nothing of its own."""
    ends = set(eos_ids or ()) | {tokenizer.eos_token_id}
    eos = {i for i in ends if i is not None}
    reading = Reading.of(tokenizer, eos, recipe.train.max_length)
    rendered = [data.render(row, reading) for row in rows]
    sizes = faults.Sizes(
        max((len(r.row.input_ids) for r in rendered), default=0),
        recipe.train.max_length,
        _context(tokenizer),
    )
    good = [r.row for r in rendered if not r.fault]
    name = str(file)
    return PreflightReport(
        file=name,
        template_sha256=hashlib.sha256(_template(tokenizer).encode()).hexdigest(),
        begins=_token(tokenizer, reading.begins),
        pads=_token(tokenizer, tokenizer.pad_token_id),
        ends=tuple(_token(tokenizer, i) for i in sorted(eos)),
        count=len(rows),
        markers=sum(len(citations.find(r.completion["content"])) for r in rows),
        markers_lost=sum(_lost(c, r, reading) for c, r in zip(rows, rendered, strict=True)),
        lengths=lengths([r.row for r in rendered]),
        examples=tuple(_examples(good, tokenizer, name)),
        findings=(
            *_of_the_set(rows),
            *_of_the_tokenizer(tokenizer, eos),
            *_of_the_rows(rendered, sizes, name),
            *_of_the_template(rows, rendered, tokenizer),
        ),
        rows=tuple(good),
    )


def locally(data_file: Path, recipe: Recipe) -> PreflightReport | None:
    """The same where no training is started: None if the model's tokenizer is not on this machine, or
    nothing is installed that reads one. Raises PairsError; UsageError for a tokenizer that cannot
    be trained with."""
    from core import base_models
    from core.training.rewording import with_rewordings

    try:
        base = base_models.resolve(recipe.model.name, verify=False)
        from core.training.tokenizer import load_tokenizer

        tokenizer, eos_ids = load_tokenizer(base)
    except (MissingComponent, ImportError):
        return None
    rows = with_rewordings(data.read_conversations(data_file), recipe.train.rewordings)
    return check(rows, tokenizer, recipe, eos_ids=eos_ids, file=data_file)


# ---- findings ---------------------------------------------------------------------------------


def _of_the_set(rows: Sequence[Conversation]) -> Iterator[Finding]:
    if len(rows) > 1:
        return
    yield Finding(
        "size",
        "error",
        "one pair is no training set" if rows else "there are no pairs to train on",
        "its words would be learned, and nothing else" if rows else "",
        "freeze a snapshot that has more (`qa snapshots freeze`)",
        count=len(rows),
    )


def _of_the_tokenizer(tokenizer: Tokenizer, eos: set[int]) -> Iterator[Finding]:
    pad = tokenizer.pad_token_id
    if pad is None or pad in eos:
        shown = "no token" if pad is None else repr(_token(tokenizer, pad))
        yield Finding(
            "pad",
            "error",
            f"the tokenizer pads with {shown}, which is no token of its own",
            "code that masks padding by its id unlearns the end of the answer; saved beside the model, "
            "it makes servers answer with nothing",
            "set pad_token in tokenizer_config.json to an unused control token",
        )
    elif (before := mended(tokenizer)) is not None:
        now = repr(_token(tokenizer, pad))
        yield Finding(
            "pad",
            "warning" if before else "note",
            f"the tokenizer pads with {before!r}, which ends a turn: {now} is used instead"
            if before
            else f"the tokenizer has no token to pad with: {now} is used",
            "code that masks padding by its id unlearns the end of the answer",
            f"nothing here; for other programs set pad_token in tokenizer_config.json to {now}",
        )
    if not eos:
        yield Finding(
            "end",
            "error",
            "the tokenizer has no end-of-turn token",
            "a model that is never shown the end of an answer goes on for ever",
            "set eos_token in tokenizer_config.json",
        )


def _of_the_rows(rendered: Sequence[Rendered], sizes: faults.Sizes, file: str) -> Iterator[Finding]:
    for kind in faults.KINDS:
        bad = [r.row for r in rendered if r.fault == kind]
        if bad:
            said = faults.words(kind, len(bad), sizes)
            links = tuple(RowLink(file, r.line, r.id) for r in bad[:LINKS])
            yield Finding(kind, "error", said.what, said.why, said.try_next, links, len(bad))


def _of_the_template(
    rows: Sequence[Conversation], rendered: Sequence[Rendered], tokenizer: Tokenizer
) -> Iterator[Finding]:
    if "strftime_now" in _template(tokenizer):
        yield Finding(
            "template",
            "warning",
            "the chat template writes today's date into every prompt",
            "the same pairs give other tokens tomorrow, and a model served next month sees another prompt",
            "fix the date in chat_template.jinja of the base model",
        )
    extra = sorted(
        len(r.row.input_ids) - r.row.learned - _words(c, tokenizer)
        for c, r in list(zip(rows, rendered, strict=True))[:50]
        if not r.fault
    )
    if extra and extra[len(extra) // 2] > MUCH:
        yield Finding(
            "template",
            "note",
            f"the chat template adds about {extra[len(extra) // 2]} tokens to a prompt",
            "usually a system prompt of its own: the server has to send the same one",
        )


def _words(conversation: Conversation, tokenizer: Tokenizer) -> int:
    """Tokens of the prompt's messages alone."""
    return sum(
        len(tokenizer(m["content"], add_special_tokens=False)["input_ids"])
        for m in conversation.prompt
    )


def _lost(conversation: Conversation, rendered: Rendered, reading: Reading) -> int:
    """Markers of the answer that would not be learned whole."""
    found = citations.find(conversation.completion["content"])
    if rendered.fault == "length":
        kept = rendered.row.input_ids[: reading.max_length]
        text = data.plain(reading.tokenizer.decode(kept))
    elif rendered.fault in ("marker", "answer", "prefix"):
        learned = [x for x in rendered.row.labels if x != IGNORED]
        text = data.plain(reading.tokenizer.decode(learned))
    else:
        return 0
    return sum(data.plain(str(m)) not in text for m in found)


def _examples(rows: Sequence[Row], tokenizer: Tokenizer, file: str) -> Iterator[Example]:
    for row in data.spread(rows, EXAMPLES):
        pairs = list(zip(row.input_ids, row.labels, strict=True))
        yield Example(
            RowLink(file, row.line, row.id),
            tokenizer.decode([i for i, x in pairs if x == IGNORED])[:SHOWN],
            tokenizer.decode([i for i, x in pairs if x != IGNORED])[:SHOWN],
        )


def _template(tokenizer: Tokenizer) -> str:
    return str(getattr(tokenizer, "chat_template", "") or "")


def _token(tokenizer: Tokenizer, number: int | None) -> str:
    return "" if number is None else tokenizer.decode([number])


def _context(tokenizer: Tokenizer) -> int:
    limit = int(getattr(tokenizer, "model_max_length", 0) or 0)
    return limit if limit < ENDLESS else 0
