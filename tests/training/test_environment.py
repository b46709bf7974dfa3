"""The process of a run: offline, quiet, and considerate of its neighbours."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import locations
from core.training import environment

ROOT = str(locations.project_root())


def test_busy_share_sees_a_neighbour() -> None:
    if not Path("/proc/stat").exists():
        assert environment.busy_share() == 0.0
        return
    spin = "import sys\nprint(flush=True)\nwhile True: pass"
    command = [sys.executable, "-c", spin]
    neighbours = [
        subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(environment.usable_cpus())
    ]
    try:
        for n in neighbours:
            assert n.stdout and n.stdout.readline()
        assert environment.busy_share(0.5) > 0.5
    finally:
        for n in neighbours:
            n.kill()
            n.communicate()


def test_busy_share_leaves_out_what_is_done_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 ticks half were idle and 30 were this process's own: others had 20."""
    tick = 1 / os.sysconf("SC_CLK_TCK")
    done: list[int] = []
    times = iter([[0] * 8, [50, 0, 0, 50, 0, 0, 0, 0]])
    own = iter([1.0, 1.0 + 30 * tick])
    monkeypatch.setattr(environment, "_cpu_times", lambda: next(times))
    monkeypatch.setattr(environment.time, "process_time", lambda: next(own))
    share = environment.busy_share(0.0, meanwhile=lambda: done.append(1))
    assert done == [1] and share == pytest.approx(0.2)


def test_what_is_imported_meanwhile_brings_no_torch() -> None:
    """torch reads the settings of its threads when it is imported."""
    code = "import sys; from core.training import run; run._import_light(); print('torch' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": ROOT}
    out = subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True)
    assert out.stdout.split() == ["False"], out.stderr


def test_importing_leaves_the_collector_as_it_was() -> None:
    gc.enable()
    with environment.importing():
        assert not gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() > 0
    gc.disable()
    with environment.importing():
        pass
    assert not gc.isenabled()
    gc.enable()
    gc.unfreeze()


def test_waiting_is_passive_beside_others_only() -> None:
    assert environment._waiting(0.5) == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert "GOMP_SPINCOUNT" in environment._waiting(0.05)


def test_what_the_operator_set_is_kept_and_the_hub_is_off() -> None:
    code = (
        "import os; from core.training import environment; environment.prepare();"
        "print(os.environ['OMP_NUM_THREADS'], os.environ['GOMP_SPINCOUNT'],"
        "'OMP_WAIT_POLICY' in os.environ, os.environ['HF_HUB_OFFLINE'])"
    )
    env = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "7"}
    env.pop("OMP_WAIT_POLICY", None)
    out = subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True)
    assert out.stdout.split() == ["1", "7", "False", "1"], out.stderr
