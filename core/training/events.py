"""What a run tells while it goes: one event and one readable line a logged step."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from core.jobdir import EventWriter
from core.training import checkpoints, distributed
from core.training.environment import memory_bytes
from core.training.failures import LossWatch
from core.training.signals import StopRequest


class Narrator:
    """Phases, notes and warnings to both the event file and standard output."""

    def __init__(self, events: EventWriter) -> None:
        self.events = events

    def say(self, text: str) -> None:
        if distributed.is_main():
            print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

    def phase(self, name: str, text: str, **more: Any) -> None:
        self.events.phase(name, **more)
        self.say(text)

    def warn(self, text: str) -> None:
        self.events.warning(text)
        self.say(f"WARNING  {text}")


class Progress(TrainerCallback):  # type: ignore[misc]
    """Emits a metric event per logged step, marks checkpoints complete, obeys a stop request.

    tokens_seen: a function giving the tokens processed so far by this process.  aside_s: seconds spent
    so far on something else than steps; ahead_s: of the same, still to come.
    """

    def __init__(
        self,
        narrator: Narrator,
        stop: StopRequest,
        tokens_seen: Callable[[], int],
        fingerprint: str,
        aside_s: Callable[[], float] = lambda: 0.0,
        ahead_s: Callable[[Any], float] = lambda state: 0.0,
    ) -> None:
        self._narrator = narrator
        self._aside_s, self._ahead_s = aside_s, ahead_s
        self._stop = stop
        self._tokens_seen = tokens_seen
        self._fingerprint = fingerprint
        # the last few (time, step, tokens): speed as it is now, not as it was at the start
        self._recent: deque[tuple[float, int, int]] = deque(maxlen=20)
        self._watch = LossWatch()
        self.losses: list[float] = []
        self.saved_step: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._note(state.global_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kw: Any
    ) -> None:
        if not logs or "loss" not in logs:
            return
        step, loss = state.global_step, float(logs["loss"])
        norm = logs.get("grad_norm")
        norm = None if norm is None else float(norm)
        self._note(step)
        tokens_per_s, eta_s = self._speed(state.max_steps - step)
        if eta_s is not None:
            eta_s = round(eta_s + self._ahead_s(state), 1)
        self.losses.append(loss)
        self._narrator.events.metric(
            step,
            max_steps=state.max_steps,
            epoch=round(float(state.epoch or 0), 3),
            loss=loss,
            lr=float(logs.get("learning_rate", 0.0)),
            grad_norm=norm,
            tokens_per_s=tokens_per_s,
            eta_s=eta_s,
            memory_bytes=memory_bytes(),
        )
        width = len(str(state.max_steps))
        self._narrator.say(
            f"step {step:>{width}}/{state.max_steps}  epoch {float(state.epoch or 0):.2f}  "
            f"loss {loss:.4f}  lr {float(logs.get('learning_rate', 0.0)):.2e}  "
            f"{tokens_per_s or 0:.0f} tok/s  ETA {_clock(eta_s)}"
        )
        wrong = self._watch.see(step, loss, norm)
        if wrong is not None:
            raise wrong

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if distributed.any_of(self._stop.asked) and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        distributed.meet()  # each process keeps a part of its own there
        if distributed.is_main():
            checkpoints.seal(path, self._fingerprint)
        self.saved_step = state.global_step
        self._narrator.events.checkpoint(state.global_step, str(path))

    def _note(self, step: int) -> None:
        self._recent.append((time.monotonic() - self._aside_s(), step, self._tokens_seen()))

    def _speed(self, steps_left: int) -> tuple[float | None, float | None]:
        (t0, s0, n0), (t1, s1, n1) = self._recent[0], self._recent[-1]
        if t1 <= t0 or s1 <= s0:
            return None, None
        tokens = (n1 - n0) * distributed.world_size()
        return round(tokens / (t1 - t0), 1), round((t1 - t0) / (s1 - s0) * steps_left, 1)


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
