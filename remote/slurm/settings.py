"""What a host's `slurm:` block says. Plain values; the block itself is read by `settings_file`."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """Everything None or empty is left to the site's own default.

    time: limit in Slurm's words, `[D-]HH:MM:SS`.  gpus_per_node: a count, or `type:count`.
    nodes: what a training job is spread over.  mem: per node, `64G`; `0` is all of it.
    extra: further sbatch options, `--name=value`.  setup: shell lines before the job.
    signal_s: seconds before the time limit at which the job is asked to end, so that it can write a
    checkpoint.  requeue: a job ended by the time limit, a preemption or a failed node goes back into
    the queue, and on from its checkpoint.  ask_s: Slurm is asked at most this often, seconds.
    bin: folder of sbatch and the others if the login's PATH lacks it.  conf: SLURM_CONF.
    """

    partition: str | None = None
    account: str | None = None
    time: str | None = None
    gpus_per_node: str | None = None
    cpus_per_task: int | None = None
    mem: str | None = None
    nodes: int = 1
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    extra: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    signal_s: int = 120
    requeue: bool = False
    starter: str = "torchrun"
    ask_s: float = 5.0
    bin: str | None = None
    conf: str | None = None

    @property
    def gpu_count(self) -> int:
        """GPUs on each node, 0 if none are asked for."""
        return gpu_count(self.gpus_per_node)

    @property
    def where(self) -> dict[str, Any]:
        """What the agent on the host needs to reach Slurm."""
        return {"bin": self.bin, "conf": self.conf, "ask_s": self.ask_s}

    def shown(self) -> list[tuple[str, str]]:
        """(key, value) of all that is set, in the order of the fields."""
        rows = []
        for key, value in asdict(self).items():
            if value is None or value == () or value is False:
                continue
            text = "; ".join(value) if isinstance(value, tuple) else str(value)
            rows.append((key, "yes" if value is True else text))
        return rows


def gpu_count(text: str | None) -> int:
    """GPUs in `4`, `gh200:4` or None."""
    match = re.search(r"(\d+)$", text or "")
    return int(match.group(1)) if match else 0


def time_limit_s(text: str) -> int | None:
    """Seconds of a Slurm time: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S; None without a limit or if odd."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if not match:
        return None
    day, first, second, third = (None if g is None else int(g) for g in match.groups())
    if day is not None:
        return ((day * 24 + (first or 0)) * 60 + (second or 0)) * 60 + (third or 0)
    if third is not None:
        return ((first or 0) * 60 + (second or 0)) * 60 + third
    return (first or 0) * 60 + (second or 0)
