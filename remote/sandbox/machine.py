"""The GPU host behind all its connections: its environment, its running commands, its reboots.

The host's boot id is in the environment of everything that runs there, as QA_AGENT_BOOT_ID: the agent
takes it for the kernel's, and a reboot finds by it what has to die.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from signal import SIGKILL, SIGTERM, Signals

from remote.agent import procs
from remote.sandbox.files import USER, Layout
from remote.sandbox.keys import new_boot_id

PASSED_THROUGH = ("QA_MODELS", "QA_CACHE")
BOOT_ID = "QA_AGENT_BOOT_ID"
ROUNDS = 50  # of killing: what is found may just have made another


def host_environment(layout: Layout, operator: Mapping[str, str]) -> dict[str, str]:
    """What a command on the GPU host sees: its own small world, none of the operator's secrets."""
    env = {
        "HOME": str(layout.home),
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": shell(),
        "LANG": operator.get("LANG") or "C.UTF-8",
        "PATH": f"{layout.bin}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        # Some builds of bash read ~/.bashrc for a command when they see these, as on a real host.
        "SSH_CLIENT": "127.0.0.1 0 22",
        "SSH_CONNECTION": "127.0.0.1 0 127.0.0.1 22",
    }
    env.update({name: operator[name] for name in PASSED_THROUGH if operator.get(name)})
    return env


def shell() -> str:
    return shutil.which("bash") or "/bin/sh"


@dataclass(slots=True)
class Machine:
    """One GPU host. max_sessions: channels a connection may have open; None for any number."""

    layout: Layout
    env: dict[str, str]
    max_sessions: int | None = None
    running: dict[int, asyncio.SubprocessTransport] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return self.env | {BOOT_ID: self.layout.boot_id.read_text()}

    async def end_commands(self, grace_s: float) -> None:
        """End every command still running: SIGTERM, then SIGKILL. Who left their session stays."""
        for number in (SIGTERM, SIGKILL):
            for pid in list(self.running):
                signal_group(pid, number)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    while self.running:
                        await asyncio.sleep(0.01)
                    return

    async def reboot(self) -> None:
        """Everything that ran dies where it stands, detached jobs too; then another boot id.

        Finds detached processes on Linux only.
        """
        mark = f"{BOOT_ID}={self.layout.boot_id.read_text()}"
        for _ in range(ROUNDS):
            pids = {*procs.marked(mark), *self.running}
            for pid in pids:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, SIGKILL)
            if not pids:
                break
            await asyncio.sleep(0.02)
        new_boot_id(self.layout)


def signal_group(pid: int, number: Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
