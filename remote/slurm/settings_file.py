"""The shape of the `slurm:` block of a host in hosts.yaml, checked by pydantic."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from core.settings import Settings
from remote.slurm.settings import SlurmSettings, time_limit_s

Word = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]+$", max_length=255)]
Folder = Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]+$", max_length=1024)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00\r\n]+$", max_length=4096)]

# Set by us, or the job directory would no longer be the one that is looked at.
OURS = frozenset(
    "array batch chdir clusters comment error export input job-name no-requeue open-mode output "
    "parsable requeue signal test-only wait wrap".split()
)
HAVE_KEYS = {
    "partition": "partition",
    "account": "account",
    "time": "time",
    "gpus-per-node": "gpus_per_node",
    "cpus-per-task": "cpus_per_task",
    "mem": "mem",
    "nodes": "nodes",
    "qos": "qos",
    "constraint": "constraint",
    "reservation": "reservation",
}


def _time(value: Any) -> Any:
    if isinstance(value, int):  # YAML reads 12:00:00 without quotes as a number in base 60
        raise ValueError(
            f'write it in quotes, as "12:00:00" or "1-12:00:00" (YAML made it {value})'
        )
    if not isinstance(value, str) or not time_limit_s(value):
        raise ValueError('write it as "HH:MM:SS" or "D-HH:MM:SS"')
    return value


def _number_or_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Time = Annotated[str, BeforeValidator(_time)]
Gpus = Annotated[
    str,
    BeforeValidator(_number_or_text),
    StringConstraints(pattern=r"^([A-Za-z0-9_.-]+:)?[1-9][0-9]{0,2}$"),
]
Memory = Annotated[
    str, BeforeValidator(_number_or_text), StringConstraints(pattern=r"^[0-9]+[KMGT]?$")
]


class SlurmFile(Settings):
    partition: Word | None = None
    account: Word | None = None
    time: Time | None = None
    gpus_per_node: Gpus | None = None
    cpus_per_task: Annotated[int, Field(ge=1, le=4096)] | None = None
    mem: Memory | None = None
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    qos: Word | None = None
    constraint: Word | None = None
    reservation: Word | None = None
    extra: list[Line] = Field(default=[])
    setup: list[Line] = Field(default=[])
    signal_s: Annotated[int, Field(ge=10, le=65535)] = 120
    requeue: bool = False
    starter: Literal["torchrun", "accelerate"] = "torchrun"
    ask_s: Annotated[float, Field(ge=0.1, le=300)] = 5.0
    bin: Folder | None = None
    conf: Folder | None = None

    @field_validator("extra")
    @classmethod
    def _extra(cls, options: list[str]) -> list[str]:
        for option in options:
            match = re.match(r"--([a-z][a-z-]*)(=|$)", option)
            if not match:
                raise ValueError(f"{option!r} is not of the form --name or --name=value")
            if match.group(1) in OURS:
                raise ValueError(f"--{match.group(1)} is set by the launcher itself")
            if match.group(1) in HAVE_KEYS:
                raise ValueError(f"use the key {HAVE_KEYS[match.group(1)]!r} for {option!r}")
        return options

    @model_validator(mode="after")
    def _time_to_work(self) -> SlurmFile:
        limit = time_limit_s(self.time or "")
        if limit and limit < self.signal_s + 60:
            raise ValueError(f"signal_s ({self.signal_s} s) leaves no time to work in {self.time}")
        return self

    def settings(self) -> SlurmSettings:
        values = self.model_dump()
        return SlurmSettings(
            **{**values, "extra": tuple(self.extra), "setup": tuple(self.setup)},
        )
