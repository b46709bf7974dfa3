"""nvidia-smi lines and the live figures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.agent.gauges import WANTED, gpu_fields
from remote.readings import (
    MIB,
    GpuProcess,
    Reading,
    Readings,
    number,
    parse_gpu,
    parse_processes,
    parse_record,
    throttle_of,
)
from remote.route import Route
from tests import fake_smi
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
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("cpu", "fields", "gpu", "at", "processes"), json_values)
    )
)
def test_no_record_breaks_the_parser(record: dict[str, Any]) -> None:
    cpu, gpus = parse_record(json.dumps(record).encode(), 1.0)
    parse_processes(json.dumps(record).encode())
    assert cpu is None or cpu.kind == "cpu"
    assert all(g.kind == "gpu" for g in gpus)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    parse_record(data, 0.0)
    parse_processes(data)


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


@pytest.fixture
def card(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    smi = fake_smi.install(tmp_path / "bin", request.param)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")
    yield request.param


@pytest.mark.parametrize("card", ["gh200"], indirect=True)
def test_a_gh200_in_full(local: Local, card: str) -> None:
    readings = Readings(local, interval=0.1).start()
    until(lambda: (r := readings.latest()) is not None and r.kind == "gpu")
    until(lambda: readings.processes())
    gpu, cpu = readings.all()
    assert (gpu.name, gpu.utilisation, gpu.memory_used) == ("NVIDIA GH200 480GB", 0.92, 62668 * MIB)
    assert (gpu.power_w, gpu.power_limit_w, gpu.clock_mhz) == (412.3, 900.0, 1980.0)
    assert gpu.throttle == ("power cap", "too hot (hardware)") and gpu.ecc_errors == 0
    assert readings.processes() == (
        GpuProcess(4711, "/opt/env/bin/python", 62140 * MIB),
        GpuProcess(4712, "/home/x/a, b/python", None),
    )
    assert cpu.kind == "cpu"
    readings.stop()


@pytest.mark.parametrize("card", ["h100_mig", "old"], indirect=True)
def test_what_a_card_or_driver_does_not_tell_is_left_out(local: Local, card: str) -> None:
    readings = Readings(local, interval=0.1).start()
    until(lambda: (r := readings.latest()) is not None and r.kind == "gpu")
    gpu = readings.all()[0]
    if card == "h100_mig":
        assert gpu.utilisation is None and gpu.memory_used is None and gpu.ecc_errors == 2
    else:
        assert gpu.throttle == ("hardware slowdown",)
    readings.stop()


@pytest.mark.parametrize("card", ["lost", "garbage"], indirect=True)
def test_a_sick_gpu_leaves_the_cpu_figures(local: Local, card: str) -> None:
    readings = Readings(local, interval=0.1).start()
    until(lambda: (r := readings.latest()) is not None and r.utilisation is not None)
    assert [r.kind for r in readings.all()] == ["cpu"]
    readings.stop()


def test_reasons_for_slow_clocks() -> None:
    assert throttle_of("0x0000000000000000") == () == throttle_of("[N/A]") == throttle_of(None)
    assert throttle_of("0x0000000000000001") == (), "idling is no throttling"
    assert throttle_of("0x00000000000000E8")[0] == "hardware slowdown"
