"""A ledger: the registry of record that several operators share, as its replicas see it.

It is opaque: a file in blocks, a generation number that every change raises, and what is noted about
the newest one. `put` is a compare-and-swap: it succeeds only on top of the generation it names.
remote/ledger.py has the one on a host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.errors import RegistryError

BLOCK = 1 << 16
DIGEST = 32  # bytes of a SHA-256
MAX_BLOCKS = 1 << 18  # 16 GiB


@dataclass(frozen=True, slots=True)
class Head:
    """What is noted about a generation.

    root: SHA-256 of the block hashes.  size: bytes.  audit_seq, audit_head: its newest audit row.
    seen: hash of its observations.  migrations: its schema.  who, origin, at: who put it there.
    """

    generation: int
    root: str
    size: int
    audit_seq: int
    audit_head: str
    seen: str
    migrations: tuple[str, ...]
    who: str
    origin: str
    at: str


class HeadMoved(RegistryError):
    """Another generation was put there first."""


class Ledger(Protocol):
    """name: of the host, for messages. Every call may raise a RouteError."""

    @property
    def name(self) -> str: ...

    def head(self) -> Head | None:
        """The newest generation; None if nothing was put there yet."""
        ...

    def blocks(self, generation: int) -> bytes:
        """The hashes of its blocks, one after the other. Raises HeadMoved: it is gone."""
        ...

    def fetch(self, generation: int, numbers: Sequence[int]) -> Iterator[bytes]:
        """Those blocks, in that order, unchecked. Raises HeadMoved: it is gone."""
        ...

    def put(
        self, base: Head | None, new: Head, hashes: bytes, block: Callable[[int], bytes]
    ) -> Head:
        """Put a new generation on top of `base`. Raises HeadMoved if that is not the newest.

        new: its generation is filled in.  block: gives a block by number, for those that the ledger
        does not have.  Returns the new head.
        """
        ...


def block_hashes(path: Path) -> bytes:
    """The SHA-256 of every block of a file, one after the other."""
    out = bytearray()
    with open(path, "rb", buffering=0) as f:
        while data := f.read(BLOCK):
            out += hashlib.sha256(data).digest()
    return bytes(out)


def root_of(hashes: bytes) -> str:
    return hashlib.sha256(hashes).hexdigest()


def split(hashes: bytes) -> list[bytes]:
    return [hashes[i : i + DIGEST] for i in range(0, len(hashes), DIGEST)]


def read_block(path: Path, number: int) -> bytes:
    with open(path, "rb", buffering=0) as f:
        f.seek(number * BLOCK)
        return f.read(BLOCK)


def download(ledger: Ledger, head: Head, have: Path, target: Path) -> int:
    """Make `target` the file of that generation; blocks that `have` has too do not travel.

    Returns the number of blocks that did. Raises HeadMoved, RegistryError (damaged over there).
    """
    hashes = ledger.blocks(head.generation)
    wanted = split(hashes)
    if root_of(hashes) != head.root or len(wanted) != -(-head.size // BLOCK):
        raise _damaged(ledger, head, "its list of blocks is not the one that was noted")
    at_hand = {digest: i for i, digest in enumerate(split(block_hashes(have)))}
    missing = [i for i, digest in enumerate(wanted) if digest not in at_hand]
    with open(target, "wb") as out, open(have, "rb", buffering=0) as local:
        for i, digest in enumerate(wanted):
            if digest in at_hand:
                local.seek(at_hand[digest] * BLOCK)
                out.seek(i * BLOCK)
                out.write(local.read(BLOCK))
        for i, data in zip(missing, _fetched(ledger, head, missing), strict=True):
            if hashlib.sha256(data).digest() != wanted[i]:
                raise _damaged(ledger, head, f"block {i} is not the one that was put there")
            out.seek(i * BLOCK)
            out.write(data)
        out.truncate(head.size)
    return len(missing)


def _fetched(ledger: Ledger, head: Head, missing: list[int]) -> Iterable[bytes]:
    return ledger.fetch(head.generation, missing) if missing else ()


def _damaged(ledger: Ledger, head: Head, why: str) -> RegistryError:
    return RegistryError(
        f"the registry of record on {ledger.name} is damaged (generation {head.generation})",
        why=why,
        try_next="the generations before it are beside it there; `qa registry share --host"
        f" {ledger.name} --replace` puts this replica in its place",
    )
