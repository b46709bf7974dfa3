"""kill -9 at any moment: nothing that was acknowledged is lost, nothing is half-done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import locations
from core.registry import Registry, evaluations, health, open_registry, snapshots, versions
from core.snapshots import freeze
from tests.core.conftest import Evaluated, make_pair, make_scores

LOOP = """
from core.registry import open_registry, evaluations, versions
from tests.core.conftest import make_scores
reg = open_registry(seed=False)
dataset = versions.list(reg)[-1].dataset_version
while True:
    v = versions.register(reg, base_model="base", dataset_version=dataset, training_config={})
    evaluations.save(reg, v.model_version, make_scores("NO-GO"))
    for environment in ("staging", "production"):
        d = versions.promote(reg, v.model_version, environment, "x", "x", "NO-GO", "loop")
        print(d.id, d.model_version, flush=True)
    d = versions.rollback(reg, "production", "x", "x")
    print(d.id, d.model_version, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 3, 5, 8, 13, 21])
def test_kill_9_in_a_loop_of_promotions(reg: Registry, evaluated: Evaluated, lines: int) -> None:
    for environment in ("staging", "production"):
        versions.promote(reg, evaluated(), environment, "x", "x", "GO")
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP],
        cwd=locations.project_root(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    told += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL
    with open_registry(seed=False) as again:
        assert health.check(again) == ()
        done = {d.id: d.model_version for d in versions.history(again)}
        for line in told:
            if line.endswith("\n"):
                number, name = line.split()
                assert done[int(number)] == name
        name = evaluated()
        versions.promote(again, name, "production", "x", "goes on", "GO")


def killed_at(statement: int, path: Path, act: Callable[[Registry], object]) -> bool:
    """Run `act` in a child that is killed when its n-th statement begins. False: it got through."""
    pid = os.fork()
    if pid == 0:
        try:
            reg = open_registry(path, seed=False)
            count = 0

            def trace(sql: str) -> None:
                nonlocal count
                count += 1
                if count == statement:
                    os.kill(os.getpid(), signal.SIGKILL)

            reg.conn.set_trace_callback(trace)
            act(reg)
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"statement {statement}"
    return os.WIFSIGNALED(status)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("what", ["promote", "rollback", "register", "evaluate", "freeze"])
def test_killed_between_any_two_statements(tmp_path: Path, what: str) -> None:
    path = tmp_path / "crash.db"
    first, second = prepared(path)
    pairs = [make_pair(n) for n in range(100, 105)]
    acts: dict[str, Callable[[Registry], object]] = {
        "promote": lambda r: versions.promote(r, second, "production", "x", "x", "GO"),
        "rollback": lambda r: versions.rollback(r, "staging", "x", "x"),
        "register": lambda r: versions.register(
            r, base_model="b", dataset_version=versions.list(r)[0].dataset_version,
            training_config={}),
        "evaluate": lambda r: evaluations.save(r, first, make_scores("NO-GO"), "again"),
        "freeze": lambda r: snapshots.save(r, freeze(pairs, created_at="2026-01-01"), pairs),
    }  # fmt: skip
    before = state_of(path)
    statement = 0
    while killed_at(statement := statement + 1, path, acts[what]):
        after = state_of(path)
        if after != before:  # the kill came after COMMIT had begun to take hold
            break
        assert statement < 500
    assert statement > 5
    if state_of(path) == before:
        pytest.fail("the act got through and changed nothing")


def prepared(path: Path) -> tuple[str, str]:
    """production: first; staging: second after first."""
    with open_registry(path, seed=False) as reg:
        pairs = [make_pair(n) for n in range(3)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        names = []
        for _ in range(2):
            v = versions.register(
                reg, base_model="b", dataset_version=snapshot.id, training_config={}
            )
            evaluations.save(reg, v.model_version, make_scores())
            names.append(v.model_version)
        versions.promote(reg, names[0], "production", "x", "x", "GO")
        for name in names:
            versions.promote(reg, name, "staging", "x", "x", "GO")
    return names[0], names[1]


def state_of(path: Path) -> tuple[object, ...]:
    """Everything that counts, after checking that it is sound."""
    with open_registry(path, seed=False) as reg:
        assert health.check(reg) == ()
        return (
            versions.list(reg),
            versions.history(reg),
            evaluations.list(reg),
            snapshots.list(reg),
            reg.value("SELECT count(*) FROM blobs"),
            reg.value("SELECT count(*) FROM audit"),
        )
