"""Start, watch and stop jobs on the host, behind one Protocol."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any, Protocol

from core.errors import RouteError
from core.jobdir import ACTIVE, ENDED, LOST, JobSpec, JobState
from remote.helper_client import ODD, Carrier, plain

_STATUSES = ACTIVE | ENDED
_TEXT = frozenset({"status", "boot_id", "reason", "waiting_for", "node", "scheduler_id"})
_NUMBERS = frozenset(f.name for f in fields(JobState)) - _TEXT


class Launcher(Protocol):
    """One way to run a job on a host."""

    def start(self, spec: JobSpec, *, queue: bool = False) -> JobState:
        """Safe to repeat with the same spec: a job is started once.

        queue: on a busy accelerator the job waits its turn (status `queued`). Otherwise raises
        AcceleratorBusy.
        """
        ...

    def state(self, job_id: str) -> JobState: ...
    def stop(self, job_id: str, *, kill: bool = False) -> None: ...
    def list(self) -> list[tuple[str, JobState]]: ...
    def remove(self, job_id: str) -> None:
        """Delete an ended job's directory on the host. Raises JobActive, NotFound."""
        ...


class DirectLauncher:
    """A detached runner on the host itself; waiting jobs are in line by their submission."""

    def __init__(self, route: Carrier, env: dict[str, str] | None = None) -> None:
        """env: beneath the spec's own; default: the host's `env`."""
        self._route = route
        host = getattr(route, "host", None)
        self._env = dict(env if env is not None else getattr(host, "env", {}))

    def start(self, spec: JobSpec, *, queue: bool = False) -> JobState:
        """The state right after the start; `failed` with a reason if it could not begin.

        queue: wait on the host for a busy accelerator; the state is then `queued`, with the holder
        in `waiting_for` and the `position` in line. The wait needs no link.
        Raises AcceleratorBusy (with .holder), UsageError (id), DiskFull, LinkLost: after a cut, ask
        again with the same spec.
        """
        spec = replace(spec, env={**self._env, **spec.env})
        answer = self._route.helper().call("launch", spec=asdict(spec), queue=queue, timeout=90.0)
        return state_from(answer)

    def state(self, job_id: str) -> JobState:
        """The truth about it now. Raises NotFound."""
        return state_from(self._route.helper().call("job_state", job_id=job_id))

    def stop(self, job_id: str, *, kill: bool = False) -> None:
        """Ask it to end (SIGTERM, after the spec's grace SIGKILL); kill: SIGKILL at once.

        Returns when the request is placed, not when the job has ended.
        """
        self._route.helper().call("stop", job_id=job_id, kill=kill)

    def remove(self, job_id: str) -> None:
        """Delete an ended job's directory on the host: log, checkpoints, artifacts.

        Raises JobActive, NotFound, UsageError (a link instead of a directory).
        """
        self._route.helper().call("remove_job", job_id=job_id, timeout=300.0)

    def list(self) -> list[tuple[str, JobState]]:
        """All jobs of the work folder, oldest first."""
        answer = self._route.helper().call("list_jobs", timeout=60.0)
        if not isinstance(answer, list):
            raise RouteError("the host sent an odd list of jobs", try_next=ODD)
        return [
            (plain(row["id"], 128), state_from(row.get("state")))
            for row in answer
            if isinstance(row, dict) and isinstance(row.get("id"), str)
        ]


def specs_of(route: Carrier, job_ids: Sequence[str]) -> dict[str, JobSpec]:
    """Specifications by id; those that the host does not have, or not in order, are left out."""
    if not job_ids:
        return {}
    answer = route.helper().call("job_specs", job_ids=list(job_ids), timeout=60.0)
    found = {}
    for job_id, data in zip(job_ids, answer if isinstance(answer, list) else [], strict=False):
        spec = spec_from(data)
        if spec is not None and spec.id == job_id:
            found[job_id] = spec
    return found


def checkpoints_of(route: Carrier, folder: str) -> list[str]:
    """Names of the whole checkpoints in a folder of the host, newest first."""
    answer = route.helper().call("checkpoints", path=folder)
    names = (
        [c.get("name") for c in answer if isinstance(c, dict)] if isinstance(answer, list) else []
    )
    return [plain(name, 64) for name in names]


def spec_from(data: Any) -> JobSpec | None:
    """A JobSpec of what the host sent, if every field has its type."""
    try:
        spec = JobSpec.from_json(json.dumps(data))
    except (TypeError, ValueError, AttributeError):
        return None
    texts = (spec.id, spec.routine, spec.requested_by, spec.requested_at, spec.host, spec.note)
    good = all(isinstance(t, str) for t in texts) and isinstance(spec.settings, dict)
    good = good and isinstance(spec.command, list) and isinstance(spec.env, dict)
    return spec if good and isinstance(spec.inputs, list) else None


def state_from(data: Any) -> JobState:
    """A JobState of what the host sent; fields of a wrong type are dropped."""
    if not isinstance(data, dict) or data.get("status") not in _STATUSES:
        return JobState(status=LOST, reason="the host sent an odd state")
    good: dict[str, Any] = {k: plain(v) for k, v in data.items() if k in _TEXT and v is not None}
    for name in _NUMBERS & data.keys():
        if isinstance(data[name], (int, float)) and not isinstance(data[name], bool):
            good[name] = data[name]
    return JobState(**good)
