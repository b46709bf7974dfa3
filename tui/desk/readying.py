"""Before a training is started or put in line: its host is asked whether it would refuse it.

A job may wait for hours for an accelerator, and end within a second because its base model is not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core import errors
from core.errors import EnvironmentProblem, LinkLost, QAError, RouteError, UsageError

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

PATIENCE_S = 120.0
LONGEST = 2000  # characters of what the host says


def require_ready(bench: Workbench, settings: Mapping[str, Any]) -> None:
    """settings: of the job; what they name is on the host. Raises what the run would, and LinkLost.

    A host that gives no answer (another Python on the login node, say) stops nothing: the job looks
    for itself when it begins.
    """
    from remote.sync import push_code

    route = bench.line.route()
    bench.line.use_environment()  # it may have been made since
    host = bench.line.host()
    where = "here" if host.launcher == "direct" else "elsewhere"
    env = {**host.env, "PYTHONPATH": push_code(route), "HF_HUB_OFFLINE": "1"}
    argv = ["env", *(f"{k}={v}" for k, v in env.items())]
    argv += [host.python, "-m", "core.probes", "training", where]
    try:
        done = route.run(argv, timeout=PATIENCE_S, input=json.dumps(settings).encode())
    except LinkLost:
        raise
    except RouteError:
        return
    refusal = (
        refusal_of(done.stdout.decode("utf-8", "replace"), host.name) if done.code == 0 else None
    )
    if refusal is not None and (where == "here" or not isinstance(refusal, EnvironmentProblem)):
        raise refusal  # a login node need not have what its jobs have: models, packages


def refusal_of(said: str, host: str) -> QAError | None:
    """The error that an answer of `core.probes training` holds; None for any other answer."""
    try:
        found = json.loads(said.strip().rpartition("\n")[2])
        told = found["refused"]
        what, why, try_next = (str(told[k])[:LONGEST] for k in ("what", "why", "try_next"))
        kind = getattr(errors, str(told["error"]), UsageError)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (isinstance(kind, type) and issubclass(kind, QAError)):
        kind = UsageError
    return kind(f"{host}: {what}", why=why, try_next=try_next)
