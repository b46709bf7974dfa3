"""Files up and down: whole or not at all, once, and never outside their folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from core.errors import DiskFull, LinkLost, NotFound, QAError, RouteError, UsageError
from remote.agent import delta
from remote.agent.frames import pack
from remote.launch import DirectLauncher
from remote.route import Route
from remote.sync import Moved, fetch_artifacts, items, pull, push, push_code, up
from tests.remote.conftest import refused
from tests.remote.local import Local, sh, until


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[Path, str]]:
    folder = tmp_path / "mine"
    folder.mkdir()
    out = []
    for n, size in enumerate([0, 1, 1000, 300_000, 1_500_000]):
        path = folder / f"f{n} ü.bin"
        path.write_bytes(os.urandom(size))
        out.append((path, f"data/a b/{path.name}"))
    script = folder / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return [*out, (script, "data/run.sh")]


def test_push_then_pull_over_ssh(
    route: Route, files: list[tuple[Path, str]], tmp_path: Path
) -> None:
    total = sum(p.stat().st_size for p, _ in files)
    seen: list[tuple[int, int, str]] = []
    moved = push(route, files, lambda *step: seen.append(step))
    assert moved == Moved(6, total, 0)
    assert seen[-1][:2] == (total, total)
    work = Path(route.host.workdir)
    for path, name in files:
        assert (work / name).read_bytes() == path.read_bytes()
        assert (work / name).stat().st_mode & 0o077 == 0
    assert os.access(work / "data/run.sh", os.X_OK) and not os.access(work / files[0][1], os.X_OK)
    assert push(route, files) == Moved(0, 0, 6)
    files[2][0].write_bytes(b"y" * 1000)  # the same size, another content
    assert push(route, files) == Moved(1, 1000, 5)
    assert not list(work.rglob("*.part"))

    (work / "data" / "link").symlink_to("/etc/passwd")
    (work / "data" / "dirlink").symlink_to("/etc")
    os.mkfifo(work / "data" / "pipe")
    into = tmp_path / "down"
    got = pull(route, "data", into, lambda *step: seen.append(step))
    assert sorted(p.relative_to(into).as_posix() for p in got) == sorted(
        name.removeprefix("data/") for _, name in files
    )
    for path, name in files:
        assert (into / name.removeprefix("data/")).read_bytes() == path.read_bytes()
    assert not list(into.rglob("*.part")) and not list(into.rglob("*link"))
    before = {p: p.stat().st_mtime_ns for p in got}
    assert pull(route, str(work / "data"), into) == got  # nothing travels twice
    assert before == {p: p.stat().st_mtime_ns for p in got}
    assert pull(route, "data", into, names=["run.sh"]) == [into / "run.sh"]
    assert isinstance(refused(lambda: pull(route, "nothing", into)), NotFound)


def test_code_that_arrives_can_be_imported(local: Local, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "core" / "sub" / "__pycache__").mkdir(parents=True)
    (root / "core" / "__init__.py").write_text("")
    (root / "core" / "sub" / "__init__.py").write_text("word = 'one'\n")
    (root / "core" / "sub" / "__pycache__" / "x.py").write_text("")
    (root / "core" / "notes.txt").write_text("")
    first = push_code(local, root)
    assert first.startswith(f"{local.workdir}/code/") and push_code(local, root) == first
    assert sorted(p.name for p in Path(first).rglob("*.*")) == ["__init__.py", "__init__.py"]
    (root / "core" / "sub" / "__init__.py").write_text("word = 'two'\n")
    second = push_code(local, root)
    assert second != first
    for folder, word in [(first, "one"), (second, "two")]:  # a running job keeps its own
        said = subprocess.run(
            [sys.executable, "-c", "import core.sub; print(core.sub.word)"],
            env={**os.environ, "PYTHONPATH": folder},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert said.stdout == f"{word}\n", said.stderr


def test_the_whole_package_arrives(local: Local) -> None:
    folder = Path(push_code(local))
    done = subprocess.run(
        [sys.executable, "-c", "import core.jobdir; print(core.jobdir.__file__)"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(folder / "core" / "jobdir.py"), done.stderr


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a//b", "a\nb", "a\0b", "./a"])
def test_push_stays_below_the_work_folder(local: Local, tmp_path: Path, name: str) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    assert isinstance(refused(lambda: push(local, [(path, name)])), UsageError)
    stream = local.agent("receive", str(local.workdir))  # and the host does not rely on us
    head = {"file": name, "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    stream.send(pack(head) + pack({}, b"x") + pack({"end": True}))
    assert b"bad_name" in stream.recv(10)
    stream.close()


def test_bytes_that_are_not_as_announced_never_get_the_name(local: Local) -> None:
    local.helper()
    for size, digest in [(3, "0" * 64), (4, hashlib.sha256(b"abc").hexdigest())]:
        stream = local.agent("receive", str(local.workdir))
        head = {"file": "data/f", "size": size, "sha256": digest}
        stream.send(pack(head) + pack({}, b"abc") + pack({"end": True}))
        assert b"mismatch" in stream.recv(10)
        stream.close()
    assert not list((local.workdir / "data").iterdir())


def test_a_cut_transfer_leaves_no_half_file(local: Local, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(4_000_000))

    def cut(done: int, total: int, name: str) -> None:
        if done > total // 2:
            local.cut()

    with contextlib.suppress(OSError):
        assert isinstance(refused(lambda: push(local, [(big, "big")], cut)), LinkLost)
    assert not (local.workdir / "big").exists()
    assert push(local, [(big, "big")]).files == 1
    into = tmp_path / "down"
    assert isinstance(refused(lambda: pull(local, ".", into, cut)), (LinkLost, RouteError))
    assert not (into / "big").exists()
    assert (into / "big") in pull(local, ".", into) and not list(into.rglob("*.part"))


@pytest.mark.parametrize("noticed", ["before", "midway"])
def test_a_full_disk_on_the_host_is_said_and_leaves_nothing(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    if noticed == "midway":
        monkeypatch.setattr(up, "_check_room", lambda *_: None)
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3_000_000))
    with Local(small_disk / "w") as local:
        error = refused(lambda: push(local, [(big, "data/big"), (big, "data/big2")]))
        assert isinstance(error, DiskFull) and error.try_next
        assert not list((local.workdir / "data").rglob("*"))
        assert local.helper().call("ping")


def test_a_job_on_a_full_disk_still_has_its_end_recorded(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_LOCKS", str(tmp_path / "locks"))
    with Local(small_disk / "w") as local:
        launcher = DirectLauncher(local)
        launcher.start(sh("cat /dev/zero > more; exit 9"))
        until(lambda: not launcher.state("job-1").active)
        assert os.statvfs(small_disk).f_bavail < 3
        state = launcher.state("job-1")
        assert (state.status, state.exit_code) == ("failed", 9)
        error = refused(lambda: launcher.start(sh("true", "job-2")))
        assert isinstance(error, DiskFull)
        (local.workdir / "jobs" / "job-1" / "more").unlink(missing_ok=True)
        (local.workdir / "jobs" / "job-1" / "output.log").unlink()
        launcher.start(sh("true", "job-2"))
        until(lambda: launcher.state("job-2").status == "succeeded")


def test_artifacts_land_in_the_mirror(local: Local, tmp_path: Path) -> None:
    launcher = DirectLauncher(local)
    launcher.start(
        sh("mkdir artifacts/adapter; echo w > artifacts/adapter/a; echo s > artifacts/s")
    )
    until(lambda: not launcher.state("job-1").active)
    into = tmp_path / "mirror"
    only = fetch_artifacts(local, "job-1", into, names=["adapter"])
    assert only == [into / "artifacts" / "adapter" / "a"]
    assert len(fetch_artifacts(local, "job-1", into)) == 2
    assert isinstance(refused(lambda: fetch_artifacts(local, "../job-1", into)), UsageError)


class Hostile:
    """A host that lists and sends what it likes."""

    alive = True

    def __init__(self, listing: Any, sent: bytes = b"") -> None:
        self.listing, self.sent = listing, sent

    def helper(self) -> Any:
        listing = self.listing
        answers = {"manifest": listing, "hello": {"workdir": "/w"}, "sha256": ["x"]}
        return type("H", (), {"call": lambda _, op, **more: answers[op]})()

    def agent(self, *words: str, bare: bool = True) -> Any:
        parts = [self.sent, b""]
        return type(
            "S",
            (),
            {
                "recv": lambda _, timeout=None: parts.pop(0),
                "close": lambda _: None,
                "send": lambda _, data: None,
            },
        )()


ABC = hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize(
    "listing",
    [
        {"name": "x"},
        [{"name": "../x", "size": 3, "sha256": ABC}],
        [{"name": "/etc/x", "size": 3, "sha256": ABC}],
        [{"name": "a\x1b[2Jb", "size": 3, "sha256": ABC}],
        [{"name": 7, "size": 3, "sha256": ABC}],
        [{"name": "x", "size": -3, "sha256": ABC}],
        [{"name": "x", "size": 1 << 40, "sha256": ABC}],
        [{"name": "x", "size": 3}],
        [{"name": "x", "size": 3, "sha256": "../../x"}],
        [{"name": "x", "size": 3, "sha256": ABC}] * 2,
        [{"name": ".incoming/x", "size": 3, "sha256": ABC}],
        [{"name": f".{ABC[:32]}.part", "size": 3, "sha256": ABC}],
        [{"name": "x" * 2000, "size": 3, "sha256": ABC}],
        ["x"],
        [{"name": "x", "size": 0, "sha256": ""}] * 30_000,
    ],
)
def test_odd_listings_are_refused(tmp_path: Path, listing: Any) -> None:
    with pytest.raises(RouteError) as e:
        pull(Hostile(listing), "d", tmp_path / "in")  # type: ignore[arg-type]
    assert "\x1b" not in str(e.value)
    assert not list(tmp_path.rglob("*x"))


@pytest.mark.parametrize(
    "sent",
    [
        pack({"file": "y"}) + pack({}, b"abc") + pack({"end": True}),
        pack({"file": "../x"}) + pack({}, b"abc") + pack({"end": True}),
        pack({"file": "x"}) + pack({}, b"abd") + pack({"end": True}),
        pack({"file": "x"}) + pack({}, b"ab") + pack({"end": True}),
        pack({"file": "x"}) + pack({}, b"abcd") + pack({"end": True}),
        pack({"file": "x", "from": 2}) + pack({}, b"c") + pack({"end": True}),
        pack({"file": "x"}) + pack({"copy": 1}, delta.pack_copies([(0, 3)])) + pack({"end": True}),
        pack({"file": "x"}) + pack({"z": 1}, b"abc") + pack({"end": True}),
        pack({"file": "x"}) + pack({"z": 1}, zlib.compress(bytes(1 << 26))) + pack({"end": True}),
        pack({"file": "x"}) + pack({"error": {"code": "os", "what": "\x1b[2J"}}),
        pack({"file": "x"}) + pack({"file": "x"}) + pack({}, b"abc") + pack({"end": True}),
        pack({}, b"abc") + pack({"end": True}),
        pack({"end": True}),
        b"garbage\n",
        b"",
    ],
)
def test_files_that_are_not_what_was_asked_for_are_refused(tmp_path: Path, sent: bytes) -> None:
    into = tmp_path / "in"
    hostile = Hostile([{"name": "x", "size": 3, "sha256": ABC}], sent)
    with pytest.raises(QAError):
        pull(hostile, "d", into)  # type: ignore[arg-type]
    assert not list(into.iterdir())


def test_a_link_inside_the_target_does_not_lead_out(tmp_path: Path) -> None:
    into, out = tmp_path / "in", tmp_path / "out"
    into.mkdir()
    out.mkdir()
    (into / "d").symlink_to(out)
    sent = pack({"file": "d/x"}) + pack({}, b"abc") + pack({"end": True})
    with pytest.raises(QAError):
        pull(Hostile([{"name": "d/x", "size": 3, "sha256": ABC}], sent), "d", into)  # type: ignore[arg-type]
    assert not list(out.iterdir())


def test_no_room_here_is_said_before_anything_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "RESERVE", 1 << 60)
    hostile = Hostile([{"name": "x", "size": 3, "sha256": ABC}])
    with pytest.raises(DiskFull):
        pull(hostile, "d", tmp_path / "in")  # type: ignore[arg-type]
