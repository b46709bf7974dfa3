"""What a host may send that no screen and no file may obey.

Standard library only; the tests use the same payloads for jobs of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LINES = (
    b"\x1b]0;title of your terminal\x07 sets the title",
    b"\x1b]52;c;aGFybQ==\x07 writes your clipboard",
    b"\x1b[2J\x1b[?1049h\x1b[6n clears, changes the screen, makes the terminal answer",
    b"\x1b]8;;http://hostile.invalid/\x07a link\x1b]8;;\x07 leads elsewhere",
    b"\x9b2J \xc2\x9b2J C1 controls, raw and in UTF-8",
    b"\x1bP+q544e\x1b\\ \x1b_hidden\x1b\\ DCS and APC",
    b"NUL \x00\x00\x00 and \x08\x08\x08 backspaces",
    "\u202eтфихe\u202c turned round".encode(),
    b"[@click=app.quit]quit[/] and [/nope] are markup",
    b"broken UTF-8: \xff\xfe\xc3\x28",
    b"50%\r100%\rprogress",
    b"\x1b]0;never ended",
)

NAMES = (
    b"\x1b]0;pwned\x07.txt",
    b"two\nlines",
    b"-rf",
    b"$(touch pwned);`id`",
    b"[@click=app.quit]markup[",
    b"\xff\xfe not UTF-8",
    "turned \u202etxt.exe".encode(),
)

GREETING = (
    b"echo 'Welcome to gh200.sandbox!'; printf '\\033]0;bashrc\\007\\n'; echo 'quota: 93 %' >&2\n"
)


def output(line_bytes: int) -> Iterator[bytes]:
    """Whole lines in pieces of at most 1 MiB; the last line has `line_bytes` bytes."""
    yield b"\n" + b"\n".join(LINES) + b"\n"
    piece = (b"x" * 1000 + b"\x1b[31m" + b"\0" * 19) * 1024
    left = line_bytes
    while left > 0:
        yield piece[:left]
        left -= len(piece)
    yield b"\n"


def append_output(job: Path, line_bytes: int) -> None:
    """As if the job itself had printed it."""
    for name in ("output.log", "events.jsonl"):
        with open(job / name, "ab", buffering=0) as f:
            for piece in output(line_bytes):
                f.write(piece)


def leave_files(artifacts: Path) -> None:
    """Files with hostile names, and links to what is none of the job's business."""
    folder = os.fsencode(artifacts)
    for name in NAMES:
        with suppress(OSError), open(os.path.join(folder, name), "wb") as f:
            f.write(b"hostile\n")
    for link, target in (
        ("passwd", "/etc/passwd"),
        ("up", "../../.."),
        ("loop", "loop"),
        ("nowhere", "/nonexistent/file"),
    ):
        with suppress(FileExistsError):
            (artifacts / link).symlink_to(target)
    with suppress(FileExistsError):
        os.mkfifo(artifacts / "pipe")


def running_jobs(work: Path) -> Iterator[Path]:
    """Directories of the jobs that have not ended, as far as their own state says."""
    from remote.agent import jobs

    for path in sorted(work.glob("jobs/*")):
        state = jobs.read_state(str(path))
        if path.is_dir() and (state is None or state.get("status") not in jobs.ENDED):
            yield path
