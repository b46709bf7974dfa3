"""kill -9 at any moment: nothing that was acknowledged is lost. At every statement: faults/test_killed."""

from __future__ import annotations

import signal
import subprocess
import sys
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
