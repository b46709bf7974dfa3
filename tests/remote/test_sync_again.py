"""Transfers that are cut and go on, that meet each other, and that send only what differs."""

from __future__ import annotations

import json
import os
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import (
    DiskFull,
    EnvironmentProblem,
    LinkLost,
    MissingComponent,
    QAError,
    RouteError,
)
from remote import rsync
from remote.agent import leaving
from remote.agent.arriving import part_path
from remote.route import Route
from remote.sync import Transfer, items, plan_pull, plan_push, pull, push, rated, tree, up
from remote.sync.progress import Tally
from tests.openssh import OpenSSHPair
from tests.remote.conftest import refused
from tests.remote.local import Local

MIB = 1 << 20


def _file(path: Path, mib: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(mib * MIB))
    return path


def _parts(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*.part") if p.is_file()]


def _rows(path: Path, n: int, seed: int, changed: float = 0.0) -> Path:
    """n rows of JSONL of about 1 kB; `changed`: share of rows that are others than seed 0 gives."""
    chance, other = random.Random(seed), random.Random(99)
    with open(path, "w", encoding="utf-8") as f:
        for k in range(n):
            row = {"id": k, "q": chance.randbytes(chance.randint(100, 400)).hex()}
            if other.random() < changed:
                row["q"] = other.randbytes(300).hex()
            f.write(json.dumps(row) + "\n")
    return path


@pytest.fixture
def slow_rsync(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """So slow that there is a middle to cut it in, until the list is cleared."""
    flags, slow = rsync._flags, ["--bwlimit=12m"]
    monkeypatch.setattr(rsync, "_flags", lambda route, bases: [*flags(route, bases), *slow])
    return slow


class Cut:
    """Cuts the link once, when so much is done."""

    def __init__(self, cut: Any, share: float) -> None:
        self._cut, self._share = cut, share
        self.first: int | None = None

    def __call__(self, done: int, total: int, name: str) -> None:
        self.first = done if self.first is None else self.first
        if done > total * self._share and self._cut:
            cut, self._cut = self._cut, None
            cut()


@pytest.mark.parametrize("by_rsync", [False, True], ids=["frames", "rsync"])
def test_a_push_that_is_cut_goes_on(tmp_path: Path, by_rsync: bool, slow_rsync: list[str]) -> None:
    big = _file(tmp_path / "big", 40)
    with OpenSSHPair(tmp_path / "ssh") as pair, Route(pair.host) as route:
        route.helper()
        work = Path(pair.host.workdir)
        cut = Cut(lambda: pair.cut("jump"), 0.2 if by_rsync else 0.5)
        error = refused(lambda: push(route, [(big, "d/big")], cut, rsync=by_rsync))
        assert isinstance(error, LinkLost) and error.try_next
        assert not (work / "d" / "big").exists()
        route.reopen()
        slow_rsync.clear()
        moved = push(route, [(big, "d/big")], rsync=by_rsync)
        assert moved.files == 1 and moved.wire < 36 * MIB
        assert (work / "d" / "big").read_bytes() == big.read_bytes()
        assert not _parts(work) and push(route, [(big, "d/big")]).skipped == 1


@pytest.mark.parametrize("by_rsync", [False, True], ids=["frames", "rsync"])
def test_a_pull_that_is_cut_goes_on(tmp_path: Path, by_rsync: bool, slow_rsync: list[str]) -> None:
    with OpenSSHPair(tmp_path / "ssh") as pair, Route(pair.host) as route:
        route.helper()
        big = _file(Path(pair.host.workdir) / "d" / "big", 40)
        into = tmp_path / "in"
        cut = Cut(lambda: pair.cut("jump"), 0.2 if by_rsync else 0.5)
        error = refused(lambda: pull(route, "d", into, cut, rsync=by_rsync))
        assert isinstance(error, LinkLost)
        assert not (into / "big").exists()
        route.reopen()
        slow_rsync.clear()
        again = Cut(None, 0)
        assert pull(route, "d", into, again, rsync=by_rsync) == [into / "big"]
        if not by_rsync:
            assert again.first is not None and again.first > 12 * MIB
        assert (into / "big").read_bytes() == big.read_bytes()
        assert [p.name for p in into.iterdir()] == ["big"]


def test_a_part_that_is_not_the_beginning_is_not_gone_on_from(local: Local, tmp_path: Path) -> None:
    big = _file(tmp_path / "big", 4)
    digest = items.sha256_of(str(big))
    for folder in (local.workdir / "d", tmp_path / "in"):
        folder.mkdir(parents=True)
        Path(part_path(str(folder / "big"), digest)).write_bytes(os.urandom(2 * MIB))
    assert push(local, [(big, "d/big")]).wire == 4 * MIB
    assert (local.workdir / "d/big").read_bytes() == big.read_bytes()
    again = Cut(None, 0)
    assert pull(local, "d", tmp_path / "in", again) and again.first == 0
    assert (tmp_path / "in/big").read_bytes() == big.read_bytes()
    assert not _parts(tmp_path)


def test_two_pushes_and_two_pulls_of_the_same_at_once(route: Route, tmp_path: Path) -> None:
    big = _file(tmp_path / "big", 6)
    faults: list[BaseException] = []

    def both(n: int) -> None:
        try:
            push(route, [(big, "d/big")])
            pull(route, "d", tmp_path / "in")
        except BaseException as e:
            faults.append(e)

    threads = [threading.Thread(target=both, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not faults
    assert (tmp_path / "in/big").read_bytes() == big.read_bytes()
    assert not _parts(tmp_path / "in") and not _parts(Path(route.host.workdir))


@pytest.mark.parametrize("by_rsync", [False, True], ids=["frames", "rsync"])
def test_a_snapshot_with_one_row_in_a_hundred_changed(tmp_path: Path, by_rsync: bool) -> None:
    """30 MB here; 20 MB of 300 are asked for at full size."""
    old = _rows(tmp_path / "rows-aaaa.jsonl", 57_000, 0)
    new = _rows(tmp_path / "rows-bbbb.jsonl", 57_000, 0, changed=0.01)
    size = new.stat().st_size
    assert size > 28e6
    with OpenSSHPair(tmp_path / "ssh") as pair, Route(pair.host) as route:
        work = Path(pair.host.workdir)
        push(route, [(old, "data/rows-aaaa.jsonl")])
        # content-addressed: another name, so the old version is one of its siblings
        moved = push(route, [(new, "data/rows-bbbb.jsonl")], rsync=by_rsync)
        assert (work / "data/rows-bbbb.jsonl").read_bytes() == new.read_bytes()
        assert (work / "data/rows-aaaa.jsonl").read_bytes() == old.read_bytes()
        assert moved.wire < size * 20 / 300
        # and back, over an older version of the same name
        into = tmp_path / "in"
        into.mkdir()
        (into / "rows-bbbb.jsonl").write_bytes(old.read_bytes())
        pull(route, "data", into, names=["rows-bbbb.jsonl"], rsync=by_rsync)
        assert (into / "rows-bbbb.jsonl").read_bytes() == new.read_bytes()


def test_a_file_that_changes_while_it_is_sent(local: Local, tmp_path: Path) -> None:
    for name, change in (("a", lambda f: f.write(b"more")), ("b", lambda f: f.truncate(MIB))):
        big = _file(tmp_path / name, 6)

        def touch(done: int, total: int, _: str, path: Path = big, change: Any = change) -> None:
            if done > total // 2:
                with open(path, "r+b") as f:
                    f.seek(5 * MIB)
                    change(f)

        files = [(big, f"d/{name}")]
        error = refused(lambda touch=touch, files=files: push(local, files, touch))
        assert isinstance(error, EnvironmentProblem) and "changed" in error.what
        assert not (local.workdir / "d" / name).exists()
        assert local.helper().call("ping")
        assert push(local, files).files == 1


def test_a_file_that_changed_since_it_was_listed(local: Local, tmp_path: Path) -> None:
    big = _file(local.workdir / "d" / "big", 6)
    listing = local.helper().call("manifest", path="d")

    class Late:
        """The same host with an answer of before."""

        alive = True
        agent = local.agent

        def helper(self) -> Any:
            return self

        def call(self, op: str, **values: Any) -> Any:
            return listing if op == "manifest" else local.helper().call(op, **values)

    for spoil in (lambda f: f.write(b"other"), lambda f: f.truncate(MIB)):
        with open(big, "r+b") as f:
            spoil(f)
        error = refused(lambda: pull(Late(), "d", tmp_path / "in"))  # type: ignore[arg-type]
        assert isinstance(error, RouteError) and "big" in error.what
        assert not (tmp_path / "in" / "big").exists() and not _parts(tmp_path / "in")
    assert pull(local, "d", tmp_path / "in") == [tmp_path / "in" / "big"]


def test_many_small_files_and_what_a_plan_says(local: Local, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    for n in range(1000):
        path = mine / f"{n % 7}" / f"{n}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % n * (n % 50))
    (mine / "0" / "run").write_text("#!/bin/sh\n")
    (mine / "0" / "run").chmod(0o755)
    (mine / "out").symlink_to("/etc")
    files = tree([mine], "data")
    assert len(files) == 1001
    plan = plan_push(local, files, "data")
    assert len(plan.of("new")) == 1001 and not plan.of("same", "changed", "extra")
    assert push(local, files).files == 1001
    (mine / "1" / "1.txt").write_text("other")
    (local.workdir / "data" / "theirs").write_text("x")
    plan = plan_push(local, files, "data")
    assert [c.name for c in plan.of("changed")] == ["data/mine/1/1.txt"] and plan.bytes == 5
    assert [c.name for c in plan.of("extra")] == ["data/theirs"]
    assert push(local, files).files == 1

    into = tmp_path / "in"
    plan = plan_pull(local, "data", into)
    assert len(plan.of("new")) == 1002
    assert len(pull(local, "data", into)) == 1002
    assert os.access(into / "mine/0/run", os.X_OK)
    (into / "mine/2/2.txt").write_text("?")
    (into / "own").write_text("x")
    plan = plan_pull(local, "data", into)
    assert [c.name for c in plan.of("changed")] == ["mine/2/2.txt"]
    assert [c.name for c in plan.of("extra")] == ["own"]
    for path, name in files:
        if path.name != "2.txt":
            assert (into / name.removeprefix("data/")).read_bytes() == path.read_bytes()


def test_the_executable_bit_alone_is_a_change(local: Local, tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text("#!/bin/sh\n")
    push(local, [(script, "run")])
    script.chmod(0o755)
    assert plan_push(local, [(script, "run")]).of("changed")
    assert push(local, [(script, "run")]).files == 1
    assert os.access(local.workdir / "run", os.X_OK)


def test_a_slow_link_gets_compressed_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(leaving.time, "monotonic", lambda: now[0])
    squeezer = leaving.Squeezer()
    text, noise = os.urandom(128 * 1024).hex().encode(), os.urandom(256 * 1024)

    def run(data: bytes, seconds_each: float, times: int) -> list[bool]:
        out = []
        for _ in range(times):
            header, payload = squeezer.pack(data)
            out.append("z" in header)
            assert len(payload) <= len(data)
            now[0] += seconds_each
        return out

    assert not any(run(text, 0.001, 40))  # 280 MB/s
    assert run(text, 0.1, 40)[-1]  # 3 MB/s
    assert not any(run(noise, 0.1, 40))  # does not shrink
    run(text, 0.1, leaving.PASS)
    assert not run(text, 0.00001, 40)[-1]  # fast again


def test_progress_with_rate_and_time_left() -> None:
    now, seen = [0.0], []
    step = rated(seen.append, lambda: now[0])
    for n in range(6):
        step(1000 + n * 100, 2000, "a")
        now[0] += 1.0
    assert seen[0] == Transfer(1000, 2000, 0.0, None, "a")
    assert seen[-1] == Transfer(1500, 2000, 100.0, 5.0, "a")


def test_rsync_is_only_used_where_it_is_there_and_pays(
    local: Local, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = [rsync.LEAST]
    assert rsync.chosen(route, None, large) and not rsync.chosen(route, None, [1, 2])
    assert not rsync.chosen(route, False, large) and rsync.chosen(route, True, [1])
    assert not rsync.chosen(local, None, large)  # no connection to share
    assert isinstance(refused(lambda: rsync.chosen(local, True, large)), MissingComponent)
    monkeypatch.setattr(
        rsync, "_here", lambda: "openrsync: protocol version 29\nrsync version 2.6.9"
    )
    assert not rsync.chosen(route, None, large)


def test_through_rsync_names_modes_and_odd_things(route: Route, tmp_path: Path) -> None:
    odd = tmp_path / "--daemon; $(touch x) 'q\" ü.bin"
    odd.write_bytes(os.urandom(300_000))
    twin = tmp_path / "twin"
    twin.write_bytes(odd.read_bytes())
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    files = [(p, f"d/{p.name}") for p in (odd, twin, empty, script)]
    steps: list[int] = []
    assert push(route, files, lambda done, *_: steps.append(done), rsync=True).files == 4
    assert steps[-1] == 600_010
    work = Path(route.host.workdir)
    for path, name in files:
        assert (work / name).read_bytes() == path.read_bytes()
        assert (work / name).stat().st_mode & 0o777 == (0o700 if path == script else 0o600)
    assert not [p for p in (work / ".incoming").rglob("*") if p.is_file()]
    (work / "d/link").symlink_to("/etc/passwd")
    into = tmp_path / "in"
    got = pull(route, "d", into, rsync=True)
    assert sorted(p.name for p in got) == sorted(p.name for p, _ in files)
    assert sorted(p.name for p in into.iterdir()) == sorted(p.name for p, _ in files)
    assert os.access(into / "run.sh", os.X_OK) and not os.access(into / "twin", os.X_OK)


def test_rsync_met_by_a_full_disk(small_disk: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(up, "_check_room", lambda *_: None)
    big = _file(tmp_path / "big", 4)
    with (
        OpenSSHPair(tmp_path / "ssh") as pair,
        Route(replace(pair.host, workdir=str(small_disk / "w"))) as route,
    ):
        error = refused(lambda: push(route, [(big, "d/big")], rsync=True))
        assert isinstance(error, DiskFull)
        assert not (small_disk / "w/d/big").exists() and route.alive


def test_a_host_whose_rsync_sends_other_things(route: Route, tmp_path: Path) -> None:
    """What arrives is judged by what was listed, whatever the host's rsync did."""
    work = Path(route.host.workdir)
    big = _file(work / "d" / "big", 2)
    listing = route.helper().call("manifest", path="d")
    todo = items.remote_items(listing, tmp_path / "in")
    (tmp_path / "in").mkdir()
    for spoil in (
        lambda: big.write_bytes(os.urandom(2 * MIB)),
        lambda: big.write_bytes(b"short"),
        lambda: (big.unlink(), big.symlink_to("/etc/passwd")),
        lambda: (big.unlink(), big.mkdir()),
    ):
        spoil()
        with pytest.raises(QAError):
            rsync.pull(route, str(work / "d"), todo, tmp_path / "in", Tally(2 * MIB, None))
        assert not (tmp_path / "in" / "big").exists()
