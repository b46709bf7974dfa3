"""All `qa` commands but the app: one Typer group a noun, errors as exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from core.errors import QAError
from tui.cli import (
    adapter,
    at,
    audit,
    augment,
    citations,
    deciding,
    evaluation,
    golden,
    handover,
    hosts,
    jobs,
    model,
    pairs,
    pilot,
    recipe,
    registry,
    replay,
    sandbox,
    search,
    settings,
    snapshots,
    sources,
    starting,
    sync,
    trace,
    tunnel,
    versions,
    web,
)
from tui.cli.help import Panels, whole_sentences
from tui.cli.show import problem
from tui.cli.writing import refused_by_system

HELP = """Train, measure and release the ACCESS question-answering model. Without a command: the app.

Every command has --help; those that list take --json. Exit codes: 0 done, 2 what was asked is off,
3 the way to the host, 4 a job, 5 the registry, 6 this machine or the host, 130 stopped by you.
"""

app = typer.Typer(
    name="qa",
    cls=Panels,
    help=HELP,
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Versions of this program, and leave.")
    ] = False,
) -> None:
    if version:
        from tui.cli.about import versions as told

        print(told())
        raise typer.Exit


app.command("app", help="Open the control centre (the same as `qa` alone).")(lambda: None)
pilot.add_to(app)
app.add_typer(model.app, name="model")
app.add_typer(hosts.app, name="hosts")
hosts.add_to(app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(sandbox.app, name="sandbox")
jobs.add_to(app)
starting.add_to(jobs.app)
app.add_typer(sync.app, name="sync")
tunnel.add_to(app)
app.add_typer(pairs.app, name="pairs")
app.add_typer(augment.app, name="data")
app.add_typer(citations.app, name="citations")
app.add_typer(snapshots.app, name="snapshots")
search.add_to(app)
app.add_typer(sources.app, name="sources")
app.add_typer(golden.app, name="golden")
app.add_typer(evaluation.app, name="eval")
app.add_typer(trace.app, name="trace", cls=trace.OrAnswer)
trace.add_to(app)
app.add_typer(versions.app, name="versions")
at.add_to(app)
app.add_typer(audit.app, name="audit")
app.add_typer(registry.app, name="registry")
app.add_typer(deciding.gates, name="gates")
app.add_typer(recipe.app, name="recipe")
app.add_typer(adapter.app, name="adapter")
app.add_typer(deciding.checklist, name="checklist")
deciding.add_to(app)
handover.add_to(app)
settings.add_to(app)
web.add_to(app)
replay.add_to(app)
whole_sentences(app)


def run(args: Sequence[str]) -> int:
    """Run one command; returns its exit code. Typed errors go to stderr as what, why, try."""
    try:
        result = app(args=list(args), prog_name="qa", standalone_mode=False)
    except QAError as e:
        problem(e)
        return e.exit_code
    except TyperException as e:  # the operator's words: typer knows how to print them
        e.show()  # type: ignore[attr-defined]
        return int(getattr(e, "exit_code", 2))
    except typer.Exit as e:
        return e.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("stopped; jobs on the host go on (qa jobs list)", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as e:  # of a place that no command speaks for
        error = refused_by_system(e)
        problem(error)
        return error.exit_code
    return result if isinstance(result, int) else 0
