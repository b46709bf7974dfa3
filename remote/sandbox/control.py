"""The control socket of the servers: one line in, one JSON line out. See `faults` for the lines."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import EnvironmentProblem, QAError, UsageError
from remote.sandbox import hostile
from remote.sandbox.disk import SmallDisk
from remote.sandbox.faults import FAULTS
from remote.sandbox.files import write_private
from remote.sandbox.server import HopName, Servers

HOUR_S, DAY_S = 3600.0, 86400.0


class Control:
    """Obeys fault lines, one at a time. disk: the host's small disk, if it has one."""

    def __init__(self, servers: Servers, disk: SmallDisk | None) -> None:
        self._servers = servers
        self._disk = disk
        self._lock = asyncio.Lock()

    async def listen(self, path: str) -> asyncio.Server:
        """On a socket for this user alone, in a folder for this user alone."""
        server = await asyncio.start_unix_server(self._talk, path)
        Path(path).chmod(0o600)
        return server

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever asked has gone, or sends no lines, or the servers are being stopped.
        with suppress(OSError, ValueError, asyncio.CancelledError):
            while line := await reader.readline():
                answer = await self.obey(line.decode(errors="replace"))
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def obey(self, line: str) -> dict[str, Any]:
        """{"done": …} once it is in force, or an error as QAError.as_dict gives it."""
        words = line.split()
        async with self._lock:
            try:
                if words == ["state"]:
                    return {"done": "state", "faults": self.state()}
                await self._inject(words)
            except QAError as exc:
                return exc.as_dict()
            except OSError as exc:
                why = exc.strerror or str(exc)
                return EnvironmentProblem(
                    f"{line.strip()!r} failed", why=why, try_next="qa sandbox down, then up"
                ).as_dict()
            # The loop runs once more, so that what was aborted is closed before we say so.
            await asyncio.sleep(0)
            return {"done": words[0], "faults": self.state()}

    def state(self) -> dict[str, Any]:
        """What is not as it should be."""
        s, weather = self._servers, self._servers.weather
        found = {
            "frozen": weather.silent,
            "delay_ms": weather.delay_s * 1000,
            "throttle": weather.rate,
            "jump_down": not s.jump_is_up,
            "host_down": not s.host_is_up,
            "changed_host_keys": sorted(s.changed_keys),
            "admits": "" if s.admits == "key" else s.admits,
            "second_factor_denied": not s.approves,
            "second_factor_s": s.approval_s,
            "max_sessions": s.machine.max_sessions,
            "disk_full": bool(self._disk and self._disk.full),
            "noisy_bashrc": self._bashrc() == hostile.GREETING,
        }
        return {name: value for name, value in found.items() if value}

    async def _inject(self, words: list[str]) -> None:
        s = self._servers
        match words:
            case ["cut"]:
                await s.cut()
            case ["kill", *which]:
                s.kill(_hop(which))
            case ["freeze"]:
                s.weather.fall_silent()
            case ["thaw"]:
                s.weather.speak()
            case ["delay", ms]:
                s.weather.delay_s = _number(ms) / 1000
            case ["throttle", rate]:
                s.weather.rate = _number(rate) or None
            case ["jump-down"]:
                await s.jump_down()
            case ["jump-up"]:
                await s.jump_comes_up()
            case ["host-down"]:
                s.host_down()
            case ["host-up"]:
                s.host_comes_up()
            case ["reboot", *seconds] if len(seconds) < 2:
                await s.reboot(_number(seconds[0]) if seconds else 0.0)
            case ["new-host-key", *which]:
                s.change_key(_hop(which))
            case ["old-host-keys"]:
                s.changed_keys.clear()
            case ["revoke-key"]:
                s.admit("nobody")
            case ["expire-certificate"]:
                s.admit("certificate", -HOUR_S)
            case ["renew-certificate"]:
                s.admit("certificate", DAY_S)
            case ["take-key"]:
                s.admit("key")
            case ["deny-second-factor"]:
                s.approves = False
            case ["slow-second-factor", seconds]:
                s.approval_s = _number(seconds)
            case ["max-sessions", most]:
                s.machine.max_sessions = int(_number(most)) or None
            case ["disk-full"]:
                await asyncio.to_thread(self._small_disk().fill)
            case ["disk-free"]:
                self._small_disk().free()
            case ["hostile-output", *size] if len(size) < 2:
                length = int(_number(size[0])) if size else 1 << 20
                for job in self._jobs():
                    await asyncio.to_thread(hostile.append_output, job, length)
            case ["hostile-files"]:
                for job in self._jobs():
                    hostile.leave_files(job / "artifacts")
            case ["noisy-bashrc"]:
                write_private(s.layout.home / ".bashrc", hostile.GREETING)
            case ["quiet-bashrc"]:
                self._quiet()
            case ["all-clear"]:
                await self._all_clear()
            case _:
                raise _unknown(words)

    async def _all_clear(self) -> None:
        s = self._servers
        s.weather.clear()
        await s.jump_comes_up()
        s.host_comes_up()
        s.changed_keys.clear()
        s.admit("key")
        s.approves, s.approval_s, s.machine.max_sessions = True, 0.0, None
        if self._disk:
            self._disk.free()
        self._quiet()

    def _small_disk(self) -> SmallDisk:
        if self._disk is None:
            raise UsageError(
                "the sandbox's host has no small disk that could be filled",
                why="its work folder lies on this machine's own disk",
                try_next="qa sandbox down, then qa sandbox up --disk 64M",
            )
        return self._disk

    def _jobs(self) -> list[Any]:
        work = self._disk.where if self._disk else self._servers.layout.work
        jobs = list(hostile.running_jobs(work))
        if not jobs:
            raise UsageError("no job runs in the sandbox", try_next="start one, then repeat")
        return jobs

    def _bashrc(self) -> bytes:
        try:
            return (self._servers.layout.home / ".bashrc").read_bytes()
        except OSError:
            return b""

    def _quiet(self) -> None:
        """Ours only: the operator may have put a file there."""
        if self._bashrc() == hostile.GREETING:
            (self._servers.layout.home / ".bashrc").unlink()


def _unknown(words: list[str]) -> UsageError:
    known = next((f for f in FAULTS if words and f.name == words[0]), None)
    if known is None:
        return UsageError(
            f"no such fault: {' '.join(words) or 'nothing'}",
            try_next="qa sandbox fault lists them, with what each takes",
        )
    takes = "takes nothing more" if not known.value else f"takes {known.value}"
    return UsageError(
        f"{known.name} {takes}", try_next=f"qa sandbox fault {known.name} {known.value}".strip()
    )


def _hop(words: list[str]) -> HopName:
    match words:
        case [] | ["host"]:
            return "host"
        case ["jump"]:
            return "jump"
    raise UsageError(f"no such hop: {' '.join(words)}", try_next="host or jump")


def _number(text: str) -> float:
    """Not negative, not endless. Raises UsageError."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e12:
        raise UsageError(f"{text!r} is not a number that fits here", try_next="e.g. 150")
    return number
