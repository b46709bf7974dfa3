"""known_hosts, read by ourselves: markers, wildcards, negation, hashed names, [name]:port.

A reader that gives up on a line it does not know would also overlook a revoked key.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import fnmatch
import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import DiskFull, QAError, SettingsError

Verdict = Literal["known", "unknown", "changed", "revoked"]

REVOKED, AUTHORITY = "@revoked", "@cert-authority"
MAX_FILE = 16 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. marker: "", "@revoked" or "@cert-authority"; patterns: the first field, unparsed."""

    marker: str
    patterns: str
    key_type: str
    blob: bytes
    where: str = ""


def parse(text: str, origin: str = "") -> list[Entry]:
    """All usable lines; comments, blank lines and lines of another form are left out."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if marker not in ("", REVOKED, AUTHORITY) or len(words) < 3:
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        where = f"{origin}:{number}" if origin else str(number)
        entries.append(Entry(marker, words[0], words[1], blob, where))
    return entries


def read(paths: Iterable[Path]) -> list[Entry]:
    """Entries of all files that are there, in order."""
    entries = []
    for path in paths:
        try:
            with open(path, "rb") as f:
                text = f.read(MAX_FILE).decode("utf-8", "replace")
        except OSError:
            continue
        entries += parse(text, str(path))
    return entries


def lookup_name(address: str, port: int, alias: str | None) -> str:
    """The name a key is filed under: the alias, else the address, with its port unless it is 22."""
    if alias:
        return alias.lower()
    return address.lower() if port == 22 else f"[{address.lower()}]:{port}"


def lookup_names(address: str, port: int, alias: str | None) -> tuple[str, ...]:
    """lookup_name, then the bare address: OpenSSH takes a key that is filed without the port."""
    name = lookup_name(address, port, alias)
    return (name,) if alias or port == 22 else (name, address.lower())


def matches(patterns: str, name: str) -> bool:
    """Does the first field of a line speak of `name`? A negated pattern that fits rules the line out."""
    if patterns.startswith("|"):
        return _hash_matches(patterns, name)
    hit = False
    for pattern in patterns.lower().split(","):
        negated, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        if _glob(pattern, name):
            if negated:
                return False
            hit = True
    return hit


def _glob(pattern: str, name: str) -> bool:
    """`*` and `?` only: brackets stand for themselves here, as in `[name]:port`."""
    literal = re.sub(r"\[", "[[]", pattern)
    return fnmatch.fnmatchcase(name, literal)


def _hash_matches(field: str, name: str) -> bool:
    parts = field.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, want = base64.b64decode(parts[2]), base64.b64decode(parts[3])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), want)


def judge(entries: Iterable[Entry], name: str, blob: bytes) -> tuple[Verdict, Entry | None]:
    """What the files say of key `blob` for `name`, and the line that says it.

    If other keys are on file for the name, and this one is not, it counts as changed, also when only
    its type is new.
    """
    known: Entry | None = None
    other: Entry | None = None
    for entry in entries:
        if entry.marker == REVOKED:
            if entry.blob == blob and matches(entry.patterns, name):
                return "revoked", entry
        elif not entry.marker and matches(entry.patterns, name):
            if entry.blob == blob:
                known = known or entry
            else:
                other = other or entry
    if known:
        return "known", known
    return ("changed", other) if other else ("unknown", None)


def revoked(entries: Iterable[Entry], names: Iterable[str], blob: bytes) -> Entry | None:
    """The @revoked line that speaks of this key under one of the names."""
    names = list(names)
    for entry in entries:
        hit = entry.marker == REVOKED and entry.blob == blob
        if hit and any(matches(entry.patterns, name) for name in names):
            return entry
    return None


def key_types(entries: Iterable[Entry], name: str) -> list[str]:
    """Types on file for `name`: to be asked of the server first, else it shows another key."""
    found = [e.key_type for e in entries if not e.marker and matches(e.patterns, name)]
    return list(dict.fromkeys(found))


def fingerprint(blob: bytes) -> str:
    """`SHA256:…`, as `ssh-keygen -l` prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def append(path: Path, name: str, key_type: str, blob: bytes) -> None:
    """Add one accepted key; what the file holds already, its mode and its owner are left as they are.

    Raises SettingsError for a name that would speak of other hosts too, or for a file that cannot be
    written; DiskFull, with the file as it was.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"a host key cannot be filed under {name[:80]!r}",
            try_next="set host_key_alias of this host to a plain name",
        )
    line = f"{name} {key_type} {base64.b64encode(blob).decode()}\n".encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise _unwritable(path, e) from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line
        try:
            written = os.write(fd, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(fd)
        except OSError as e:
            os.ftruncate(fd, size)  # half a line would be read as another key
            raise _unwritable(path, e) from e
    finally:
        os.close(fd)


_NAME = re.compile(r"[^\s\x00-\x1f\x7f*?!,|@#-][^\s\x00-\x1f\x7f*?!,|]{0,255}")


def _unwritable(path: Path, e: OSError) -> QAError:
    full = e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    kind = DiskFull if full else SettingsError
    return kind(
        f"the accepted host key could not be written to {path}",
        why=e.strerror or str(e),
        try_next="make room, then connect again" if full else "check the file and its folder",
    )
