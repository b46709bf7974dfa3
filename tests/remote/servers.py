"""Single OpenSSH servers on loopback with the keys and settings a test wants, in any chain."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from remote.hops import Jump, LoginOptions
from remote.hosts import Host
from tests.conftest import require
from tests.openssh import Hop, find_sshd, make_key, public_key


def server(root: Path, name: str = "host", extra: str = "") -> Hop:
    """One sshd that accepts `root/id_ed25519`; `extra` of its settings comes first."""
    require(find_sshd() and shutil.which("ssh-keygen"), "an OpenSSH server (sshd)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
    for folder in (root, root / "home", root / "work"):
        folder.mkdir(parents=True, exist_ok=True)
    if not (root / "id_ed25519").exists():
        make_key(root / "id_ed25519")
    hop = Hop(name, f"{name}.test", root, extra)  # type: ignore[arg-type]
    hop.start()
    file_host_key(root, hop)
    return hop


def file_host_key(root: Path, hop: Hop) -> None:
    with (root / "known_hosts").open("a") as f:
        f.write(f"{hop.alias} {' '.join(public_key(hop.key).split()[:2])}\n")


@contextmanager
def chain(root: Path, names: Sequence[str], extra: str = "") -> Iterator[list[Hop]]:
    """Several sshd; the route goes through them in order."""
    hops: list[Hop] = []
    try:
        for name in names:
            hops.append(server(root, name, extra))
        yield hops
    finally:
        for hop in hops:
            hop.stop()


def host_of(hops: Sequence[Hop], root: Path, **changes: Any) -> Host:
    """The last one as a Host, the others as its jump hosts."""
    key = root / "id_ed25519"
    user = getpass.getuser()
    values: dict[str, Any] = {
        "name": "t",
        "title": "a test's",
        "address": "127.0.0.1",
        "port": hops[-1].port,
        "user": user,
        "jumps": tuple(Jump("127.0.0.1", h.port, user, key, h.alias) for h in hops[:-1]),
        "identity_file": key,
        "known_hosts": root / "known_hosts",
        "workdir": str(root / "work"),
        "python": sys.executable,
        "host_key_alias": hops[-1].alias,
    }
    return Host(**(values | changes))


def offering(*files: Path, **more: Any) -> LoginOptions:
    """Only these files; no agent unless told."""
    return LoginOptions(identity_files=files, **({"agent": "none"} | more))


def keygen(*words: object) -> None:
    subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True, capture_output=True)


def new_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    bits = ["-b", "2048"] if kind == "rsa" else []
    keygen("-t", kind, *bits, "-N", passphrase, "-C", "test", "-f", path)
    return path


def sign_user_key(ca: Path, key: Path, validity: str = "-5m:+1h", principal: str = "") -> Path:
    """`KEY-cert.pub` beside the key."""
    keygen(
        "-s", ca, "-I", "test", "-n", principal or getpass.getuser(), "-V", validity, f"{key}.pub"
    )
    return key.with_name(f"{key.name}-cert.pub")


@contextmanager
def ssh_agent(folder: Path, *keys: Path) -> Iterator[str]:
    """A real ssh-agent with these keys; its socket."""
    require(shutil.which("ssh-agent") and shutil.which("ssh-add"), "ssh-agent")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    where = str(folder / "s")
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", where], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it listens
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", str(key)], check=True, env=os.environ | {"SSH_AUTH_SOCK": where}
            )
        yield where
    finally:
        process.terminate()
        process.wait(10)
        with suppress(OSError):
            Path(where).unlink()
