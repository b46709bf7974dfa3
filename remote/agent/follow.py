"""Send a job directory's files as they grow, from given offsets, until the job has ended.

Out: frames {"file", "offset"} with bytes, {"beat"} while nothing happens, {"error"}, and last
{"end", "status"}. The state frame that says "ended" comes after every byte written before that end.
"""

from __future__ import annotations

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
POLL_S = (0.03, 0.3)  # right after something happened … when all is quiet
BEAT_S = 2.0


def follow(job: str, offsets: dict[str, int], limit: int, out: BinaryIO, stdin: int | None) -> None:
    """limit: bytes of one growing file after which no more of it is sent.

    stdin: watched for its end, which means that nobody listens any more; None to go without.
    """
    sender = _Sender(job, offsets, limit, out)
    pause = POLL_S[0]
    beaten = time.monotonic()
    while True:
        try:
            state = jobs.truth(job)  # asked first: so all that was written before is sent
        except FileNotFoundError:
            sender.send({"error": {"code": "no_job", "what": "the job directory is gone"}})
            return
        moved = sender.send_spec()
        for name in GROWING:
            moved = sender.send_growth(name) or moved
        moved = sender.send_state(state) or moved
        if state.get("status") in jobs.ENDED:
            sender.send({"end": True, "status": state["status"]})
            return
        now = time.monotonic()
        if moved or now - beaten > BEAT_S:
            if not moved:
                sender.send({"beat": round(time.time(), 3)})
            beaten = now
            out.flush()
        pause = POLL_S[0] if moved else min(pause * 1.3, POLL_S[1])
        if stdin is None:
            time.sleep(pause)
        elif select.select([stdin], [], [], pause)[0] and not os.read(stdin, 4096):
            return


class _Sender:
    def __init__(self, job: str, offsets: dict[str, int], limit: int, out: BinaryIO) -> None:
        self.job = job
        self.offsets = dict.fromkeys(GROWING, 0)
        self.offsets.update(offsets)
        self.limit = limit
        self.out = out
        self.last_state: dict[str, Any] | None = None
        self.spec_sent = False
        self.short: set[str] = set()

    def send(self, header: dict[str, Any], data: bytes = b"") -> None:
        self.out.write(pack(header, data))
        if "end" in header or "error" in header:
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

    def send_growth(self, name: str) -> bool:
        """All bytes from the offset to the present end of the file."""
        offset = self.offsets[name]
        try:
            fd = os.open(os.path.join(self.job, name), os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            size = os.fstat(fd).st_size
            if size < offset and name not in self.short:
                self.short.add(name)
                what = "%s is shorter here (%d) than what was mirrored (%d)" % (name, size, offset)
                self.send({"error": {"code": "short", "what": what, "file": name}})
            end = min(size, self.limit)
            while offset < end:
                data = os.pread(fd, min(CHUNK, end - offset), offset)
                if not data:
                    break
                self.send({"file": name, "offset": offset}, data)
                offset += len(data)
        finally:
            os.close(fd)
        moved = offset > self.offsets[name]
        self.offsets[name] = max(offset, self.offsets[name])
        return moved


def main(job: str, offsets: dict[str, int], limit: int) -> None:
    try:
        follow(job, offsets, limit, sys.stdout.buffer, 0)
    except (BrokenPipeError, ConnectionError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's own last flush must not complain
