"""A registry with something of everything in it, and killing a process at a statement of SQLite."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from core.jobdir import JobSpec
from core.registry import (
    Registry,
    checklist,
    evaluations,
    jobs,
    maintenance,
    open_registry,
    snapshots,
    sources,
    versions,
)
from core.snapshots import freeze
from tests.core.conftest import make_pair, make_scores

Act = Callable[[Registry], object]
State = dict[str, list[tuple[object, ...]]]
_CLOCK = re.compile(r"^(at|.*_at|hash|prev_hash|first_seen|last_seen|applied_at)$")


def prepare(path: Path) -> list[str]:
    """Production: the first version; staging: the second after the first; the third evaluated."""
    with open_registry(path, operator="tester") as reg:
        pairs = [make_pair(n) for n in range(3)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        names = []
        for _ in range(3):
            v = versions.register(
                reg, base_model="b", dataset_version=snapshot.id, training_config={}
            )
            evaluations.save(reg, v.model_version, make_scores())
            names.append(v.model_version)
        versions.promote(reg, names[0], "production", "x", "x", "GO")
        for name in names[:2]:
            versions.promote(reg, name, "staging", "x", "x", "GO")
        sources.note_unknown(reg, "doc:unknown")
        jobs.record(reg, JobSpec("train-1", "train", []), "gh200")
        checklist.add_evidence(reg, checklist.items(reg)[0].id, "pass", "looked at")
        reg.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return names


def killed_at(statement: int, path: Path, act: Act) -> bool:
    """Run `act` in a child that is killed when its n-th statement begins. False: it got through."""
    pid = os.fork()
    if pid == 0:
        try:
            reg = open_registry(path, operator="tester")
            count = 0

            def trace(_sql: str) -> None:
                nonlocal count
                count += 1
                if count == statement:
                    os.kill(os.getpid(), signal.SIGKILL)

            reg.conn.set_trace_callback(trace)
            act(reg)
            os._exit(0)
        except BaseException as e:
            os.write(2, repr(e).encode())
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"statement {statement}"
    return os.WIFSIGNALED(status)


def fresh(prepared: Path, target: Path) -> Path:
    """A copy to break."""
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    shutil.copy(prepared, target)
    return target


def state_of(path: Path) -> State:
    """Every row of every table without what the clock decides, after checking that all is sound."""
    with open_registry(path, seed=False) as reg:
        assert maintenance.check(reg) == ()
        return rows_of(reg)


def rows_of(reg: Registry) -> State:
    found: State = {}
    tables = reg.rows("SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main'")
    for (name,) in tables:
        if name.startswith(("sqlite_", "_sqlite")) or name == "meta":
            continue
        columns = [r["name"] for r in reg.rows(f"PRAGMA table_info({name})")]
        kept = ", ".join(f'"{c}"' for c in columns if not _CLOCK.match(c))
        found[name] = sorted((tuple(r) for r in reg.rows(f"SELECT {kept} FROM {name}")), key=repr)
    return found
