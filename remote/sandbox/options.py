"""What a sandbox is started with; the same for a private one, a detached one and their record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """port: of the jump host; 0 takes a free one.  second_factor: the jump host asks for a password
    and a passcode, and takes no key.  disk_bytes: the host's work folder is a disk of that size, which
    can be filled; None for the disk of this machine.  clock_skew_s: the host's clock is that much ahead.
    """

    port: int = 0
    second_factor: bool = False
    disk_bytes: int | None = None
    clock_skew_s: float = 0.0

    def served_by(self, other: Options) -> bool:
        """True if a sandbox started with `other` will do: nothing is asked for that it lacks."""
        return all(
            not wanted or wanted == has
            for wanted, has in (
                (self.port, other.port),
                (self.second_factor, other.second_factor),
                (self.disk_bytes, other.disk_bytes),
                (self.clock_skew_s, other.clock_skew_s),
            )
        )

    def argv(self) -> list[str]:
        """As options of `python -m remote.sandbox serve`."""
        words = ["--port", str(self.port)]
        words += ["--second-factor"] if self.second_factor else []
        words += ["--disk", str(self.disk_bytes)] if self.disk_bytes else []
        words += [f"--clock-skew={self.clock_skew_s}"] if self.clock_skew_s else []
        return words
