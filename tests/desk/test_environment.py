"""`qa doctor --fix` over a real route: a job makes the environment, and jobs run with it from then on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.jobdir import SUCCEEDED
from remote.sandbox import Sandbox
from tests.remote.test_setup_env import wheel
from tui.desk import environment
from tui.desk.workbench import Workbench


def test_the_environment_is_a_job_and_then_what_jobs_run_with(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "alpha", "1.5", "x = 15")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    with Sandbox(tmp_path / "box") as box:
        bench = Workbench("gh200")
        bench.line._host = replace(box.host, env={**box.host.env, **offline})
        try:
            bench.connect()
            before = bench.line.host().python
            wanted = {"requirements": ["alpha"], "constraints": None, "check": ["alpha"]}
            said: list[str] = []
            job = environment.start(bench, settings=wanted)
            assert bench.following.wait_succeeded(job, said.append).status == SUCCEEDED
            bench.line.use_environment()
            python = bench.line.host().python
            assert python != before and python.endswith(environment.interpreter())
            done = bench.line.route().run(
                [python, "-c", "import alpha; print(alpha.x)"], timeout=30
            )
            assert done.text.strip() == "15"
            assert "checking alpha" in bench.job_dir(job).output.read_text()
        finally:
            bench.close()


def test_the_laptops_packages_are_not_asked_for() -> None:
    names = {r.split(">")[0].split("=")[0] for r in environment.requirements()}
    assert {"torch", "trl", "pydantic", "sqlite-utils"} <= names
    assert not names & {"textual", "paramiko", "typer"}
