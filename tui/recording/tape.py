"""The file of a recording: gzip, one JSON document a line, readable up to where it was cut off.

First {"recording": 1, "began": Unix seconds, "host", "program"}; then entries with "t", seconds since
then: {"t", "call", "args", "value" or "error"} and {"t", "file", "at", "data"}: bytes of a job's file.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import queue
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import DiskFull, QAError, UsageError

FORMAT = 1
FLUSH_S = 1.0
MAX_LINE = 64 << 20
CHUNK = 1 << 16
GZIP = 31  # zlib's word for a gzip header and the largest window


class Tape:
    """Writes in a thread of its own: putting an entry never waits for the disk.

    problem: why nothing is written any more, if so. Raises UsageError (the file is there already).
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path = path
        self.problem: QAError | None = None
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as e:
            raise UsageError(
                f"{path} cannot be made", why=e.strerror or "", try_next="name a new file"
            ) from e
        self._file = os.fdopen(fd, "wb")
        self._zip = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=5)
        self.put({"recording": FORMAT, **head})
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def put(self, entry: dict[str, Any]) -> None:
        if self.problem is None:
            self._queue.put(entry)

    def close(self) -> None:
        """Write what is left. Safe to repeat."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(10)

    def _run(self) -> None:
        try:
            while self._write_some():
                self._zip.flush()
                self._file.flush()
        except OSError as e:
            self.problem = _full(e, self.path)
        finally:
            with contextlib.suppress(OSError):
                self._zip.close()
                self._file.close()

    def _write_some(self) -> bool:
        """What comes within a second; False at the end."""
        entry = self._queue.get()
        until = time.monotonic() + FLUSH_S
        while entry is not None:
            self._zip.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
            left = until - time.monotonic()
            if left <= 0:
                return True
            try:
                entry = self._queue.get(timeout=left)
            except queue.Empty:
                return True
        return False


def read(path: Path) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """(head, entries). Raises UsageError for what is no recording; entries end where the file does."""
    try:
        lines = _lines(path)
        head = next(lines, None)
    except (OSError, zlib.error) as e:
        raise UsageError(f"{path} is no recording", why=str(e)[:200], try_next=_HOW) from e
    if not isinstance(head, dict) or head.get("recording") != FORMAT:
        raise UsageError(f"{path} is no recording of this kind", try_next=_HOW)
    return head, lines


_HOW = "qa app --record FILE makes one"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole line that can be unpacked. Raises OSError, zlib.error (nothing can be)."""
    unpack = zlib.decompressobj(wbits=GZIP)
    rest, some = b"", False
    with open(path, "rb") as packed:
        while data := packed.read(CHUNK):
            try:
                rest += unpack.decompress(data)
            except zlib.error:
                if not some:
                    raise
                return  # damaged from here on
            *lines, rest = rest.split(b"\n")
            for line in lines:
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError):
                    return
                some = True
                if isinstance(entry, dict):
                    yield entry
            if len(rest) > MAX_LINE:
                return


def _full(e: OSError, path: Path) -> QAError:
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"the recording {path} ends here", try_next="free space and begin another")
    return QAError(f"the recording {path} ends here", why=e.strerror or str(e))
