"""Send a job directory's files as they grow, from given offsets, until the job has ended.

Out: frames {"file", "offset", "ino"} with bytes; {"beat"} while nothing happens; {"seam", "why"} when
a file is not the one any more whose bytes were sent (what follows starts at 0 again); {"capped"};
{"error"}; and last {"end", "status"}. The state frame that says "ended" comes after every byte
written before that end.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import sys
import time
from typing import Any, BinaryIO

from remote.agent import jobs
from remote.agent.frames import pack

GROWING = ("output.log", "events.jsonl")
CHUNK = 1 << 18
BURST = 1 << 22  # of one file, before the other and the state have their turn
TAIL = 64  # bytes before the offset that must still be the same
POLL_S = (0.03, 0.3)  # right after something happened … when all is quiet
BEAT_S = 2.0


def follow(job: str, limit: int, files: list[Growing], out: BinaryIO, stdin: int | None) -> None:
    """limit: bytes of one growing file after which no more of it is sent.

    stdin: watched for its end, which means that nobody listens any more; None to go without.
    """
    sender = _Sender(job, limit, out)
    sender.send({"beat": round(time.time(), 3)})
    pause = POLL_S[0]
    beaten = time.monotonic()
    while True:
        try:
            # Asked first: so all that was written before is sent.
            state = jobs.truth(job, wait=False)
        except FileNotFoundError:
            sender.send({"error": {"code": "no_job", "what": "the job directory is gone"}})
            return
        moved = sender.send_spec()
        behind = False
        for file in files:
            grew, more = sender.send_growth(file)
            moved, behind = moved or grew, behind or more
        ended = state.get("status") in jobs.ENDED
        if not (ended and behind):
            moved = sender.send_state(state) or moved
            if ended:
                sender.send({"end": True, "status": state["status"]})
                return
        now = time.monotonic()
        if moved or now - beaten > BEAT_S:
            if now - beaten > BEAT_S:
                sender.send({"beat": round(time.time(), 3)})
                beaten = now
            out.flush()
        pause = 0.0 if behind else POLL_S[0] if moved else min(max(pause, 0.01) * 1.3, POLL_S[1])
        if stdin is None:
            time.sleep(pause)
        elif select.select([stdin], [], [], pause)[0] and not os.read(stdin, 4096):
            return


class Growing:
    """One file and how far it was sent."""

    def __init__(self, name: str, offset: int = 0, ino: int = 0, tail: str = "") -> None:
        """ino, tail: of what was sent before (see `mark`); 0 and "" where that is not known."""
        self.name = name
        self.offset = offset
        self.ino = ino
        self.last = b""  # the bytes just before the offset, once read here
        self.tail = tail
        self.capped = False

    @classmethod
    def parse(cls, word: str) -> Growing:
        """`output.log=OFFSET:INO:TAIL`."""
        name, _, rest = word.partition("=")
        offset, ino, tail = (rest + "::").split(":")[:3]
        return cls(name, int(offset), int(ino or 0), tail)

    def fault(self, fd: int) -> str:
        """Why what was sent is not the beginning of this file; "" if it is, so far as can be told."""
        info = os.fstat(fd)
        if not self.offset:
            return ""
        if self.ino and info.st_ino != self.ino:
            return "replaced"
        if info.st_size < self.offset:
            return "truncated"
        at = max(0, self.offset - TAIL)
        last = os.pread(fd, self.offset - at, at)
        if self.last:
            same = last == self.last
        else:
            same = not self.tail or mark(last) == self.tail
        self.last = last
        return "" if same else "rewritten"


def mark(last: bytes) -> str:
    """Of the at most 64 bytes before an offset."""
    return hashlib.sha256(last).hexdigest()[:16]


class _Sender:
    def __init__(self, job: str, limit: int, out: BinaryIO) -> None:
        self.job = job
        self.limit = limit
        self.out = out
        self.last_state: dict[str, Any] | None = None
        self.spec_sent = False

    def send(self, header: dict[str, Any], data: bytes = b"") -> None:
        self.out.write(pack(header, data))
        if not header.keys().isdisjoint(("end", "error", "seam")):
            self.out.flush()

    def send_spec(self) -> bool:
        if self.spec_sent:
            return False
        try:
            with open(os.path.join(self.job, "spec.json"), "rb") as f:
                data = f.read(1 << 20)
        except FileNotFoundError:
            return False
        self.spec_sent = True
        self.send({"file": "spec.json", "offset": 0}, data)
        return True

    def send_state(self, state: dict[str, Any]) -> bool:
        if state == self.last_state:
            return False
        self.last_state = state
        self.send({"file": "state.json", "offset": 0}, json.dumps(state, indent=1).encode() + b"\n")
        return True

    def send_growth(self, file: Growing) -> tuple[bool, bool]:
        """Bytes from the offset towards the present end: (was there any, is there more)."""
        try:
            fd = os.open(os.path.join(self.job, file.name), os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False, False
        try:
            info = os.fstat(fd)
            if info.st_size == file.offset and info.st_ino == file.ino and file.last:
                return False, False
            why = file.fault(fd)
            if why:
                self.send({"seam": file.name, "why": why, "size": info.st_size, "was": file.offset})
                file.offset, file.last, file.tail = 0, b"", ""
            file.ino = info.st_ino
            start, end = file.offset, min(info.st_size, self.limit, file.offset + BURST)
            while file.offset < end:
                data = os.pread(fd, min(CHUNK, end - file.offset), file.offset)
                if not data:
                    break
                header = {"file": file.name, "offset": file.offset, "ino": file.ino}
                self.send(header, data)
                file.offset += len(data)
                file.last = (file.last + data)[-TAIL:] if len(data) < TAIL else data[-TAIL:]
        finally:
            os.close(fd)
        if info.st_size > self.limit and file.offset >= self.limit and not file.capped:
            file.capped = True
            self.send({"capped": file.name, "size": info.st_size})
        return file.offset > start or bool(why), start < file.offset < min(info.st_size, self.limit)


def main(job: str, limit: int, words: list[str]) -> None:
    files = [Growing.parse(word) for word in words]
    try:
        follow(job, limit, [f for f in files if f.name in GROWING], sys.stdout.buffer, 0)
    except (BrokenPipeError, ConnectionError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's own last flush must not complain
