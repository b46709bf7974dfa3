"""`qa trace` and `qa ask`: from an answer back to the pairs, correcting those, and asking."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import QAError, UsageError
from tui.cli import corrections
from tui.cli.help import Whole
from tui.cli.search import catch_up
from tui.cli.show import as_json, out, problem, say, table

if TYPE_CHECKING:
    from core.evaluation.golden import GoldenQuestion
    from core.registry import Registry
    from core.tracing import Trace
    from core.tracing.asking import Reply

ANSWER = "answer"
MAX_STDIN = 8 << 20  # bytes; `core.tracing.parse` refuses long before
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


class OrAnswer(Whole):
    """`qa trace X` is `qa trace answer X` unless X is one of the other commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = [ANSWER, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    help="From an answer back to the pairs that may have taught it: `qa trace ID`, or `-` and the"
    " answer on stdin."
)
app.add_typer(corrections.app, name="corrections")


def add_to(root: typer.Typer) -> None:
    root.command("ask")(ask_question)


@app.command(ANSWER)
def trace_answer(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID|FILE|-]",
            help="VERSION/QUESTION-ID[/SYSTEM]; a file, or - for stdin, with an answer or a JSON row;"
            " nothing: list stored answers, worst first",
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="who gave the answer, where you know better")
    ] = None,
    row: Annotated[
        str | None, typer.Option(help="of a file of answers, the row of this question id")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="suspects shown")] = 10,
    json: Json = False,
) -> None:
    """Version, snapshot and suspect pairs of an answer."""
    from core.registry import open_registry
    from core.tracing import parse, trace
    from core.tracing.given import known_version

    if version is not None:
        version = known_version(version) or version
    with open_registry() as reg:
        if what is None:
            _list_answers(reg, version, limit, json)
            return
        catch_up(reg)
        given = parse(_given(what, row))
        found = trace(reg, given, version=version, golden=golden_questions(), limit=limit)
    if json:
        as_json(found)
    else:
        _show(found)


def golden_questions() -> Sequence[GoldenQuestion]:
    """Those mounted; a broken golden set costs the facts and not the trace."""
    from core.evaluation.golden.sets import load_set, mounts

    try:
        return load_set(mounts(), paraphrases=True).questions
    except QAError as e:
        problem(e)
        return ()


def _given(what: str, row: str | None) -> str:
    if what == "-":
        text = sys.stdin.buffer.read(MAX_STDIN).decode("utf-8", "replace")
    elif len(what) < 1024 and (path := Path(what)).is_file():
        with open(path, "rb") as f:
            text = f.read(MAX_STDIN).decode("utf-8", "replace")
    else:
        if row is not None:
            raise UsageError("--row is for a file of answers", try_next="qa trace FILE --row ID")
        return what
    return text if row is None else _row_of(text, row)


def _row_of(text: str, row: str) -> str:
    from json import loads

    for line in text.split("\n"):
        try:
            if isinstance(found := loads(line), dict) and found.get("id") == row:
                return line
        except (ValueError, RecursionError):
            continue
    raise UsageError(f"no row with the id {row!r}", try_next="give an id that stands in the file")


def _list_answers(reg: Registry, version: str | None, limit: int, json: bool) -> None:
    from core.registry import answers, records
    from core.tracing.asking import newest_evaluated

    name = records.get(reg, version).model_version if version else newest_evaluated(reg)
    found = answers.worst_first(answers.of_version(reg, name))[:limit]
    if json:
        as_json([{"response": a.response, **asdict(a)} for a in found])
        return
    table(
        ["id", "grade", "cause", "question"],
        [[a.response, answers.bad_word(a), a.cause or None, a.question] for a in found],
    )
    say(f"the worst {len(found)} of {name}: qa trace ID")


def _show(t: Trace) -> None:
    facts = t.facts
    rows: list[tuple[str, object]] = [
        ("response", t.response or None),
        ("version", f"{t.model_version or '–'} ({t.by})"),
        ("base model", t.base_model or None),
        ("snapshot", f"{t.dataset_version} ({t.pairs} pairs)" if t.dataset_version else None),
        ("question", t.question or None),
        ("answer", t.answer),
    ]
    if facts is not None:
        rows += [
            ("grade", facts.grade),
            ("expected", facts.expected_answer),
            ("facts there", ", ".join(facts.matched) or None),
            ("facts missing", ", ".join(facts.missing) or None),
            ("against them", ", ".join(facts.contradictions) or None),
        ]
    table(["field", "value"], rows)
    if t.markers:
        print()
        table(["marker", "class"], [[m.text, m.cls] for m in t.markers])
    print()
    table(
        ["suspect pair", "score", "says", "why"],
        [[s.pair.id, s.score, _says(s.right, s.pair.answer), "; ".join(r.what for r in s.reasons)]
         for s in t.suspects],
    )  # fmt: skip
    for note in t.notes:
        say(note)
    if t.suspects:
        say("suspect is not guilty: read the pair, then qa trace corrections add PAIR --help")


def _says(right: bool | None, answer: str) -> str:
    from core import citations

    mark = "the expected facts: " if right else ""
    return mark + " ".join(citations.without_markers(answer).split())[:80]


def ask_question(
    question: Annotated[str, typer.Argument(help="in quotes; - reads it from stdin")],
    version: Annotated[
        str | None, typer.Option(help="whose stored answers; default: the newest evaluated")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="ask an OpenAI-compatible server; http only to loopback"),
    ] = None,
    model: Annotated[str, typer.Option(help="what the server calls the model")] = "",
    api_key_env: Annotated[str, typer.Option(help="variable that holds the server's key")] = "",
    retrieval: Annotated[
        bool, typer.Option("--retrieval", help="the nearest pair; ask no model")
    ] = False,
    json: Json = False,
) -> None:
    """Ask a question: a server, else what a version answered when evaluated, else the nearest pair."""
    from core.registry import open_registry
    from core.tracing import asking
    from core.tracing.given import known_version

    if question == "-":
        question = sys.stdin.buffer.read(MAX_STDIN).decode("utf-8", "replace")
    if version is not None:
        version = known_version(version) or version
    if endpoint is not None and retrieval:
        raise UsageError("--endpoint or --retrieval: one of them")
    with open_registry() as reg:
        if endpoint is not None:
            reply = asking.ask_endpoint(
                reg, question, endpoint, model=model or version or "", key_env=api_key_env
            )
        elif retrieval:
            reply = asking.ask_retrieval(reg, question, version)
        else:
            reply = asking.ask(reg, question, version)
        if json:
            as_json(reply)
        else:
            _show_reply(reg, reply)


def _show_reply(reg: Registry, reply: Reply) -> None:
    from core.citations import render_plain
    from core.registry import sources

    out(render_plain(reply.answer, sources.index(reg)))
    print()
    for marker in reply.markers:
        say(f"{marker.text}: {marker.cls}")
    say(f"answered by {reply.path}: {reply.where}" + (f"; {reply.note}" if reply.note else ""))
    if reply.answered:
        say(f"to the question: {reply.answered}")
    if reply.latency_s is not None:
        say(f"latency {reply.latency_s:.2f} s")
    if reply.deferred or reply.tools:
        say(f"handed over to: {', '.join(reply.tools) or 'a person or a page; no tool is named'}")
