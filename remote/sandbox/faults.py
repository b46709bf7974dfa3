"""What can be made to go wrong in a sandbox: the names, and a method for each.

The table is what `qa sandbox fault` lists and what the servers understand; imports no SSH library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

HopName = Literal["host", "jump"]


@dataclass(frozen=True, slots=True)
class Fault:
    """value: what may be said with it, "" for nothing.  ends_with: the fault that undoes it."""

    name: str
    value: str
    what: str
    ends_with: str = ""


FAULTS = (
    Fault("all-clear", "", "everything as it should be"),
    Fault("cut", "", "every connection is dropped at once; new ones are taken"),
    Fault("kill", "[host|jump]", "the connections of one hop end, as if its sshd were killed"),
    Fault("freeze", "", "the line falls silent with every connection open", "thaw"),
    Fault("thaw", "", "the line speaks again; nothing sent meanwhile is lost"),
    Fault("delay", "MS", "every byte takes that many milliseconds longer, each way", "delay 0"),
    Fault("throttle", "BYTES", "at most so many bytes a second, each way", "throttle 0"),
    Fault("jump-down", "", "the jump host is gone, its port refuses", "jump-up"),
    Fault("jump-up", "", "the jump host is back"),
    Fault("host-down", "", "the GPU host is gone; the jump host stays", "host-up"),
    Fault("host-up", "", "the GPU host is back"),
    Fault("reboot", "[SECONDS]", "the GPU host restarts: every job dies; back after that long"),
    Fault("new-host-key", "[host|jump]", "that hop shows another host key", "old-host-keys"),
    Fault("old-host-keys", "", "both hops show the keys on file"),
    Fault("revoke-key", "", "no hop takes the operator's key any more", "take-key"),
    Fault(
        "expire-certificate", "", "only a certificate is taken; it ended an hour ago", "take-key"
    ),
    Fault("renew-certificate", "", "only a certificate is taken; it holds for a day", "take-key"),
    Fault("take-key", "", "the operator's key is taken as it is"),
    Fault("deny-second-factor", "", "the second factor is refused, right or not", "all-clear"),
    Fault("slow-second-factor", "SECONDS", "its answer takes that long", "slow-second-factor 0"),
    Fault("max-sessions", "N", "a connection may have N channels, 0 for any", "max-sessions 0"),
    Fault("disk-full", "", "the host's small disk is full (qa sandbox up --disk 64M)", "disk-free"),
    Fault("disk-free", "", "the small disk has room again"),
    Fault("hostile-output", "[BYTES]", "running jobs print escapes, NULs, a line of that length"),
    Fault("hostile-files", "", "running jobs leave files with hostile names and links"),
    Fault("noisy-bashrc", "", "the login shell greets before every command", "quiet-bashrc"),
    Fault("quiet-bashrc", "", "it does so no longer"),
)


class Faults:
    """A method for each fault. They return when it is in force."""

    def tell(self, line: str) -> dict[str, Any]:
        """Pass one line to the servers; their answer. Raises EnvironmentProblem, UsageError."""
        raise NotImplementedError

    def all_clear(self) -> None:
        self.tell("all-clear")

    def cut(self) -> None:
        """Drop every connection at once; the servers stay and take new ones."""
        self.tell("cut")

    def kill(self, which: HopName = "host") -> None:
        """End the connections of one hop, as if the sshd processes that serve them were killed."""
        self.tell(f"kill {which}")

    def freeze(self) -> None:
        """The line falls silent with every connection open."""
        self.tell("freeze")

    def thaw(self) -> None:
        self.tell("thaw")

    def delay(self, ms: float) -> None:
        """Each way; 0 for none."""
        self.tell(f"delay {ms}")

    def throttle(self, bytes_per_s: float) -> None:
        """Each way of each connection; 0 for as fast as it goes."""
        self.tell(f"throttle {bytes_per_s}")

    def jump_down(self) -> None:
        """The jump host is gone: its connections end and its port refuses."""
        self.tell("jump-down")

    def jump_up(self) -> None:
        self.tell("jump-up")

    def host_down(self) -> None:
        """The GPU host is gone (its connections too); the jump host says `Connection refused`."""
        self.tell("host-down")

    def host_up(self) -> None:
        self.tell("host-up")

    def reboot(self, down_s: float = 0.0) -> None:
        """Everything that runs on the GPU host dies; another boot id; back after `down_s`."""
        self.tell(f"reboot {down_s}")

    def new_host_key(self, which: HopName = "host") -> None:
        """That hop shows another key until the next start; known_hosts keeps the old."""
        self.tell(f"new-host-key {which}")

    def old_host_keys(self) -> None:
        self.tell("old-host-keys")

    def revoke_key(self) -> None:
        """Neither hop takes the operator's key."""
        self.tell("revoke-key")

    def expire_certificate(self) -> None:
        """Only the operator's certificate is taken, and it ended an hour ago."""
        self.tell("expire-certificate")

    def renew_certificate(self) -> None:
        """Only the operator's certificate is taken, and it holds for a day."""
        self.tell("renew-certificate")

    def take_key(self) -> None:
        self.tell("take-key")

    def deny_second_factor(self) -> None:
        self.tell("deny-second-factor")

    def slow_second_factor(self, seconds: float) -> None:
        self.tell(f"slow-second-factor {seconds}")

    def max_sessions(self, most: int) -> None:
        """Channels a connection to the GPU host may have open; 0 for any number."""
        self.tell(f"max-sessions {most}")

    def disk_full(self) -> None:
        """Needs a sandbox with `disk_bytes`."""
        self.tell("disk-full")

    def disk_free(self) -> None:
        self.tell("disk-free")

    def hostile_output(self, line_bytes: int = 1 << 20) -> None:
        """Every running job prints escapes, NULs and one line of that length."""
        self.tell(f"hostile-output {line_bytes}")

    def hostile_files(self) -> None:
        """Every running job leaves files with hostile names, and links out of its directory."""
        self.tell("hostile-files")

    def noisy_bashrc(self) -> None:
        self.tell("noisy-bashrc")

    def quiet_bashrc(self) -> None:
        self.tell("quiet-bashrc")
