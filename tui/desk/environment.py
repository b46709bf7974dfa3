"""`qa doctor --fix`: the environment of the jobs, made on the host as a job of its own."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core import locations
from core.jobdir import JobSpec, new_job_id
from tui.desk.launching import Placed, now, operator

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

ROUTINE = "environment"
CHECK = ["torch", "transformers", "peft", "trl", "datasets", "accelerate", "yaml", "pydantic"]


def requirements() -> list[str]:
    """What the jobs need: the project's own dependencies of the host side, as in pyproject.toml."""
    with open(locations.project_root() / "pyproject.toml", "rb") as f:
        project = tomllib.load(f)["project"]
    laptop = {"textual", "rich", "paramiko", "typer"}
    base = [r for r in project["dependencies"] if _name(r) not in laptop]
    return [*base, *project["optional-dependencies"]["train"]]


def _name(requirement: str) -> str:
    from core.setup_env import name_of

    return name_of(requirement)


def start(bench: Workbench, *, settings: dict[str, Any] | None = None) -> str:
    """Launch the job that makes the environment; returns its id. Safe to repeat.

    settings: replaces requirements and checks (tests).
    """
    from core.registry import jobs
    from remote.sync import push_code

    line, launching = bench.line, bench.launching
    host = line.host()
    constraints = launching.place({"constraints": locations.project_root() / "constraints.txt"})
    placed: Placed = constraints["constraints"]
    chosen: dict[str, Any] = {
        "home": launching.on_host("environment"),
        "requirements": requirements(),
        "constraints": placed.path,
        "torch_index": host.torch_index or None,
        "check": CHECK,
        **(settings or {}),
    }
    spec = JobSpec(
        id=new_job_id(ROUTINE),
        routine=ROUTINE,
        command=[host.python, "-m", "core.setup_env", "--job", "."],
        settings=chosen,
        inputs=[asdict(placed)],
        env={**host.env, "PYTHONPATH": push_code(line.route()), "PYTHONUNBUFFERED": "1"},
        accelerator=None,
        requested_by=operator(),
        requested_at=now(),
        host=line.host_name,
        note="the Python environment of the jobs",
    )
    bench.write(lambda reg: jobs.record(reg, spec, spec.host))
    line.launcher().start(spec)
    bench.following.follow(spec.id)
    return spec.id


def interpreter() -> str:
    """Where the ready environment's Python lies, relative to the work folder."""
    return "environment/current/bin/python"
