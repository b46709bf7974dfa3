"""Runs one regular expression for the log view, in a process that can be ended.

A pattern can take longer than anybody waits (`(a+)+b`), and Python's `re` lets no other thread run
meanwhile. Plain Python, started by path: imports nothing of this project.

stdin: the pattern, then requests; each is a kind (1 byte), a length (4 bytes) and that many bytes.
stdout: for each request a length and that many bytes.
  F  flags as decimal digits, then the pattern          → nothing
  L  lines of a log, each ended by a newline or the end → numbers of those that fit, 4 bytes each
  S  lines of text                                      → JSON, for each the [begin, end] of its hits
"""

import json
import re
import signal
import struct
import sys
from array import array

MAX_SPANS = 100
LIMIT_S = 20  # ends this process if nobody is left to do it


def fitting(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    search = pattern.search
    return array("I", [n for n, line in enumerate(lines) if search(line)]).tobytes()


def spans(pattern: re.Pattern[str], data: bytes) -> bytes:
    out = []
    for line in data.decode("utf-8", "replace").split("\n"):
        found = []
        for match in pattern.finditer(line):
            if match.end() > match.start():
                found.append(match.span())
            if len(found) >= MAX_SPANS:
                break
        out.append(found)
    return json.dumps(out).encode()


def main() -> None:
    into, out = sys.stdin.buffer, sys.stdout.buffer
    of_bytes, of_text = re.compile(b""), re.compile("")
    while True:
        head = into.read(5)
        if len(head) < 5:
            return
        kind, length = struct.unpack("<cI", head)
        data = into.read(length)
        signal.alarm(LIMIT_S)
        answer = b""
        if kind == b"F":
            flags, _, pattern = data.partition(b" ")
            of_bytes = re.compile(pattern, int(flags))
            of_text = re.compile(pattern.decode("utf-8", "replace"), int(flags))
        elif kind == b"L":
            answer = fitting(of_bytes, data)
        else:
            answer = spans(of_text, data)
        signal.alarm(0)
        out.write(struct.pack("<I", len(answer)) + answer)
        out.flush()


if __name__ == "__main__":
    main()
