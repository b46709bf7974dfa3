"""nvidia-smi lines and the live figures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.agent.gauges import WANTED, gpu_fields
from remote.readings import MIB, Reading, Readings, number, parse_gpu, parse_record
from remote.route import Route
from tests.remote.local import Local, until

FIELDS = ["index", "name", "utilization.gpu", "memory.used", "memory.total", "power.draw",
          "temperature.gpu"]  # fmt: skip


def test_a_healthy_line() -> None:
    line = "0, NVIDIA GH200 480GB, 87, 50000, 97871, 340.25, 61\n"
    assert parse_gpu(line, FIELDS, 5.0) == Reading(
        "gpu", "NVIDIA GH200 480GB", 0.87, 50000 * MIB, 97871 * MIB, 340.25, 61.0, 5.0, 0
    )


def test_what_the_driver_does_not_know_is_none() -> None:
    line = "1, NVIDIA A100, [N/A], [Not Supported], 40960, [Unknown Error], N/A"
    got = parse_gpu(line, FIELDS)
    assert got is not None and got.index == 1
    assert (got.utilisation, got.memory_used, got.power_w, got.temperature_c) == (None,) * 4
    assert got.memory_total == 40960 * MIB


@pytest.mark.parametrize(
    "line",
    ["", "0", "Unable to determine the device handle for GPU0: Unknown Error",
     "0, A, 1, 2, 3, 4", "0, A, 1, 2, 3, 4, 5, 6"],
)  # fmt: skip
def test_a_line_of_another_form_is_dropped(line: str) -> None:
    assert parse_gpu(line, FIELDS) is None


def test_names_are_made_harmless_and_figures_kept_in_bounds() -> None:
    got = parse_gpu("0, \x1b]0;evil\x07 GPU\x9b2J, 180, 1e400, nan, -1, inf", FIELDS)
    assert got is not None and got.utilisation == 1.0
    assert not any(c in got.name for c in "\x1b\x07\x9b")
    assert (got.memory_used, got.memory_total, got.temperature_c) == (None, None, None)


@given(st.text(max_size=200), st.lists(st.sampled_from(WANTED), unique=True))
def test_no_line_breaks_the_parser(line: str, fields: list[str]) -> None:
    got = parse_gpu(line, fields)
    assert got is None or got.utilisation is None or 0.0 <= got.utilisation <= 1.0


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("cpu", "fields", "gpu", "at"), json_values))
)
def test_no_record_breaks_the_parser(record: dict[str, Any]) -> None:
    cpu, gpus = parse_record(json.dumps(record).encode(), 1.0)
    assert cpu is None or cpu.kind == "cpu"
    assert all(g.kind == "gpu" for g in gpus)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    parse_record(data, 0.0)


def test_number() -> None:
    assert number(" 3.5 ") == 3.5 and number("7") == 7.0
    assert [number(x) for x in ("[N/A]", "", None, "nan", "inf", "1e99")] == [None] * 6


def test_only_fields_the_driver_knows_are_asked_for() -> None:
    text = '"index"\nIndex of the GPU.\n\n"name" or "gpu_name"\nName.\n"power.draw"\nPower.\n'
    assert gpu_fields(text) == ["index", "name", "power.draw"]
    assert gpu_fields("") == []


def test_cpu_figures_arrive_over_the_route_and_come_back_after_a_cut(
    pair: Any, route: Route
) -> None:
    readings = Readings(route, interval=0.1).start()
    assert readings.latest() is None or readings.latest()
    until(lambda: (r := readings.latest()) is not None and r.utilisation is not None)
    first = readings.latest()
    assert first is not None and first.kind == "cpu" and first.name
    assert first.memory_used and first.memory_total and first.memory_used < first.memory_total
    pair.cut()
    until(lambda: not route.alive)
    route.ensure()
    until(lambda: (r := readings.latest()) is not None and r.at > first.at + 0.5)
    readings.stop()
    assert not readings._thread.is_alive()


FAKE_SMI = """#!/bin/sh
case "$1" in
--help-query-gpu) for f in index name utilization.gpu memory.used memory.total; do
    echo "\\"$f\\""; echo "text"; done;;
*) while :; do echo "0, NVIDIA GH200 480GB, 50, 1000, 97871"; echo "1, Sick, [N/A], 1"
    sleep 0.1; done;;
esac
"""


def test_a_gpu_comes_first(local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(FAKE_SMI)
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")
    readings = Readings(local, interval=0.1)
    # the first attempt is made 30 s after start at most; here at once
    readings.start()
    until(lambda: (r := readings.latest()) is not None and r.kind == "gpu")
    gpu, cpu = readings.all()
    assert (gpu.name, gpu.utilisation, gpu.memory_used) == ("NVIDIA GH200 480GB", 0.5, 1000 * MIB)
    assert cpu.kind == "cpu"
    readings.stop()
