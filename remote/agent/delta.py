"""What two versions of a file have in common, found by blocks that end at a line.

A block ends at the first newline after `least` bytes, so a row that grew or went away moves the blocks
after it without changing them. Rows of JSONL come out as they are; bytes without newlines, as blocks of
`MOST`. The one side sends its blocks' digests, the other answers with copies and new bytes.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import BinaryIO, Iterator

MOST = 65535  # bytes of one block
LEAST = 1024
MAX_BLOCKS = 1 << 19
WINDOW = 8 << 20
LITERAL = 1 << 18
RECORD = struct.Struct(">8sH")  # digest, length
COPY = struct.Struct(">QI")  # from where in the old file, how many bytes
MAX_COPIES = 4096  # in one frame


def least_for(size: int) -> int:
    """The smallest block for a file of `size` bytes: small files finely, large ones in few blocks."""
    least = LEAST
    while size // least > MAX_BLOCKS:
        least *= 2
    return min(least, MOST)


def blocks(f: BinaryIO, least: int) -> Iterator[bytes]:
    """The file from where it stands to its end; joined, the blocks are its bytes."""
    rest = b""
    while True:
        data = f.read(WINDOW)
        buffer, at = rest + data, 0
        while len(buffer) - at > (MOST if data else 0):
            cut = buffer.find(b"\n", at + least - 1, at + MOST)
            end = cut + 1 if cut >= 0 else at + MOST
            yield buffer[at:end]
            at = min(end, len(buffer))
        rest = buffer[at:]
        if not data:
            return


def digest(block: bytes) -> bytes:
    """8 bytes: enough to find a block; whether the whole is right, its SHA-256 says."""
    return hashlib.blake2b(block, digest_size=8).digest()


def signature(f: BinaryIO, least: int) -> bytes:
    """One RECORD a block."""
    return b"".join(RECORD.pack(digest(block), len(block)) for block in blocks(f, least))


def index(signed: bytes) -> dict[bytes, tuple[int, int]]:
    """digest → (offset, length). ValueError if it is no signature."""
    if len(signed) % RECORD.size or len(signed) // RECORD.size > 2 * MAX_BLOCKS:
        raise ValueError("not a signature")
    found: dict[bytes, tuple[int, int]] = {}
    at = 0
    for mark, length in RECORD.iter_unpack(signed):
        found.setdefault(mark, (at, length))
        at += length
    return found


def differences(
    f: BinaryIO, least: int, base: dict[bytes, tuple[int, int]]
) -> Iterator[tuple[bytes, list[tuple[int, int]]]]:
    """(new bytes, []) or (b"", copies) in the order of the file."""
    literal: list[bytes] = []
    size = 0
    copies: list[tuple[int, int]] = []
    for block in blocks(f, least):
        known = base.get(digest(block))
        if known is not None and known[1] == len(block):
            if literal:
                yield b"".join(literal), []
                literal, size = [], 0
            if copies and sum(copies[-1]) == known[0] and copies[-1][1] < 1 << 30:
                copies[-1] = (copies[-1][0], copies[-1][1] + known[1])
                continue
            if len(copies) == MAX_COPIES:
                yield b"", copies
                copies = []
            copies.append(known)
            continue
        if copies:
            yield b"", copies
            copies = []
        literal.append(block)
        size += len(block)
        if size >= LITERAL:
            yield b"".join(literal), []
            literal, size = [], 0
    if literal:
        yield b"".join(literal), []
    if copies:
        yield b"", copies


def pack_copies(copies: list[tuple[int, int]]) -> bytes:
    return b"".join(COPY.pack(at, n) for at, n in copies)


def unpack_copies(data: bytes) -> list[tuple[int, int]]:
    """ValueError unless it is a list of copies."""
    if len(data) % COPY.size or len(data) > COPY.size * MAX_COPIES:
        raise ValueError("not a list of copies")
    return [(int(at), int(n)) for at, n in COPY.iter_unpack(data)]


def copied(fd: int, copies: list[tuple[int, int]]) -> Iterator[bytes]:
    """The bytes the copies stand for. ValueError where the old file has none."""
    for at, left in copies:
        while left:
            data = os.pread(fd, min(left, LITERAL), at)
            if not data:
                raise ValueError("a copy from beyond the end of the old file")
            yield data
            at, left = at + len(data), left - len(data)
