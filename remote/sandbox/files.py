"""What the sandbox keeps in its directory: keys, known_hosts, and the disk of its GPU host.

    DIR/
      id_ed25519, id_ed25519.pub   the operator's key, accepted by both hops
      keys/jump, keys/host         host keys; made once, so that a restart never looks like an attack
      keys/ca                      signs the operator's certificate in a rehearsal with certificates
      password                     of the jump host, when it asks for a second factor
      known_hosts                  both host keys under their aliases, ready for a strict client
      server.log                   what the servers said
      host/home, host/work         the GPU host's HOME and its work directory
      host/bin                     first in the PATH of its commands: a place for stand-in tools
      host/disk                    its work directory when it has a small disk of its own
      host/boot_id                 changes when the host is rebooted, which only a rehearsal does
      run/                         the servers running now, see remote.sandbox.records

Several servers may use one directory at once.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import DiskFull, EnvironmentProblem

JUMP_ALIAS = "jump.sandbox"
HOST_ALIAS = "gh200.sandbox"
HOST_PORT = 22  # of the name inside the jump; nothing listens anywhere
USER = "operator"
PASSCODE = "1"  # of the second factor, when asked for: what one would pick on the telephone


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths under one sandbox directory."""

    root: Path

    @property
    def identity(self) -> Path:
        return self.root / "id_ed25519"

    @property
    def jump_key(self) -> Path:
        return self.root / "keys" / "jump"

    @property
    def host_key(self) -> Path:
        return self.root / "keys" / "host"

    @property
    def certificate(self) -> Path:
        """Of the operator's key; there only while a rehearsal wants one."""
        return self.root / "id_ed25519-cert.pub"

    @property
    def ca_key(self) -> Path:
        return self.root / "keys" / "ca"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def password(self) -> Path:
        return self.root / "password"

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def home(self) -> Path:
        return self.root / "host" / "home"

    @property
    def work(self) -> Path:
        return self.root / "host" / "work"

    @property
    def bin(self) -> Path:
        return self.root / "host" / "bin"

    @property
    def disk(self) -> Path:
        return self.root / "host" / "disk"

    @property
    def skewed_python(self) -> Path:
        """Python with a clock that is off, for a sandbox that wants one."""
        return self.bin / "python-off-clock"

    @property
    def boot_id(self) -> Path:
        return self.root / "host" / "boot_id"

    def make_directories(self) -> None:
        """Create what is missing, private to this user.

        Raises EnvironmentProblem or DiskFull when the directory cannot be written.
        """
        with disk_errors(self.root):
            folders = (self.jump_key.parent, self.home, self.work, self.bin, self.disk, self.run)
            for path in (self.root, *folders):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkdir succeeds on what exists already; only a write proves that there is room and right
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"\0" * 4096)
                probe.flush()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held while keys are made, so that two first starts agree on one set."""
        import fcntl

        with disk_errors(self.root):
            fd = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the file system says into what the operator can act on."""
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or str(exc)
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"no room for the sandbox in {path}",
                why=reason,
                try_next="free some space, or set QA_STATE to a directory on another disk",
            ) from exc
        raise EnvironmentProblem(
            f"the sandbox cannot use the directory {path}",
            why=reason,
            try_next="make it a directory you may write to, or set QA_STATE to another one",
        ) from exc


def write_private(path: Path, data: bytes) -> None:
    """Write whole or not at all, readable by this user only."""
    with disk_errors(path):
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(fd, "wb") as out:
                out.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
