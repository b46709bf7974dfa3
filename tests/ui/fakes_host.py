"""What the Host screen is given: a GH200 with one thing that would fail, and a tunnel."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from core.errors import NotFound
from tui.desk.api_host import (
    Checked,
    Device,
    FindingRow,
    HostKey,
    HostView,
    Process,
    Setting,
    TunnelRow,
)

NOW = 1_795_357_800.0
JUMP, HOST = "jump host jump.example.org", "host gh200"
VIEW = HostView(
    "GH200 of the project",
    (JUMP, HOST),
    (
        Setting(JUMP, "jsmith@jump.example.org:22", "hosts.yaml"),
        Setting("  user", "jsmith", "hosts.yaml"),
        Setting("  port", "22", "default"),
        Setting("  host key under", "jump.example.org", "default"),
        Setting("  identity files", "~/.ssh/id_ed25519", "~/.ssh/config line 4"),
        Setting(HOST, "jsmith@gh200.internal:22", "hosts.yaml"),
        Setting("  user", "jsmith", "hosts.yaml"),
        Setting("  port", "22", "default"),
        Setting("  host key under", "gh200.internal", "default"),
        Setting("known hosts, added to", "~/.ssh/known_hosts", "default"),
        Setting("workdir", "~/access-qa", "hosts.yaml"),
        Setting("python", "python3.11", "hosts.yaml"),
        Setting("accelerator", "gpu0", "default"),
        Setting("launcher", "direct", "default"),
    ),
    (
        HostKey(
            JUMP,
            "jump.example.org",
            "authority",
            "ssh-ed25519",
            "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
            "~/.ssh/known_hosts:3",
        ),
        HostKey(
            HOST,
            "gh200.internal",
            "key",
            "ssh-ed25519",
            "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGLixsXbfBjuy1ZSbGY",
            "~/.ssh/known_hosts:11",
        ),
    ),
)
FOUND = (
    FindingRow("system", "Operating system", "pass", "Ubuntu 22.04.4 LTS, aarch64, glibc 2.35"),
    FindingRow("python", "Python", "pass", "3.11.9 at /usr/bin/python3.11"),
    FindingRow(
        "packages",
        "Packages",
        "fail",
        "torch 2.13.0+cu130",
        "driver 555.42.06 runs CUDA 12 builds only: torch would not see the GPU",
        "F makes the environment with a CUDA 12.6 build",
    ),
    FindingRow("driver", "Driver", "pass", "555.42.06, CUDA 12.5"),
    FindingRow("gpu", "GPU", "pass", "NVIDIA GH200 480GB, 95.6 GiB, 94.1 GiB free"),
    FindingRow(
        "disk",
        "Disk",
        "warn",
        "41 GB free in ~/access-qa",
        "a merged 7B model takes 15 GB, and each checkpoint 1 GB",
        "remove old jobs: qa jobs rm",
    ),
    FindingRow("clock", "Clock", "pass", "0.2 s ahead"),
)


class FakeHost:
    """Implements tui.desk.api_host.HostDesk for a FakeDesk."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.found: Checked | None = None
        self.shown = VIEW
        self.open: dict[int, TunnelRow] = {}

    def view(self) -> HostView:
        self.desk._asked("host.view")
        return self.shown

    def devices(self) -> tuple[Device, ...]:
        gauge = self.desk.reading()
        if gauge is None:
            return ()
        past = tuple(
            (NOW - 180 + n, None if 60 <= n < 70 else 0.55 + 0.4 * math.sin(n / 9))
            for n in range(180)
        )
        return (Device(gauge, 0, past),)

    def processes(self) -> tuple[Process, ...]:
        return (Process(41231, "python3.11 -m core.training --job .", 61 << 30),)

    def checked(self) -> Checked | None:
        return self.found

    def check(self) -> Checked:
        self.desk._asked("host.check")
        self.found = Checked(NOW - 12, FOUND)
        return self.found

    def fix(self) -> str:
        self.desk._asked("host.fix")
        return str(next(iter(self.desk.rows)))

    def tunnels(self) -> tuple[TunnelRow, ...]:
        return tuple(self.open.values())

    def open_tunnel(self, port: int, local: int = 0) -> TunnelRow:
        self.desk._asked("host.open_tunnel", port, local)
        row = TunnelRow(port, f"127.0.0.1:{local or 45123}", 0, 0, 0, 0)
        self.open[port] = replace(row, open=1, served=4, sent=18_200, received=4_210_000)
        return row

    def close_tunnel(self, port: int) -> None:
        self.desk._asked("host.close_tunnel", port)
        if self.open.pop(port, None) is None:
            raise NotFound(f"no tunnel to port {port}")

    def close(self) -> None:
        pass
