"""The shape of one entry of `configs/hosts.yaml`, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from core.settings import Settings
from remote.slurm.settings_file import SlurmFile

# What ends up in a shell word, a known_hosts line or a path holds no blanks and no controls.
Word = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]+$", max_length=255)]
# A host's name: nothing that ssh, a shell or a known_hosts line takes for something else.
Name = Annotated[
    str,
    StringConstraints(
        pattern=r"""^[^\s\x00-\x1f\x7f'"`$\\;&<>|(){}*?!,#-][^\s\x00-\x1f\x7f'"`$\\;&<>|(){}*?!,#]*$""",
        max_length=255,
    ),
]
WorkPath = Annotated[str, StringConstraints(pattern=r"^(/|~/)[^\x00-\x1f\x7f]+$", max_length=1024)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00\r\n]*$", max_length=4096)]
Port = Annotated[int, Field(ge=1, le=65535)]
# Ends up in a job's specification, which everyone at the desk can read: no credentials.
IndexUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$", max_length=1024)]
LockName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class JumpSettings(Settings):
    address: Name
    port: Port = 22
    user: Name | None = None
    identity_file: Line | None = None
    certificate_file: Line | None = None
    host_key_alias: Name | None = None


class HostSettings(Settings):
    title: Line = ""
    environment: Literal["", "development", "staging", "production"] = ""
    ssh: Name | None = None
    address: Name | None = None
    port: Port = 22
    user: Name | None = None
    jump: JumpSettings | None = None
    jumps: list[JumpSettings] | None = Field(default=None, max_length=8)
    identity_file: Line | None = None
    certificate_file: Line | None = None
    host_key_alias: Name | None = None
    known_hosts: Line | None = None
    known_hosts_also: list[Line] = Field(default=["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"])
    workdir: WorkPath
    python: Line = "python3"
    env: dict[Word, Line] = Field(default={})
    torch_index: IndexUrl | None = None
    accelerator: LockName = "gpu0"
    link_hours: Annotated[float, Field(ge=0, le=168)] = 8.0
    launcher: Literal["direct", "slurm"] = "direct"
    slurm: SlurmFile | None = None
