"""Checking, copying, putting back, making smaller; the writer's thread; and the commands for it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core import locations
from core.errors import Cancelled, NotFound, Refused, RegistryError, RegistryNewer
from core.registry import Registry, audit, maintenance, open_registry, opening, sources, versions
from core.registry.writer import Readers, Writer
from tests.core.conftest import Evaluated
from tests.core.faults.harness import prepare, state_of


def damage(reg: Registry, sql: str) -> None:
    """Something no program of ours can do: triggers, references and checks are off."""
    with sqlite3.connect(reg.path) as conn:
        conn.execute("PRAGMA ignore_check_constraints = ON")
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            if name.endswith(("_no_update", "_no_delete")):
                conn.execute(f"DROP TRIGGER {name}")
        conn.execute(sql)


def test_a_sound_registry(reg: Registry, evaluated: Evaluated) -> None:
    versions.promote(reg, evaluated(), "production", "x", "x", "GO")
    assert maintenance.check(reg) == ()


@pytest.mark.parametrize(
    ("sql", "area", "words"),
    [
        ("UPDATE versions SET parent_version = 'x'", "registry", "refers to a row"),
        ("UPDATE audit SET who = 'somebody else' WHERE seq = 2", "registry", "row 2"),
        ("INSERT INTO blobs VALUES ('00', '11', '{}')", "blobs", "no snapshot"),
        ("UPDATE blobs SET body = body || ' '", "registry", "changed"),
        ("INSERT INTO points VALUES (77, 1, 1, 1.0)", "points", "unknown run"),
    ],
)
def test_what_is_wrong_is_named(
    reg: Registry, evaluated: Evaluated, sql: str, area: str, words: str
) -> None:
    evaluated()
    damage(reg, sql)
    faults = maintenance.check(reg)
    assert [f for f in faults if f.area == area and words in f.what], faults


def test_backup_and_restore(tmp_path: Path) -> None:
    path = locations.registry_path()
    prepare(path)
    before = state_of(path)
    with open_registry() as reg:
        copy = maintenance.backup(reg)
        with pytest.raises(Refused):
            maintenance.backup(reg, path)
        sources.upsert_many(reg, [{"source_id": "doc:later"}])
    assert state_of(copy) == before != state_of(path)
    done = maintenance.restore(path, copy)
    assert state_of(path) == before and copy.exists()
    assert done.aside is not None and done.aside in maintenance.backups(path)
    with open_registry(done.aside) as aside:
        assert sources.get(aside, "doc:later")
    maintenance.restore(path, done.aside)
    with open_registry() as reg:
        assert sources.get(reg, "doc:later")
    path.unlink()
    assert maintenance.restore(path, copy).aside is None and state_of(path) == before


def test_a_copy_is_consistent_while_somebody_writes(tmp_path: Path) -> None:
    prepare(locations.registry_path())
    stop = threading.Event()

    def write() -> None:
        with open_registry() as reg:
            n = 0
            while not stop.is_set():
                sources.upsert_many(reg, [{"source_id": f"doc:{(n := n + 1)}"}])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with open_registry() as reg:
            for n in range(8):
                copy = maintenance.backup(reg, tmp_path / f"{n}.bak")
                assert maintenance.check_file(copy) == ()
    finally:
        stop.set()
        thread.join()


def test_a_bad_backup_is_not_put_in_place(tmp_path: Path) -> None:
    path = locations.registry_path()
    prepare(path)
    before = path.read_bytes()
    with open_registry() as reg:
        copy = maintenance.backup(reg)
        damage(Registry(copy, sqlite3.connect(copy), "x"), "UPDATE audit SET why = 'x'")
    with pytest.raises(RegistryError, match="not sound") as e:
        maintenance.restore(path, copy)
    assert "audit" in e.value.why
    text = tmp_path / "text.bak"
    text.write_text("no database" * 1000)
    with pytest.raises(RegistryError, match="damaged"):
        maintenance.restore(path, text)
    newer = tmp_path / "newer.bak"
    with open_registry() as reg:
        maintenance.backup(reg, newer)
    with sqlite3.connect(newer) as conn:
        conn.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
                     " VALUES ('registry', 'm999', 'x')")  # fmt: skip
    conn.close()
    with pytest.raises((RegistryNewer, RegistryError)):
        maintenance.restore(path, newer)
    with pytest.raises(NotFound):
        maintenance.restore(path, tmp_path / "nowhere.bak")
    assert path.read_bytes() == before and not list(path.parent.glob("*.aside-*"))
    assert not list(path.parent.glob(".*"))


def test_restore_refuses_while_another_process_has_it(tmp_path: Path) -> None:
    path = locations.registry_path()
    prepare(path)
    with open_registry() as reg:
        copy = maintenance.backup(reg)
    code = (
        "import sys; from core.registry import open_registry, versions\n"
        "reg = open_registry(); versions.list(reg); print('ready', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=locations.project_root(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None and other.stdout.readline() == b"ready\n"
    before = state_of(path)
    with pytest.raises(Refused, match="open in another program") as e:
        maintenance.restore(path, copy)
    assert str(other.pid) in e.value.why and state_of(path) == before
    other.communicate()
    maintenance.restore(path, copy)


def test_vacuum_gives_room_back(reg: Registry) -> None:
    reg.execute("CREATE TABLE big (x)")
    reg.executemany("INSERT INTO big VALUES (randomblob(4000))", (() for _ in range(500)))
    reg.execute("DROP TABLE big")
    before, after = maintenance.vacuum(reg)
    assert after < before - 1_000_000
    assert maintenance.check(reg) == ()


def test_the_writer_does_one_thing_after_the_other() -> None:
    order: list[int] = []

    def act(n: int) -> Callable[[Registry], int]:
        def write(reg: Registry) -> int:
            sources.upsert_many(reg, [{"source_id": f"doc:{n}"}])
            order.append(threading.get_ident())
            return n

        return write

    with Writer(operator="ada", how="app") as writer:
        futures = [writer.submit(act(n)) for n in range(20)]
        assert [f.result() for f in futures] == list(range(20))
        with pytest.raises(NotFound):
            writer.run(lambda reg: versions.get(reg, "nope"))
        assert writer.run(lambda reg: audit.verify(reg).ok)
        assert len(set(order)) == 1 != threading.get_ident()
        with pytest.raises(RuntimeError):
            writer.run(lambda reg: writer.run(lambda again: None))
        last = writer.submit(act(99))
    assert last.result() == 99  # closing does what was handed in
    with pytest.raises(Cancelled):
        writer.submit(act(1))
    readers = Readers()
    newest = audit.entries(readers.registry(), limit=1)[0]
    assert newest.who == "ada" and newest.origin.endswith("/app")
    assert readers.registry() is readers.registry()


def test_the_writer_can_be_interrupted() -> None:
    started = threading.Event()

    def endless(reg: Registry) -> None:
        with reg.writing():
            sources.upsert_many(reg, [{"source_id": "doc:undone"}])
            reg.conn.set_progress_handler(lambda: started.set(), 1000)
            reg.value("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                      " SELECT max(i) FROM n")  # fmt: skip

    with Writer() as writer:
        future = writer.submit(endless)
        assert started.wait(30)
        writer.interrupt()
        with pytest.raises(Cancelled):
            future.result(30)
        with pytest.raises(NotFound):
            writer.run(lambda reg: sources.get(reg, "doc:undone"))


def test_the_operators_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tui.cli.root import run

    path = locations.registry_path()
    prepare(path)
    assert run(["registry", "check"]) == 0
    assert run(["registry", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["sound"] is True
    assert run(["registry", "backup"]) == 0
    copy = Path(capsys.readouterr().out.strip())
    assert run(["registry", "restore", str(copy)]) == 2
    assert copy.name in capsys.readouterr().err
    assert run(["registry", "restore", str(copy), "--confirm", copy.name]) == 0
    assert run(["registry", "vacuum"]) == 0
    assert run(["registry", "sync"]) == 2  # not shared
    capsys.readouterr()
    assert run(["audit", "verify"]) == 0
    head = capsys.readouterr().out.split()[-1]
    assert run(["audit", "verify", "--against", head]) == 0
    assert run(["audit", "verify", "--against", "9999:" + "a" * 64]) == 5
    assert run(["audit", "verify", "--against", "nonsense"]) == 2
    capsys.readouterr()
    assert run(["audit", "list", "--json", "--limit", "3"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = {"seq", "at", "who", "origin", "action", "subject", "before", "after", "why", "hash"}
    assert len(rows) == 3 and set(rows[0]) == keys
    assert run(["registry", "status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shared_with"] is None and found["audit"] == head and len(found["backups"]) == 2
    with open_registry() as reg:
        damage(reg, "UPDATE audit SET why = 'x' WHERE seq = 3")
    assert run(["registry", "check"]) == 5 and run(["audit", "verify"]) == 5
    assert "row 3" in capsys.readouterr().err


def test_a_shared_registry_takes_seed_files_over_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configs of two laptops may differ: they must not overwrite each other with every opening."""
    from core.registry import seed
    from core.registry.marks import Mark, write_mark
    from tui.cli.root import run

    open_registry().close()
    monkeypatch.setattr(seed, "_fingerprint", lambda: "another file")
    write_mark(locations.registry_path(), Mark("gh200"))
    with open_registry() as reg:
        assert not seed.seeds_are_current(reg)
    assert run(["registry", "seed"]) == 0
    with open_registry() as reg:
        assert seed.seeds_are_current(reg)


