"""Files to the host."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DiskFull, EnvironmentProblem, LinkLost, RouteError
from remote.agent import delta
from remote.agent.arriving import CHUNK, sha256_of
from remote.agent.frames import pack
from remote.agent.leaving import Squeezer, frames
from remote.agent.problem import Problem
from remote.helper_client import ODD, Carrier, Duplex
from remote.sync.items import (
    BIG,
    HASH_S,
    Change,
    Item,
    Moved,
    Plan,
    local_items,
    transfer_error,
    usable_name,
)
from remote.sync.progress import Progress, Tally


@dataclass(frozen=True, slots=True)
class _Hint:
    """start: bytes there already.  base, signed, least: an old version there and its signature."""

    start: int = 0
    base: str = ""
    signed: bytes = b""
    least: int = delta.LEAST


def push(
    route: Carrier,
    files: Sequence[tuple[Path, str]],
    progress: Progress | None = None,
    *,
    rsync: bool | None = None,
) -> Moved:
    """Copy local files to paths below the host's work folder.

    rsync: through it or not; None: where both ends have it and it pays.
    Raises UsageError (names, missing files), DiskFull, LinkLost: repeat it, what arrived stays.
    """
    items = local_items(files)
    here, _ = _survey(route, items)
    todo = [i for i, there in zip(items, here, strict=True) if _kind(i, there) != "same"]
    if not todo:
        return Moved(0, 0, len(items))
    total = sum(i.size for i in todo)
    _check_room(route, total)
    tally = Tally(total, progress)
    from remote import rsync as by_rsync

    if by_rsync.chosen(route, rsync, [i.size for i in todo]):
        by_rsync.push(route, todo, tally)
    else:
        _by_frames(route, todo, tally)
    return Moved(len(todo), total, len(items) - len(todo), tally.wire)


def plan_push(route: Carrier, files: Sequence[tuple[Path, str]], folder: str | None = None) -> Plan:
    """What `push` would do. folder: on the host, to name what is there and not in `files`."""
    items = local_items(files)
    here, others = _survey(route, items, folder)
    changes = [
        Change(_kind(i, there), i.name, i.size) for i, there in zip(items, here, strict=True)
    ]
    return Plan((*changes, *(Change("extra", name) for name in others)))


def _kind(item: Item, there: dict[str, Any] | None) -> Any:
    if there is None:
        return "new"
    alike = there.get("sha256") == item.sha256 and there.get("x") is item.executable
    return "same" if alike else "changed"


def _survey(
    route: Carrier, items: list[Item], folder: str | None = None
) -> tuple[list[dict[str, Any] | None], list[str]]:
    answer = route.helper().call(
        "survey", files=[[i.name, i.size] for i in items], folder=folder, timeout=HASH_S
    )
    here = answer.get("here") if isinstance(answer, dict) else None
    if not isinstance(here, list) or len(here) != len(items):
        raise RouteError("the host sent an odd answer about its files", try_next=ODD)
    if not all(h is None or isinstance(h, dict) for h in here):
        raise RouteError("the host sent an odd answer about its files", try_next=ODD)
    others = answer.get("others") or []
    if not isinstance(others, list):
        raise RouteError("the host sent an odd answer about its files", try_next=ODD)
    return here, [usable_name(o) for o in others]


def _check_room(route: Carrier, total: int) -> None:
    room = route.helper().call("disk")
    free = room.get("free") if isinstance(room, dict) else None
    if isinstance(free, int) and free < total:
        raise DiskFull(
            f"the host has room for {free >> 20} MiB, and {total >> 20} MiB are to come",
            why="its disk or your quota there is nearly full",
            try_next="free space below the work folder of the host, then repeat",
        )


# -- as frames ------------------------------------------------------------------------------


def _by_frames(route: Carrier, todo: list[Item], tally: Tally) -> None:
    hints = _hints(route, todo)
    workdir = str(route.helper().call("hello")["workdir"])
    stream = route.agent("receive", workdir)
    try:
        answer = _send_all(stream, todo, hints, tally)
    finally:
        stream.close()
    if "error" in answer:
        for item in todo:
            info = item.path.stat() if item.path.exists() else None
            if info is None or (info.st_size, info.st_mtime_ns) != (item.size, item.stamp):
                raise EnvironmentProblem(
                    f"{item.path} changed while it was sent",
                    why="the host does not take a file that is not what was announced",
                    try_next="repeat it when nothing writes to that file",
                )
        raise transfer_error(answer["error"])
    if answer.get("files") != len(todo):
        raise RouteError("the host did not confirm every file", try_next="try again")


def _hints(route: Carrier, todo: list[Item]) -> dict[str, _Hint]:
    big = [i for i in todo if i.size >= BIG]
    if not big:
        return {}
    answer = route.helper().call(
        "hints", files=[[i.name, i.size, i.sha256] for i in big], timeout=HASH_S
    )
    if not isinstance(answer, list) or len(answer) != len(big):
        raise RouteError("the host sent an odd answer about its files", try_next=ODD)
    said = [h if isinstance(h, dict) else {} for h in answer]
    return {i.name: _hint(i, h) for i, h in zip(big, said, strict=True)}


def _hint(item: Item, said: dict[str, Any]) -> _Hint:
    """What the host said, as far as it is usable: the rest is only a saving that is not made."""
    start, base, least = said.get("part", 0), said.get("base", ""), said.get("least", 0)
    if type(start) is not int or not 0 < start <= item.size:
        start = 0
    if start and sha256_of(str(item.path), start) != said.get("prefix"):
        start = 0
    try:
        signed = base64.b64decode(said.get("blocks", ""), validate=True)
        delta.index(signed)
    except (binascii.Error, TypeError, ValueError):
        signed = b""
    if not isinstance(base, str) or type(least) is not int or not 0 < least <= delta.MOST:
        signed = b""
    return _Hint(start, base, signed, least) if signed else _Hint(start)


def _send_all(
    stream: Duplex, items: list[Item], hints: dict[str, _Hint], tally: Tally
) -> dict[str, Any]:
    """Frames out until done or the host objects, then its answer.

    The stream always ends in proper form: bytes for a command that is gone could end the connection.
    """
    reply, waiting = bytearray(), bytearray()
    try:
        for item, frame, size, wire in _frames(items, hints):
            waiting += frame
            if len(waiting) >= CHUNK:
                stream.send(bytes(waiting))
                waiting.clear()
                if _answered(stream, reply):
                    break
            tally.add(size, item.name, wire)
    except (OSError, Problem):
        pass  # a file became shorter, or is gone: the host will miss the rest and say so
    stream.send(bytes(waiting) + pack({"end": True}))
    while b"\n" not in reply:
        try:
            data = stream.recv(HASH_S)
        except TimeoutError as e:
            raise RouteError("the transfer came to a halt", try_next="try again") from e
        if not data:
            raise LinkLost("the host ended the transfer", try_next="try again")
        reply += data
        if len(reply) > 1 << 20:
            break
    try:
        answer = json.loads(reply)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RouteError("the host ended the transfer in an odd way", try_next="try again")
    return answer


def _frames(items: list[Item], hints: dict[str, _Hint]) -> Iterator[tuple[Item, bytes, int, int]]:
    """(file, frame, bytes of the file in it, bytes of it that travel)."""
    squeezer = Squeezer()
    for item in items:
        hint = hints.get(item.name, _Hint())
        head: dict[str, Any] = {"file": item.name, "size": item.size, "sha256": item.sha256}
        if item.executable:
            head["mode"] = "x"
        if hint.start:
            head["from"] = hint.start
        if hint.signed:
            head["base"] = hint.base
        yield item, pack(head), hint.start, 0
        base = delta.index(hint.signed) if hint.signed else None
        with open(item.path, "rb", buffering=0) as f:
            f.seek(hint.start)
            for header, payload, n in frames(f, item.size, squeezer, base, hint.least):  # type: ignore[arg-type]
                yield item, pack(header, payload), n, len(payload)


def _answered(stream: Duplex, reply: bytearray) -> bool:
    """Has the host objected already? Never waits."""
    try:
        data = stream.recv(0.0)
    except TimeoutError:
        return False
    if not data:
        raise LinkLost("the host ended the transfer", try_next="try again")
    reply += data
    return True
