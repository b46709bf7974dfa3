"""What Slurm offers on a host: for the preflight, and to choose a partition by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from core.errors import RouteError
from remote.helper_client import ODD, Carrier, plain
from remote.slurm.settings import SlurmSettings, time_limit_s


@dataclass(frozen=True, slots=True)
class Partition:
    """time_limit, default_time: in Slurm's words.  gres: what a node has, `gpu:gh200:4`.
    nodes_*: of the kind of node this row stands for.  memory_mb: per node."""

    name: str
    up: bool
    default: bool
    time_limit: str
    default_time: str
    nodes_allocated: int
    nodes_idle: int
    nodes_other: int
    nodes_total: int
    cpus: str
    memory_mb: str
    gres: str


@dataclass(frozen=True, slots=True)
class Association:
    """One account of this login; empty partition: any."""

    account: str
    partition: str
    qos: tuple[str, ...]
    default_qos: str


@dataclass(frozen=True, slots=True)
class SlurmInfo:
    """accounts: empty with a reason in `accounts_problem` where Slurm keeps none.
    accounting_problem: "" if sacct answers, else its words; ended jobs are then known to Slurm only
    for `MinJobAge`, and to us by their own state.  config: a few settings of the site, as it words them.
    """

    version: str
    cluster: str
    partitions: tuple[Partition, ...]
    accounts: tuple[Association, ...]
    accounts_problem: str
    accounting_problem: str
    config: dict[str, str]

    @property
    def default_partition(self) -> str | None:
        return next((p.name for p in self.partitions if p.default), None)

    @property
    def accounting(self) -> bool:
        return not self.accounting_problem

    @property
    def summary(self) -> str:
        """One line for a list of findings."""
        parts = []
        for name in dict.fromkeys(p.name for p in self.partitions):
            rows = self.partition(name)
            idle, total = sum(p.nodes_idle for p in rows), sum(p.nodes_total for p in rows)
            gres = "/".join(dict.fromkeys(p.gres for p in rows if p.gres)) or "no GPUs"
            star = "*" if name == self.default_partition else ""
            parts.append(
                f"{name}{star} {idle} of {total} nodes idle, {gres}, ≤ {rows[0].time_limit}"
            )
        return f"Slurm {self.version} · " + " · ".join(parts or ["no partition"])

    def partition(self, name: str | None) -> tuple[Partition, ...]:
        """Rows of a partition (one for each kind of node); of the default one for None."""
        wanted = name or self.default_partition
        return tuple(p for p in self.partitions if p.name == wanted)


def survey(route: Carrier, settings: SlurmSettings | None = None) -> SlurmInfo:
    """Ask. Raises MissingComponent (no Slurm here), SchedulerDown, LinkLost."""
    settings = settings or getattr(getattr(route, "host", None), "slurm", None) or SlurmSettings()
    answer = route.helper().call("slurm_info", where=settings.where, timeout=120.0)
    if not isinstance(answer, dict):
        raise RouteError("the host sent an odd answer about Slurm", try_next=ODD)
    return info_from(answer)


def info_from(answer: dict[str, Any]) -> SlurmInfo:
    """What the host sent, cleaned; rows that are none are left out."""
    config = {plain(k, 64): plain(v, 100) for k, v in _mapping(answer.get("config")).items()}
    return SlurmInfo(
        version=plain(answer.get("version", ""), 64)
        .removeprefix("slurm-wlm ")
        .removeprefix("slurm "),
        cluster=config.get("ClusterName", ""),
        partitions=tuple(p for p in map(_partition, _rows(answer, "partitions")) if p),
        accounts=tuple(a for a in map(_association, _rows(answer, "accounts")) if a),
        accounts_problem=plain(answer.get("accounts_problem", "")),
        accounting_problem=plain(answer.get("accounting_problem", "")),
        config=config,
    )


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _rows(answer: dict[str, Any], key: str) -> list[list[str]]:
    rows = answer.get(key)
    return [
        [plain(word, 200) for word in row]
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, list)
    ]


def _partition(row: list[str]) -> Partition | None:
    if len(row) != 9:
        return None
    name, available, limit, default_time, nodes, cpus, memory, marked, gres = row
    counts = nodes.split("/")
    if len(counts) != 4 or not all(c.isdecimal() for c in counts):
        return None
    allocated, idle, other, total = map(int, counts)
    return Partition(
        name=name,
        up=available == "up",
        default=marked.endswith("*"),
        time_limit=limit,
        default_time="" if default_time == "n/a" else default_time,
        nodes_allocated=allocated,
        nodes_idle=idle,
        nodes_other=other,
        nodes_total=total,
        cpus=cpus,
        memory_mb=memory,
        gres="" if gres == "(null)" else gres,
    )


def _association(row: list[str]) -> Association | None:
    if len(row) != 4 or not row[0]:
        return None
    return Association(row[0], row[1], tuple(q for q in row[2].split(",") if q), row[3])


def misfits(found: SlurmInfo, settings: SlurmSettings) -> list[str]:
    """What of the `slurm` block this Slurm would refuse, or never start; one sentence each."""
    wrong = []
    rows = found.partition(settings.partition)
    if not rows:
        names = ", ".join(dict.fromkeys(p.name for p in found.partitions)) or "none"
        if settings.partition:
            wrong.append(f"there is no partition {settings.partition!r}; there are: {names}")
        else:
            wrong.append(f"there is no default partition: set `partition` to one of: {names}")
    elif not any(p.up for p in rows):
        wrong.append(f"the partition {rows[0].name!r} is down")
    accounts = sorted({a.account for a in found.accounts})
    if accounts and settings.account and settings.account not in accounts:
        wrong.append(
            f"this login has no account {settings.account!r}; it has: {', '.join(accounts)}"
        )
    most = max((_gpus(p.gres) for p in rows), default=0)
    if rows and settings.gpu_count > most:
        wrong.append(
            f"{settings.gpu_count} GPUs a node are asked for; nodes of {rows[0].name!r} have {most}"
        )
    wanted = time_limit_s(settings.time or "")
    limit = time_limit_s(rows[0].time_limit) if rows else None
    if wanted and limit and wanted > limit:
        wrong.append(f"`time` {settings.time} is over the partition's limit {rows[0].time_limit}")
    return wrong


def _gpus(gres: str) -> int:
    """GPUs of `gpu:gh200:4(S:0-3),nic:2`."""
    found = re.findall(r"(?:^|,)gpu(?::[^,:()]+)?:(\d+)", gres)
    return sum(int(n) for n in found)
