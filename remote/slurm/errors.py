"""What the agent says of Slurm as one of our errors, with what to do about it."""

from __future__ import annotations

import re

from core.errors import MissingComponent, QAError, SchedulerDown, SchedulerRefused

# words of Slurm's refusal → the key of the slurm block to look at
HINTS = (
    (r"invalid partition|partition.*(not|un)avail", "check `partition`"),
    (r"account.partition combination|invalid account|account", "check `account` and `partition`"),
    (r"qos", "check `qos`: it may not go with this account or partition"),
    (r"time limit|--time", "check `time`: the partition may allow less"),
    (r"gres|gpu|node configuration|node count|cpu|memory", "check `gpus_per_node`, `cpus_per_task`, "
     "`mem`, `constraint` and `nodes`: no node of the partition has that"),
    (r"reservation", "check `reservation`"),
    (r"feature|constraint", "check `constraint`"),
    (r"unrecognized option|invalid option", "check `extra`"),
)  # fmt: skip


def slurm_error(code: str, what: str, why: str) -> QAError:
    """code: slurm_missing, slurm_down, slurm_refused, slurm_odd."""
    if code == "slurm_missing":
        return MissingComponent(
            what,
            why=why or "the login's PATH has no Slurm commands",
            try_next="set `bin` in the `slurm` block of this host in hosts.yaml, or `launcher: direct`",
        )
    if code == "slurm_down":
        return SchedulerDown(
            what,
            why=why,
            try_next="running jobs go on; try again, and ask the site if it lasts",
        )
    low = what.lower()
    hint = next((hint for words, hint in HINTS if re.search(words, low)), "")
    where = " in the `slurm` block of this host in hosts.yaml" if hint else ""
    return SchedulerRefused(
        f"Slurm refused: {what}",
        why=why,
        try_next=hint + where or "qa doctor --host NAME shows what this Slurm offers",
    )
