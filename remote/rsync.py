"""rsync over the connection that is there already: no second login, no secret in any argv.

Both directions go through a private folder, where a file is named by its content or lies alone; it is
given its own name only after its hash was checked by us. An older version is put there first, as a hard
link that rsync reads from and never writes to.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from core.errors import (
    DiskFull,
    EnvironmentProblem,
    JobError,
    LinkLost,
    MissingComponent,
    QAError,
    RouteError,
)
from remote.agent.arriving import flushed_sha256
from remote.agent.incoming import STAGE, old_version
from remote.helper_client import Carrier, plain
from remote.shared.owner import socket_of

if TYPE_CHECKING:
    from remote.sync.items import Item
    from remote.sync.progress import Tally

LEAST = 32 << 20  # bytes of the largest file: below, its start costs more than it saves
OLDEST = (3, 1)
BLOCK = (
    2048  # bytes: about a row or two of JSONL, so that a changed row costs little more than itself
)
IDLE_S = 120  # rsync gives up when nothing moved for so long
ASK = "/bin/sh", "-c", "command -v rsync >/dev/null && rsync --version"


def chosen(route: Carrier, asked: bool | None, sizes: Sequence[int]) -> bool:
    """Should it be rsync? asked: the caller's word. Raises MissingComponent if asked for and not there."""
    if asked is False:
        return False
    if asked is None and (not sizes or max(sizes) < LEAST):
        return False
    can = (hasattr(route, "session") or hasattr(route, "socket")) and hasattr(route, "run")
    here = _version(_here()) if can else None
    there = _version(_there(route)) if here else None
    if here and there and min(here, there) >= OLDEST:
        return True
    if asked:
        side = "this machine" if not here else "the host"
        raise MissingComponent(f"{side} has no usable rsync", try_next="leave out --rsync")
    return False


