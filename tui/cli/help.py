"""How `qa --help` reads: commands in groups, every sentence whole."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

from typer.core import TyperGroup

if TYPE_CHECKING:
    import typer
    from typer._click import Command, Context, HelpFormatter

# of `qa` itself, in the order in which the work is done
PANELS = {
    "The desk": ("app", "web", "pilot", "checklist", "handover", "replay", "settings"),
    "The host": ("hosts", "doctor", "sync", "tunnel", "sandbox"),
    "Data": ("pairs", "data", "citations", "sources", "snapshots", "search"),
    "Training": ("model", "recipe", "jobs", "logs", "adapter"),
    "Quality": ("golden", "eval", "gates", "report", "ask", "trace"),
    "Releases": ("versions", "at"),
    "The record": ("registry", "audit"),
}
REST = "More"


class Whole(TyperGroup):
    """Commands with a sentence each, wrapped and never cut."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        rows = [
            (name, sentence(command))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        ]
        widest = max((len(name) for name, _ in rows), default=0)
        for title, some in self.panels(rows):
            with formatter.section(title):  # one column for all of them
                formatter.write_dl([(name.ljust(widest), said) for name, said in some])

    def panels(
        self, rows: list[tuple[str, str]]
    ) -> Iterable[tuple[str, Iterable[tuple[str, str]]]]:
        return [("Commands", rows)] if rows else []


class Panels(Whole):
    """The same under headings."""

    def panels(
        self, rows: list[tuple[str, str]]
    ) -> Iterable[tuple[str, Iterable[tuple[str, str]]]]:
        left = dict(rows)
        for title, names in PANELS.items():
            some = [(name, left.pop(name)) for name in names if name in left]
            if some:
                yield title, some
        if left:
            yield REST, list(left.items())


def sentence(command: Command) -> str:
    """The first paragraph of a command's help up to the end of its first sentence."""
    said = command.short_help or command.help or ""
    paragraph = " ".join(inspect.cleandoc(said).split("\n\n")[0].split())
    first, dot, _ = paragraph.partition(". ")
    return first + "." if dot else paragraph


def whole_sentences(app: typer.Typer) -> None:
    """Every group below `app` lists its commands with whole sentences."""
    for group in app.registered_groups:
        if not (isinstance(group.cls, type) and issubclass(group.cls, Whole)):
            group.cls = Whole
        if group.typer_instance is not None:
            whole_sentences(group.typer_instance)
