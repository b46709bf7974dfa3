"""A run's steps in TensorBoard or Weights & Biases as well. What is true stays in events.jsonl.

The events file is followed in a thread of its own and handed on; a training neither waits for an
exporter nor ends with one. The same afterwards, for a run that is over:

    python -m core.training.exporters RUN/events.jsonl --to tensorboard --out DIR

wandb gets a key from its own environment (WANDB_API_KEY, or its login), never from here. Without one it
writes to disk only (`wandb sync` sends that later), as it does with WANDB_MODE=offline.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from core.errors import MissingComponent, QAError, UsageError
from core.jobdir import read_events

NAMES = ("tensorboard", "wandb")
LOOK_S = 2.0
DRAIN_S = 30.0  # at the end: a network that does not answer must not hold the accelerator
PROJECT = "access-qa-control"
COUNTERS = frozenset({"t", "kind", "step", "max_steps", "eta_s"})


class Sink(Protocol):
    """Takes numbers by name. step: the optimizer's.  at: Unix seconds."""

    def add(self, step: int, values: Mapping[str, float], at: float) -> None: ...
    def close(self) -> None: ...


class TensorBoard:
    def __init__(self, folder: Path) -> None:
        from tensorboard.summary import Writer

        folder.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(str(folder))

    def add(self, step: int, values: Mapping[str, float], at: float) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, wall_time=at)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class Wandb:
    """One run, named as the training is; the same one again when a stopped training goes on."""

    def __init__(self, folder: Path, run: str, config: Mapping[str, Any]) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_meta=True
        )
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run,
            name=run,
            resume="allow",
            dir=str(folder),
            config=dict(config),
            mode=_wandb_mode(os.environ),
            settings=quiet,
        )

    def add(self, step: int, values: Mapping[str, float], at: float) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


def _wandb_mode(env: Mapping[str, str]) -> str:
    if env.get("WANDB_MODE"):
        return env["WANDB_MODE"]
    return "online" if env.get("WANDB_API_KEY") else "offline"


def numbers(event: Mapping[str, Any]) -> tuple[int, dict[str, float]] | None:
    """(step, values by name) of an event that has any. A share {"k", "n"} becomes k / n."""
    kind, step = event.get("kind"), event.get("step")
    if kind not in ("metric", "probe") or isinstance(step, bool) or not isinstance(step, int):
        return None
    group = "train" if kind == "metric" else "probe"
    found = {f"{group}/{name}": value for name, value in _values(event)}
    return (step, found) if found else None


def _values(event: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in event.items():
        if name in COUNTERS or isinstance(value, bool):
            continue
        if isinstance(value, dict) and isinstance(value.get("n"), int) and value["n"] > 0:
            value = value.get("k", 0) / value["n"]
        if isinstance(value, int | float) and math.isfinite(value):
            yield name, float(value)


class Exporting:
    """Hands on what is written to an events file, from `offset` on, until it is closed."""

    def __init__(
        self, events: Path, makers: Mapping[str, Callable[[], Sink]], offset: int = 0
    ) -> None:
        """makers: called at the first number, in the thread, when everything else is loaded."""
        self._events, self._makers, self._offset = events, dict(makers), offset
        self._sinks: dict[str, Sink] = {}
        self._faults: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="exporters", daemon=True)

    def start(self) -> Exporting:
        self._thread.start()
        return self

    def close(self) -> list[str]:
        """What is in the file by now is handed on; what went wrong, in words. Takes DRAIN_S at most."""
        self._over.set()
        self._thread.join(DRAIN_S)
        if self._thread.is_alive():
            self._faults.append(f"exporters did not finish within {DRAIN_S:.0f} s")
        return list(self._faults)

    def _follow(self) -> None:
        while not self._over.wait(LOOK_S):
            self._hand_on()
        self._hand_on()
        for name in list(self._sinks):
            self._guarded(name, self._sinks[name].close)

    def _hand_on(self) -> None:
        events, self._offset = read_events(self._events, self._offset)
        for event in events:
            found = numbers(event)
            if found is None:
                continue
            for name in list(self._makers):
                self._guarded(name, self._adding(name, *found, event))

    def _adding(
        self, name: str, step: int, values: Mapping[str, float], event: Mapping[str, Any]
    ) -> Callable[[], None]:
        return lambda: self._sink(name).add(step, values, float(event.get("t") or 0.0))

    def _sink(self, name: str) -> Sink:
        if name not in self._sinks:
            self._sinks[name] = self._makers[name]()
        return self._sinks[name]

    def _guarded(self, name: str, action: Callable[[], None]) -> None:
        """An exporter that fails is left out from then on, whatever it raises."""
        try:
            action()
        except Exception as e:
            said = str(e).splitlines()[0][:200] if str(e) else type(e).__name__
            self._faults.append(f"{name} gets no more steps: {said}")
            self._makers.pop(name, None)
            self._sinks.pop(name, None)


def start(
    names: Sequence[str], events: Path, out: Path, *, config: Mapping[str, Any]
) -> Exporting | None:
    """Follow the events of a run that begins now; None if nothing is asked for. out: of the run.

    A run that goes on from a checkpoint hands on its own steps; those before are there already.
    Raises MissingComponent for a package that is not installed.
    """
    if not names:
        return None
    makers = _makers(names, out, run_name(out), config)
    offset = events.stat().st_size if events.is_file() else 0
    return Exporting(events, makers, offset).start()


def run_name(out: Path) -> str:
    """That of the job whose artifacts these are, else of the folder."""
    out = out.resolve()
    return out.parent.name if out.name == "artifacts" else out.name


def _makers(
    names: Sequence[str], out: Path, run: str, config: Mapping[str, Any]
) -> dict[str, Callable[[], Sink]]:
    for name in names:
        if name not in NAMES:
            raise UsageError(f"no exporter {name!r}", try_next=f"one of: {', '.join(NAMES)}")
        if find_spec(name) is None:
            raise MissingComponent(
                f"steps are to go to {name}, which is not installed on this host",
                why="the run's own events need nothing; this is beside them",
                try_next="pip install -c constraints.txt -e '.[export]', or --set train.export=[]",
            )
    known: dict[str, Callable[[], Sink]] = {
        "tensorboard": lambda: TensorBoard(out / "tensorboard"),
        "wandb": lambda: Wandb(out / "wandb", run, config),
    }
    return {name: known[name] for name in dict.fromkeys(names)}


def main(argv: Sequence[str] | None = None) -> int:
    p = argparse.ArgumentParser(
        prog="python -m core.training.exporters",
        description="Hand the steps of a finished run to TensorBoard or Weights & Biases.",
    )
    p.add_argument("events", type=Path, help="events.jsonl of a run")
    p.add_argument("--to", action="append", required=True, choices=NAMES, help="may be repeated")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="receives its files")
    args = p.parse_args(argv)
    try:
        if not args.events.is_file():
            raise UsageError(f"{args.events}: no such file", try_next="name a run's events.jsonl")
        name = run_name(args.events.parent)
        faults = Exporting(args.events, _makers(args.to, args.out, name, {})).start().close()
    except QAError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    for text in faults:
        print(text, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