@lru_cache(maxsize=1)
def _here() -> str:
    try:
        done = subprocess.run(
            ["rsync", "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


_known: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _there(route: Any) -> str:
    """The host's `rsync --version`, asked once a route."""
    if route not in _known:
        _known[route] = str(route.run(list(ASK), timeout=20).text)
    return _known[route]


def _version(said: str) -> tuple[int, int] | None:
    found = re.match(r"rsync +version +v?(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def _zstd(route: Any) -> bool:
    """Can both compress so? What says nothing of it cannot."""
    return all(re.search(r"\bzstd\b", said) for said in (_here(), _there(route)))


# -- both ways ------------------------------------------------------------------------------


def push(route: Carrier, todo: list[Item], tally: Tally) -> None:
    """Raises DiskFull, LinkLost, RouteError, EnvironmentProblem."""
    from remote.sync.items import HASH_S, transfer_error

    unique = {i.sha256: i for i in todo}
    staged = route.helper().call(
        "stage", files=[[i.name, i.size, i.sha256] for i in unique.values()], timeout=HASH_S
    )
    with tempfile.TemporaryDirectory(prefix="qa-push-") as tmp:
        for digest, item in unique.items():
            (Path(tmp) / digest).symlink_to(item.path.resolve())
        flags = ["--copy-links", *_flags(route, bool(staged.get("bases")))]
        _run(route, flags, list(unique), f"{tmp}/", f"there:{staged['folder']}/", tally)
    files = [[i.name, i.size, i.sha256, i.executable] for i in todo]
    try:
        route.helper().call("adopt", files=files, timeout=HASH_S)
    except JobError as e:
        raise transfer_error({"code": "mismatch", "what": e.what}) from e


def pull(route: Carrier, root: str, todo: list[Item], into: Path, tally: Tally) -> None:
    """Raises DiskFull, LinkLost, RouteError, EnvironmentProblem."""
    from remote.sync.items import from_os, safe_parent

    stage = into / STAGE
    try:
        stage.mkdir(mode=0o700, exist_ok=True)
        if stage.is_symlink():
            raise EnvironmentProblem(f"{stage} is a link", try_next="remove it")
        bases = 0
        for item in todo:
            place = stage / item.name
            safe_parent(into, place)
            base = old_version(str(item.path), item.size)
            if base and not os.path.lexists(place):
                with contextlib.suppress(OSError):
                    os.link(base, place)
                    bases += 1
        flags = [
            *("--safe-links", "--no-devices", "--no-specials", "--no-implied-dirs", "--relative"),
            *(f"--max-size={max(i.size for i in todo) + 1}", *_flags(route, bases > 0)),
        ]
        names = [i.name for i in todo]
        _run(route, flags, names, f"there:{root}/", f"{stage}/", tally)
        for item in todo:
            _adopt(item, stage / item.name, into)
    except OSError as e:
        raise from_os(e, into) from e
    shutil.rmtree(stage, ignore_errors=True)


def _adopt(item: Item, place: Path, into: Path) -> None:
    from remote.sync.items import safe_parent

    right = place.parent.resolve().is_relative_to((into / STAGE).resolve()) and place.is_file()
    if not right or place.is_symlink() or place.stat().st_size != item.size:
        raise _altered(item.name)
    if flushed_sha256(str(place)) != item.sha256:
        place.unlink()
        raise _altered(item.name)
    safe_parent(into, item.path)
    place.chmod(0o700 if item.executable else 0o600)
    place.replace(item.path)


def _altered(name: str) -> RouteError:
    return RouteError(
        f"{name} did not arrive as the host described it",
        why="its hash differs: it changed meanwhile, or was altered on the way",
        try_next="try again",
    )


def _flags(route: Any, bases: bool) -> list[str]:
    """Content and nothing else: no owner, group, mode, time, link or device."""
    flags = ["--ignore-times", "--partial-dir=.partial", f"--timeout={IDLE_S}"]
    if not bases:
        return flags
    flags += [f"--block-size={BLOCK}"]
    return [*flags, "--compress-choice=zstd", "--compress-level=1"] if _zstd(route) else flags


def _run(
    route: Carrier, flags: list[str], names: list[str], source: str, target: str, tally: Tally
) -> None:
    with socket_of(route) as path, tempfile.NamedTemporaryFile(prefix="qa-names-") as listed:
        if path is None:
            raise RouteError(
                "this connection cannot be shared with rsync", try_next="use --no-rsync"
            )
        listed.write(b"\0".join(os.fsencode(n) for n in names) + b"\0")
        listed.flush()
        shell = [sys.executable, "-I", "-S", str(Path(__file__).with_name("rsync_shell.py"))]
        argv = [
            *("rsync", "-s", *flags, "--rsh=" + " ".join(_quoted(w) for w in [*shell, str(path)])),
            *("--info=progress2,stats1", "--no-human-readable", "--outbuf=N"),
            *("--from0", f"--files-from={listed.name}", "--", source, target),
        ]
        code, said, wire = _watched(argv, tally)
    if code == 0:
        tally.wire += wire
        tally.add(tally.total - tally.done, "", 0)
        return
    raise _failed(route, code, said)


def _quoted(word: str) -> str:
    """For rsync's own splitting of its shell command: double quotes, doubled inside."""
    return '"' + word.replace('"', '""') + '"'


def _watched(argv: list[str], tally: Tally) -> tuple[int, str, int]:
    """(exit code, the last of stderr, bytes of files that travelled)."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("RSYNC_")}
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**env, "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C is for us to pass on
    )
    assert process.stdout and process.stderr
    said: list[bytes] = []
    errors = threading.Thread(target=_drain, args=(process.stderr, said.append), daemon=True)
    errors.start()
    wire, rest = 0, b""
    try:
        while data := os.read(process.stdout.fileno(), 1 << 16):
            *lines, rest = re.split(rb"[\r\n]", (rest + data)[-(1 << 16) :])
            for line in lines:
                wire = _literal(line, wire)
                _progress(line, tally)
        wire = _literal(rest, wire)
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        process.stdout.close()
    errors.join(5)
    return code, b"".join(said)[-4000:].decode("utf-8", "replace"), wire


def _literal(line: bytes, before: int) -> int:
    """`sent 1234 bytes  received 56 bytes  …`: the larger one carried the files."""
    found = re.match(rb"sent (\d+) bytes +received (\d+) bytes", line.replace(b",", b""))
    return max(int(found[1]), int(found[2])) if found else before


def _progress(line: bytes, tally: Tally) -> None:
    found = re.match(rb"\s*([\d,.]+)\s+\d+%", line)
    if found:
        done = min(int(re.sub(rb"\D", b"", found[1])), tally.total)
        if done > tally.done:
            tally.add(done - tally.done, "", 0)


def _drain(stream: Any, take: Callable[[bytes], None]) -> None:
    with stream:
        while data := stream.read1(1 << 16):
            take(data[-4000:])


def _failed(route: Carrier, code: int, said: str) -> QAError:
    words = plain(said.replace("\n", " "), 300)
    if "No space left" in said or "Disk quota" in said:
        return DiskFull("rsync found no room", why=words, try_next="free space, then repeat")
    if not route.alive or code in (12, 30, 255) or "link was cut" in said:
        return LinkLost(
            "the transfer was cut", why=words, try_next="repeat it: it goes on where it stopped"
        )
    return RouteError(f"rsync ended with exit code {code}", why=words, try_next="try again")