def test_an_older_file_migrates_with_a_backup(tmp_path: Path) -> None:
    """Of a registry with only the first schema: nothing of it is lost, counts get their replica."""
    from sqlite_utils import Database

    from core.registry.migrations import migrations

    path = tmp_path / "old.db"
    conn = sqlite3.connect(path)
    migrations.apply(Database(conn), stop_before=opening.MIGRATIONS[1])
    conn.execute("INSERT INTO unknown_sources (source_id, occurrences, first_seen, last_seen,"
                 " example) VALUES ('doc:x', 7, 'a', 'b', '')")  # fmt: skip
    conn.commit()
    conn.close()
    with open_registry(path, seed=False) as reg:
        row = reg.one("SELECT c.occurrences, c.replica = r.id FROM unknown_counts c, replica r")
        assert row is not None and tuple(row) == (7, 1)
        sources.note_unknown(reg, "doc:x", occurrences=2)
        assert reg.value("SELECT occurrences FROM unknown_counts") == 9
        assert maintenance.check(reg) == ()
    (backup,) = path.parent.glob("old.db.before-*.bak")
    with sqlite3.connect(backup) as old:
        assert old.execute("SELECT occurrences FROM unknown_sources").fetchone() == (7,)
    assert backup.stat().st_mode & 0o077 == 0
