"""A desk for one command, and the job that its operator means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core.errors import NotFound

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


@contextmanager
def opened(host: str) -> Iterator[Workbench]:
    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import check_host_name
    from tui.desk.workbench import Workbench

    check_host_name(host)
    bench = Workbench(host, prompter=terminal_prompter())
    try:
        yield bench
    finally:
        bench.close()


def mirrored(bench: Workbench, name: str) -> Any:
    """The mirror of the job meant by `name`. Raises NotFound."""
    from tui.desk.job_list import find

    try:
        return bench.job_dir(find(bench.following.rows(), name))
    except NotFound:
        raise NotFound(
            f"no job {name!r} is mirrored here", try_next="qa jobs list, or qa logs JOB --follow"
        ) from None


def named(bench: Workbench, name: str) -> str:
    """The id meant by `name`, of the mirrored jobs first, else of the host's."""
    from tui.desk.job_list import asked, find

    try:
        return find(bench.following.rows(), name)
    except NotFound:
        return find(asked(bench), name)
