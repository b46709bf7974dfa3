"""Files there and back; peer: rsync over `ssh -J`, same jump host, same host, same machine.

Ours goes over the connection that is open, checks SHA-256 at both ends and flushes to disk; the peer logs
in each time and does neither. Needs a real OpenSSH server and client, and rsync.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.control_call import _config
from benchmarks.figures import Figure, median
from remote.route import Route
from remote.sync import pull, push, tree
from tests.openssh import OpenSSHPair

MB = 1_000_000
BIG = 400 * MB
SMALL, SMALL_SIZE = 1000, 50_000
ROWS = 250_000  # of about 1.2 kB: a snapshot of 300 MB
SAMPLES = 3
MOST_MOVED = 20.0  # MB of that snapshot, with one row in a hundred changed


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp, OpenSSHPair(Path(tmp) / "ssh") as pair:
        root, work = Path(tmp), Path(pair.host.workdir)
        config = _config(root, pair.host)
        alone = "ControlMaster no"
        config.write_text(config.read_text("utf-8").replace("ControlMaster auto", alone), "utf-8")
        with Route(pair.host) as route:
            route.helper()
            yield from _bulk(route, root, work, ["rsync", "-a", "-e", f"ssh -F {config}"])
            yield from _small(route, root, work, ["rsync", "-a", "-e", f"ssh -F {config}"])
            yield _changed(route, root)


def _bulk(route: Route, root: Path, work: Path, rsync: list[str]) -> Iterator[Figure]:
    big = root / "big.bin"
    with open(big, "wb") as f:
        for _ in range(BIG // MB):
            f.write(os.urandom(MB))
    times: dict[str, list[float]] = {"put": [], "peer put": [], "get": [], "peer get": []}
    for n in range(SAMPLES):
        up, down = f"up{n}", root / f"down{n}"
        times["put"].append(_seconds(lambda up=up: push(route, [(big, f"{up}/big.bin")])))
        times["peer put"].append(_peer([*rsync, str(big), f"host:{work}/peer{n}"]))
        times["get"].append(_seconds(lambda up=up, down=down: pull(route, up, down)))
        times["peer get"].append(_peer([*rsync, f"host:{work}/peer{n}", str(root / f"peer{n}")]))
        assert (down / "big.bin").read_bytes() == big.read_bytes()
        for path in (work / up, down):
            shutil.rmtree(path)
        (work / f"peer{n}").unlink()
        (root / f"peer{n}").unlink()
    name = f"{BIG // MB} MB"
    peer = "rsync over ssh -J"
    yield _figure(f"put {name}", times["put"], peer, times["peer put"], round(1 / 0.9, 2))
    yield _figure(f"get {name}", times["get"], peer, times["peer get"], round(1 / 0.6, 2))


def _small(route: Route, root: Path, work: Path, rsync: list[str]) -> Iterator[Figure]:
    folder = root / "small"
    folder.mkdir()
    for n in range(SMALL):
        (folder / f"{n}").write_bytes(os.urandom(SMALL_SIZE))
    ours, peer = [], []
    for n in range(SAMPLES):
        files = tree([folder], f"small{n}")
        ours.append(_seconds(lambda files=files: push(route, files)))
        peer.append(_peer([*rsync, f"{folder}/", f"host:{work}/peer-small{n}/"]))
    yield _figure(f"put {SMALL} × {SMALL_SIZE // 1000} kB", ours, "rsync over ssh -J", peer, 1.0)


def _changed(route: Route, root: Path) -> Figure:
    """Bytes that travel for a new version of a snapshot of which an older one is there."""
    chance = random.Random(1)
    rows = [
        json.dumps({"id": n, "text": chance.randbytes(chance.randint(300, 850)).hex()})
        for n in range(ROWS)
    ]
    old, new = root / "rows-a.jsonl", root / "rows-b.jsonl"
    old.write_text("\n".join(rows) + "\n", "utf-8")
    for n in chance.sample(range(ROWS), ROWS // 100):
        rows[n] = json.dumps({"id": n, "text": chance.randbytes(chance.randint(300, 850)).hex()})
    new.write_text("\n".join(rows) + "\n", "utf-8")
    push(route, [(old, "data/rows-a.jsonl")])
    moved = push(route, [(new, "data/rows-b.jsonl")])
    size = new.stat().st_size / MB
    return Figure(
        f"{size:.0f} MB snapshot, 1 % of rows changed: moved",
        "MB",
        moved.wire / MB,
        "the most it may move",
        MOST_MOVED * size / 300,
        1.0,
        1,
    )


def _figure(name: str, ours: list[float], peer: str, theirs: list[float], goal: float) -> Figure:
    return Figure(name, "s", median(ours), peer, median(theirs), goal, len(ours))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _peer(argv: list[str]) -> float:
    return _seconds(lambda: subprocess.run(argv, check=True))
