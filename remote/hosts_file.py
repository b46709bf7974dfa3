"""The shape of one entry of `configs/hosts.yaml`, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from core.settings import Settings

# What ends up in a shell word, a known_hosts line or a path holds no blanks and no controls.
Word = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]+$", max_length=255)]
WorkPath = Annotated[str, StringConstraints(pattern=r"^(/|~/)[^\x00-\x1f\x7f]+$", max_length=1024)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00\r\n]*$", max_length=4096)]
Port = Annotated[int, Field(ge=1, le=65535)]
LockName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class JumpSettings(Settings):
    address: Word
    port: Port = 22
    user: Word | None = None
    identity_file: Line | None = None
    host_key_alias: Word | None = None


class HostSettings(Settings):
    title: Line = ""
    address: Word
    port: Port = 22
    user: Word | None = None
    jump: JumpSettings | None = None
    identity_file: Line | None = None
    host_key_alias: Word | None = None
    known_hosts: Line | None = None
    known_hosts_also: list[Line] = Field(default=["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"])
    workdir: WorkPath
    python: Line = "python3"
    env: dict[Word, Line] = Field(default={})
    accelerator: LockName = "gpu0"
    launcher: Literal["direct"] = "direct"
