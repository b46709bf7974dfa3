"""The probe inside the training loop: when it is due, what it tells, and whether the run goes on."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from core.training import distributed, stop_rule
from core.training.events import Narrator
from core.training.forgetting import change
from core.training.probe import COUNTS, Count, Probe, Prober
from core.training.probe_history import History
from core.training.recipe import Recipe
from core.training.signals import StopRequest

if TYPE_CHECKING:
    from core.evaluation.generate import Generator

BEST = "best"  # link to the best checkpoint, beside the checkpoints


def epochs_between(every: str) -> int:
    """ "epoch" → 1, "3 epochs" → 3."""
    return int(every.split()[0]) if every != "epoch" else 1


def due(every: str | int, step: int, epoch: float, last: bool) -> bool:
    """Whether to probe after this optimizer step. The last step is always probed."""
    if not every:
        return False
    if isinstance(every, int):
        return last or step % every == 0
    return last or (epoch > 0 and epoch % epochs_between(every) == 0)


class Probing(TrainerCallback):  # type: ignore[misc]
    """Goes before `Progress` in the list of callbacks, so that a seal covers what is written here.

    prober, engine: None in all processes but the first; the others only hear what was decided.
    table: the file of `History.write_table`.  resumed: the checkpoint the run goes on from.  done: the
    rule has ended the run.  seconds: spent on probes so far.
    """

    def __init__(
        self,
        prober: Prober | None,
        engine: Generator | None,
        history: History,
        recipe: Recipe,
        narrator: Narrator,
        stop: StopRequest,
        table: Path,
        resumed: Path | None = None,
    ) -> None:
        self._prober, self._engine = prober, engine
        self._resumed = resumed
        self.history = history
        self._part, self._rule = recipe.probe, recipe.stop
        self._narrator, self._stop, self._table = narrator, stop, table
        self._began = time.monotonic()
        self.seconds = 0.0
        standing = self.standing
        self.done = standing is not None and standing.stop

    @property
    def standing(self) -> stop_rule.Standing | None:
        return stop_rule.standing(self.history.scores, self._rule)

    @property
    def keeps_best(self) -> bool:
        return self._rule.rule == "recall"

    def ahead_s(self, state: Any) -> float:
        """Seconds the probes still to come will take, if they take as long as those so far."""
        if not self.history.probes:
            return 0.0
        every = self._part.every
        if isinstance(every, int):
            left = int(state.max_steps) // every - int(state.global_step) // every
        else:
            between = epochs_between(every)
            left = int(state.num_train_epochs) // between - int(state.epoch or 0) // between
        each = sum(p.seconds for p in self.history.probes) / len(self.history.probes)
        return each * max(0, left)

    # -- called by the training loop -----------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self._began = time.monotonic()
        if self.history.best:
            state.best_model_checkpoint = self.history.best
        if self._resumed is not None and distributed.any_of(self.history.pending is not None):
            step, epoch = self.history.pending or (0, 0.0)
            self._probe(state, control, step, epoch, self._resumed)
        return control

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        step, epoch = state.global_step, float(state.epoch or 0)
        if due(self._part.every, step, epoch, step >= state.max_steps):
            self._probe(state, control, step, epoch, _checkpoint(args, step))
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._prober is None:
            return
        checkpoint = _checkpoint(args, state.global_step)
        self.history.save(checkpoint)
        if self.history.best == str(checkpoint):
            _link(checkpoint)

    # -- one probe -----------------------------------------------------------------------------

    def _probe(self, state: Any, control: Any, step: int, epoch: float, checkpoint: Path) -> None:
        """checkpoint: where the model is saved as it is now, if it is."""
        best = self.history.best
        if self._prober is not None and self._engine is not None:
            self._ask(self._prober, self._engine, state, step, epoch, checkpoint)
        if distributed.any_of(self.history.best != best):
            control.should_save = True
        if distributed.any_of(self.done):
            self.done = True
            control.should_save = control.should_training_stop = True

    def _ask(
        self,
        prober: Prober,
        engine: Generator,
        state: Any,
        step: int,
        epoch: float,
        checkpoint: Path,
    ) -> None:
        began = time.monotonic()
        probe = None
        if not self._stop.asked:
            probe = prober.ask(engine, step, epoch, lambda: self._stop.asked)
        self.seconds += time.monotonic() - began
        self.history.pending = (step, epoch) if probe is None else None
        if probe is None:
            return
        self.history.probes.append(probe)
        standing = self.standing
        self._tell(probe, standing)
        if standing is None or not self.keeps_best:
            return
        if standing.best_step == step:
            self.history.best = str(checkpoint)
            state.best_model_checkpoint = self.history.best  # not removed to make room
        if standing.stop and step < state.max_steps:
            self.done = True
            text = (
                f"recall minus fabrication has not risen since step {standing.best_step} "
                f"({standing.waited} probes): the run ends here, that checkpoint is kept"
            )
            score = round(standing.best_score, 4)
            self._narrator.events.emit(
                "stop", step=step, best_step=standing.best_step, score=score, text=text
            )
            self._narrator.say(text)

    def _tell(self, probe: Probe, standing: stop_rule.Standing | None) -> None:
        moved = change([p.right for p in self.history.probes])
        so_far = time.monotonic() - self._began
        self._narrator.events.emit(
            "probe",
            step=probe.step,
            epoch=round(probe.epoch, 3),
            **{name: as_count(probe.counts[name]) for name in COUNTS},
            learned=len(moved.learned),
            forgotten=len(moved.forgotten),
            never=len(moved.never),
            score=None if probe.score is None else round(probe.score, 4),
            best_step=standing.best_step if standing else None,
            waited=standing.waited if standing else None,
            seconds=round(probe.seconds, 2),
            share=round(self.seconds / so_far, 4) if so_far > 0 else 0.0,
        )
        self._narrator.say(f"probe {sentence(probe, moved.learned, moved.forgotten)}")
        try:
            self.history.write_table(self._table)
        except OSError as e:  # the disk may have room again at the next one
            self._narrator.warn(f"{self._table.name} is not written: {e.strerror or e}")


def as_count(count: Count) -> dict[str, Any]:
    k, n = count
    return {"k": k, "n": n, "estimate": round(k / n, 4) if n else None}


def sentence(probe: Probe, learned: tuple[str, ...], forgotten: tuple[str, ...]) -> str:
    names = {
        "recall": "recall",
        "trained_wording": "as trained",
        "citation": "citation",
        "fabricated": "fabricated",
        "refusal": "refusal",
        "canary": "invented",
        "outdated": "outdated",
    }
    parts = [
        f"{word} {probe.counts[key][0]}/{probe.counts[key][1]}"
        for key, word in names.items()
        if probe.counts[key][1]
    ]
    moved = f"{len(learned)} learned, {len(forgotten)} forgotten"
    return f"step {probe.step}: {'  '.join(parts)}  ({moved}; {probe.seconds:.0f} s)"


def _checkpoint(args: Any, step: int) -> Path:
    return Path(args.output_dir) / f"checkpoint-{step}"


def _link(checkpoint: Path) -> None:
    """`best` beside the checkpoints; a file system without links does without."""
    link, temp = checkpoint.with_name(BEST), checkpoint.with_name(f".{BEST}.tmp")
    with contextlib.suppress(OSError):
        temp.unlink(missing_ok=True)
        temp.symlink_to(checkpoint.name)
        temp.replace(link)
