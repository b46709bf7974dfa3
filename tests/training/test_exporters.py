"""Steps beside the run's own events: all of them, live and afterwards, and never at the run's cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.errors import MissingComponent
from core.jobdir import EventWriter, read_events
from core.training import exporters, run
from tests.conftest import require

STAND_INS = {
    # writes what it is told as lines, in place of the packages' own formats
    "tensorboard/summary.py": """
        import json, pathlib
        class Writer:
            def __init__(self, folder):
                self.file = (pathlib.Path(folder) / "scalars.jsonl").open("a")
            def add_scalar(self, tag, data, step, *, wall_time=None):
                self.file.write(json.dumps([tag, data, step, wall_time]) + "\\n")
            def flush(self): self.file.flush()
            def close(self): self.file.close()
    """,
    "wandb.py": """
        import json, pathlib
        def Settings(**kw): return kw
        class Run:
            def __init__(self, **kw):
                self.folder = pathlib.Path(kw["dir"])
                (self.folder / "init.json").write_text(json.dumps(kw))
            def log(self, values, step):
                with (self.folder / "log.jsonl").open("a") as f:
                    f.write(json.dumps([step, values]) + "\\n")
            def finish(self): (self.folder / "finished").touch()
        init = Run
    """,
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both packages, importable here and in child processes."""
    import textwrap

    root = tmp_path / "site"
    (root / "tensorboard").mkdir(parents=True)
    (root / "tensorboard" / "__init__.py").touch()
    for name, text in STAND_INS.items():
        (root / name).write_text(textwrap.dedent(text))
    for name in [n for n in sys.modules if n.split(".")[0] in ("wandb", "tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{locations.project_root()}")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return root


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    for name in [n for n in sys.modules if n.split(".")[0] in ("wandb", "tensorboard")]:
        del sys.modules[name]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def a_run(path: Path, steps: int = 3) -> Path:
    writer = EventWriter(path)
    writer.phase("train")
    for n in range(1, steps + 1):
        writer.metric(n, max_steps=steps, loss=1.0 / n, lr=1e-4, grad_norm=None, eta_s=1.0)
    writer.emit("probe", step=steps, recall={"k": 3, "n": 4}, fabricated={"k": 0, "n": 0})
    writer.result(routine="train")
    writer.close()
    return path


def test_every_step_of_a_run_arrives_while_it_goes(
    packages: Path, request_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporters, "LOOK_S", 0.05)
    request = request_for("both", "train.epochs=2", "train.export=[tensorboard, wandb]")
    assert run.train(request) == 0
    steps = [e for e in read_events(request.events)[0] if e["kind"] == "metric"]
    scalars = lines(request.out / "tensorboard" / "scalars.jsonl")
    losses = [[s, v] for tag, v, s, _ in scalars if tag == "train/loss"]
    assert losses == [[e["step"], e["loss"]] for e in steps]
    assert [at for tag, _, _, at in scalars if tag == "train/loss"] == [e["t"] for e in steps]
    told = lines(request.out / "wandb" / "log.jsonl")
    assert [s for s, _ in told] == [e["step"] for e in steps]
    assert (request.out / "wandb" / "finished").exists()


def test_afterwards_from_the_events_alone(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "train-7").mkdir()
    events = a_run(tmp_path / "train-7" / "events.jsonl")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "core.training.exporters", str(events)]
    done = subprocess.run(
        [*command, "--to", "tensorboard", "--to", "wandb", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    tags = {tag for tag, *_ in lines(out / "tensorboard" / "scalars.jsonl")}
    assert tags == {"train/loss", "train/lr", "probe/recall"}  # no share of no questions
    init = json.loads((out / "wandb" / "init.json").read_text())
    assert (init["id"], init["resume"], init["mode"]) == ("train-7", "allow", "offline")


READ_BACK = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0})
found.Reload()
print(json.dumps({
    tag: [[t.step, t.wall_time, float(t.tensor_proto.float_val[0])] for t in found.Tensors(tag)]
    for tag in found.Tags()["tensors"]
}))
"""


def test_the_real_tensorboard_reads_every_step_back(tmp_path: Path) -> None:
    require(find_spec("tensorboard") is not None, "tensorboard (the extra `export`)")
    events = a_run(tmp_path / "events.jsonl", 25)  # more than its reader keeps by default
    command = ["-m", "core.training.exporters", str(events), "--to", "tensorboard", "--out"]
    asked = {"capture_output": True, "text": True, "timeout": 120, "check": True}
    subprocess.run([sys.executable, *command, str(tmp_path / "out")], **asked)  # type: ignore[call-overload]
    folder = str(tmp_path / "out" / "tensorboard")
    done = subprocess.run([sys.executable, "-c", READ_BACK, folder], **asked)  # type: ignore[call-overload]
    found = json.loads(done.stdout)
    steps = [e for e in read_events(events)[0] if e["kind"] == "metric"]
    assert set(found) == {"train/loss", "train/lr", "probe/recall"}
    for step, (number, at, loss) in zip(steps, found["train/loss"], strict=True):
        assert (number, loss) == (step["step"], pytest.approx(step["loss"]))
        assert at == pytest.approx(step["t"], abs=0.01)
    assert [(n, v) for n, _, v in found["probe/recall"]] == [(25, 0.75)]


def test_a_key_stays_in_the_environment(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exporters._wandb_mode({"WANDB_API_KEY": "k"}) == "online"
    assert exporters._wandb_mode({"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}) == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "very-secret")
    exporters.Wandb(tmp_path / "w", "one", {"a": 1}).close()
    written = "".join(
        p.read_text() for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".py"
    )
    assert "very-secret" not in written and '"mode": "online"' in written


def test_a_package_that_is_not_there_is_named_before_anything_is_loaded(
    request_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporters, "find_spec", lambda name: None)
    request = request_for("none", "train.export=[wandb]")
    with pytest.raises(MissingComponent, match="wandb, which is not installed") as e:
        run.train(request)
    assert "train.export=[]" in e.value.try_next
    assert not [x for x in read_events(request.events)[0] if x["kind"] == "phase"]


class Breaks:
    """Takes one step and fails at the second."""

    def __init__(self) -> None:
        self.taken = 0

    def add(self, step: int, values: Mapping[str, float], at: float) -> None:
        self.taken += 1
        if self.taken == 2:
            raise RuntimeError("the server hung up")

    def close(self) -> None:
        raise AssertionError("a failed exporter is not asked again")


class Counts(Breaks):
    def add(self, step: int, values: Mapping[str, float], at: float) -> None:
        self.taken += 1

    def close(self) -> None:
        self.taken += 100


def test_one_that_fails_is_left_out_and_the_other_goes_on(tmp_path: Path) -> None:
    bad, good = Breaks(), Counts()
    following = exporters.Exporting(
        a_run(tmp_path / "e.jsonl", 5), {"wandb": lambda: bad, "tensorboard": lambda: good}
    )
    assert following.start().close() == ["wandb gets no more steps: the server hung up"]
    assert (bad.taken, good.taken) == (2, 106)  # five steps, one probe, closed


def test_a_run_that_goes_on_hands_on_its_own_steps_only(packages: Path, tmp_path: Path) -> None:
    events = a_run(tmp_path / "events.jsonl")
    following = exporters.start(["tensorboard"], events, tmp_path / "job" / "artifacts", config={})
    assert following
    writer = EventWriter(events)
    writer.metric(4, loss=0.25)
    writer.close()
    assert following.close() == []
    found = lines(tmp_path / "job" / "artifacts" / "tensorboard" / "scalars.jsonl")
    assert [s for _, _, s, _ in found] == [4]


def test_what_is_no_number_is_not_handed_on() -> None:
    assert exporters.numbers({"kind": "metric", "step": 3, "loss": float("nan")}) is None
    assert exporters.numbers({"kind": "metric", "step": True, "loss": 1.0}) is None
    assert exporters.numbers({"kind": "phase", "step": 3, "loss": 1.0}) is None
    assert exporters.numbers({"kind": "metric", "step": 3, "loss": 1, "text": "x", "ok": True}) == (
        3,
        {"train/loss": 1.0},
    )
