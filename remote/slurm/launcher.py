"""Jobs handed to Slurm: the same job directory, the same runner, but on the node Slurm chooses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from core.errors import RouteError, UsageError
from core.jobdir import JobSpec, JobState
from remote.helper_client import ODD, Carrier, plain
from remote.launch import DirectLauncher, state_from
from remote.slurm.script import batch_script
from remote.slurm.settings import SlurmSettings

SUBMIT_S = 120.0
ANSWER_S = 90.0
MARGIN_S = 15  # between our SIGKILL and Slurm's
SPREAD = frozenset({"train"})  # routines that can work in several processes


class SlurmLauncher(DirectLauncher):
    """`list` and `remove` are those of any job directory: the agent on the host sees that a job is
    Slurm's."""

    def __init__(
        self,
        route: Carrier,
        settings: SlurmSettings | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        """settings: default, the host's `slurm` block."""
        super().__init__(route, env)
        host = getattr(route, "host", None)
        self.settings = settings or getattr(host, "slurm", None) or SlurmSettings()
        self._python = str(getattr(host or route, "python", "python3"))

    def start(self, spec: JobSpec, *, queue: bool = True) -> JobState:
        """Submit it, once. `queued` with Slurm's reason and, if it has one, its expected start.

        queue: makes no difference, Slurm always queues.
        Raises SchedulerRefused (partition, account, what no node has; in Slurm's words),
        SchedulerDown, MissingComponent, UsageError (id), LinkLost: ask again with the same spec.
        """
        spec = self._settled(spec)
        answer = self._route.helper().call(
            "slurm_submit",
            spec=asdict(spec),
            script=self.script(spec),
            where=self.settings.where,
            terms={"requeue": self.settings.requeue, "signal_s": self.settings.signal_s},
            timeout=SUBMIT_S,
        )
        return state_from(answer)

    def state(self, job_id: str) -> JobState:
        """The truth about it now; Slurm may take its time. Raises NotFound."""
        call = self._route.helper().call
        return state_from(call("job_state", job_id=job_id, timeout=ANSWER_S))

    def stop(self, job_id: str, *, kill: bool = False) -> None:
        """Out of the queue, or SIGTERM and the spec's grace; kill: SIGKILL at once.

        Returns when the request is placed. Raises NotFound, SchedulerDown.
        """
        self._route.helper().call("stop", job_id=job_id, kill=kill, timeout=ANSWER_S)

    def start_array(self, specs: Sequence[JobSpec], *, at_once: int = 0) -> list[JobState]:
        """Submit all as one job array, each task with its own job directory; states in their order.

        at_once: run at most so many tasks at the same time, 0: as many as fit.
        Safe to repeat with the same specs. Raises as `start`; UsageError if the tasks ask for
        different numbers of nodes or are none.
        """
        specs = [self._settled(spec) for spec in specs]
        if not specs or len({spec.id for spec in specs}) < len(specs):
            raise UsageError(
                "an array needs at least one job, and each job once",
                try_next="give each task a job id of its own",
            )
        if len({spec.nodes for spec in specs}) > 1:
            raise UsageError(
                "all jobs of an array need the same number of nodes",
                try_next="submit an array for each number of nodes",
            )
        name = array_name(specs)
        hello = self._hello()
        tasks = f"{hello['workdir']}/arrays/{name}/tasks"
        script = batch_script(
            self.settings,
            self._command(hello, tasks),
            nodes=specs[0].nodes,
            tasks=len(specs),
            at_once=at_once,
        )
        answer = self._route.helper().call(
            "slurm_array",
            name=name,
            specs=[asdict(spec) for spec in specs],
            script=script,
            where=self.settings.where,
            terms={"requeue": self.settings.requeue, "signal_s": self.settings.signal_s},
            timeout=SUBMIT_S,
        )
        if not isinstance(answer, list) or len(answer) != len(specs):
            raise RouteError("the host sent an odd list of jobs", try_next=ODD)
        return [state_from(state) for state in answer]

    def script(self, spec: JobSpec) -> str:
        """The batch script of a settled job: for reading, and what `start` submits."""
        hello = self._hello()
        command = self._command(hello, f"{hello['workdir']}/jobs/{spec.id}")
        return batch_script(self.settings, command, nodes=spec.nodes)

    def queue(self) -> list[dict[str, str]]:
        """Every job of this login that Slurm knows, ours or not: id, state, name, reason, nodes."""
        rows = self._route.helper().call("slurm_list", where=self.settings.where, timeout=60.0)
        wanted = ("id", "state", "name", "reason", "nodes")
        return [
            {key: plain(row.get(key) or "", 200) for key in wanted}
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict)
        ]

    def _settled(self, spec: JobSpec) -> JobSpec:
        """Slurm hands out the GPUs, so there is no lock of ours; the grace fits its notice."""
        grace = max(spec.grace_s, float(self.settings.signal_s - MARGIN_S))
        spec = replace(spec, env={**self._env, **spec.env}, accelerator=None, grace_s=grace)
        if spec.routine in SPREAD and spec.nodes * spec.processes == 1:
            processes = max(1, self.settings.gpu_count)
            starter = self.settings.starter
            spec = replace(spec, nodes=self.settings.nodes, processes=processes, starter=starter)
        return spec

    def _hello(self) -> dict[str, str]:
        hello: Any = self._route.helper().call("hello")
        return {key: str(hello[key]) for key in ("workdir", "agent")}

    def _command(self, hello: dict[str, str], what: str) -> list[str]:
        python, agent, workdir = self._python, hello["agent"], hello["workdir"]
        return [python, "-I", "-S", agent, "slurm-run", workdir, what]


def array_name(specs: Sequence[JobSpec]) -> str:
    """The same for the same jobs, so that a cut submission is found again."""
    digest = hashlib.sha256("\n".join(spec.id for spec in specs).encode()).hexdigest()
    return f"array-{specs[0].id[:80]}-{digest[:10]}"
