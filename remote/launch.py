"""Start, watch and stop jobs on the host, behind one Protocol."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any, Protocol

from core.errors import RouteError
from core.jobdir import LOST, JobSpec, JobState
from remote.helper_client import Carrier, plain

_STATUSES = frozenset("starting running stopping orphan succeeded failed stopped lost".split())
_TEXT = frozenset({"status", "boot_id", "reason"})
_NUMBERS = frozenset(f.name for f in fields(JobState)) - _TEXT


class Launcher(Protocol):
    """One way to run a job on a host."""

    def start(self, spec: JobSpec) -> JobState:
        """Safe to repeat with the same spec: a job is started once. Raises AcceleratorBusy."""
        ...

    def state(self, job_id: str) -> JobState: ...
    def stop(self, job_id: str, *, kill: bool = False) -> None: ...
    def list(self) -> list[tuple[str, JobState]]: ...


class DirectLauncher:
    """A detached runner on the host itself, without a queue."""

    def __init__(self, route: Carrier, env: dict[str, str] | None = None) -> None:
        """env: beneath the spec's own; default: the host's `env`."""
        self._route = route
        host = getattr(route, "host", None)
        self._env = dict(env if env is not None else getattr(host, "env", {}))

    def start(self, spec: JobSpec) -> JobState:
        """The state right after the start; `failed` with a reason if it could not begin.

        Raises AcceleratorBusy (with .holder), UsageError (id), DiskFull, LinkLost: after a cut, ask
        again with the same spec.
        """
        spec = replace(spec, env={**self._env, **spec.env})
        answer = self._route.helper().call("launch", spec=asdict(spec), timeout=90.0)
        return state_from(answer)

    def state(self, job_id: str) -> JobState:
        """The truth about it now. Raises NotFound."""
        return state_from(self._route.helper().call("job_state", job_id=job_id))

    def stop(self, job_id: str, *, kill: bool = False) -> None:
        """Ask it to end (SIGTERM, after the spec's grace SIGKILL); kill: SIGKILL at once.

        Returns when the request is placed, not when the job has ended.
        """
        self._route.helper().call("stop", job_id=job_id, kill=kill)

    def list(self) -> list[tuple[str, JobState]]:
        """All jobs of the work folder, oldest first."""
        answer = self._route.helper().call("list_jobs", timeout=60.0)
        if not isinstance(answer, list):
            raise RouteError("the host sent an odd list of jobs")
        return [
            (plain(row["id"], 128), state_from(row.get("state")))
            for row in answer
            if isinstance(row, dict) and isinstance(row.get("id"), str)
        ]


def state_from(data: Any) -> JobState:
    """A JobState of what the host sent; fields of a wrong type are dropped."""
    if not isinstance(data, dict) or data.get("status") not in _STATUSES:
        return JobState(status=LOST, reason="the host sent an odd state")
    good: dict[str, Any] = {k: plain(v) for k, v in data.items() if k in _TEXT and v is not None}
    for name in _NUMBERS & data.keys():
        if isinstance(data[name], (int, float)) and not isinstance(data[name], bool):
            good[name] = data[name]
    return JobState(**good)
