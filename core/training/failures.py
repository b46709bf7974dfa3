"""What went wrong, in the operator's terms: out of memory, disk full, a loss that is not a number."""

from __future__ import annotations

import errno
import math
from collections import deque

from core.errors import DiskFull, EnvironmentProblem, JobFailed, MissingComponent, QAError


class OutOfMemory(EnvironmentProblem):
    """Host or accelerator memory did not suffice."""


class Diverged(JobFailed):
    """The loss or a gradient is no number any more, or the loss has run away."""


class MergeLoss(JobFailed):
    """Too little of an update outlives its merge into the weights."""


class LossWatch:
    """Looks at each logged step. A loss has exploded when the last few are all far above the start.

    All of them: a single step may be that high, for a batch of hard rows. The start is the mean of the
    first few, unless the rate blew those up as well. A run that had learned, and falls back behind where
    it began, is found sooner than one that never did. A run that goes on from an adapter begins near
    nothing, and may leave that for a while: below HARMLESS nothing has run away.
    """

    FEW = 8
    ABOVE = 2.0  # times the start
    FALLEN_BACK = 1.25  # the same, for a run that had halved it
    HARMLESS = 1.0  # nats a token

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=self.FEW)
        self._start: float | None = None
        self._best = math.inf

    def see(self, step: int, loss: float, grad_norm: float | None) -> Diverged | None:
        """What is to be raised, if anything."""
        if not math.isfinite(loss) or (grad_norm is not None and not math.isfinite(grad_norm)):
            return diverged(step, loss, grad_norm)
        self._last.append(loss)
        if len(self._last) < self.FEW:
            return None
        mean = sum(self._last) / self.FEW
        if self._start is None:
            self._start = min(mean, self._last[0] + self._last[1])
        self._best = min(self._best, mean)
        learned = self._best < self._start / 2
        limit = self._start * (self.FALLEN_BACK if learned else self.ABOVE)
        if min(self._last) <= max(limit, self.HARMLESS):
            return None
        return Diverged(
            f"step {step}: the loss has exploded, {loss:.3g} after {self._best:.3g}",
            why=_BLEW_UP,
            try_next=_SLOWER,
        )


def diverged(step: int, loss: float, grad_norm: float | None) -> Diverged:
    """The loss, or else the gradient norm, is no number."""
    what = f"step {step}: the loss is {loss}"
    if grad_norm is not None and math.isfinite(loss):
        what = f"step {step}: the gradient norm is {grad_norm}"
    return Diverged(what, why=_BLEW_UP, try_next=_SLOWER)


_BLEW_UP = "the update blew up: rate too high for this scale (lr × alpha / r), or a damaged model"
_SLOWER = (
    "divide train.lr by 3 (--set train.lr=…), raise train.warmup to 0.1, or use model.dtype=float32; "
    "checkpoints written before this step are sound"
)


def recognise(error: BaseException) -> QAError | None:
    """The typed form of an exception raised by a library; None if it is not a known one."""
    if isinstance(error, QAError):
        return error
    text = str(error)
    if _is_disk_full(error, text):
        return DiskFull(
            "the disk is full",
            why=text.splitlines()[0] if text else "no space left on device",
            try_next="free space on the host (old jobs' checkpoints first), then start the job "
            "again with --resume: the last complete checkpoint is used",
        )
    if _is_out_of_memory(error, text):
        return OutOfMemory(
            "memory ran out",
            why=text.splitlines()[0][:300] if text else "",
            try_next="halve train.batch_size and double train.accumulate (the same training), "
            "or --set train.gradient_checkpointing=true",
        )
    if isinstance(error, ModuleNotFoundError):
        return MissingComponent(
            f"the package {error.name} is not installed on this host",
            try_next="pip install -c constraints.txt -e '.[train]'",
        )
    return None


def _is_disk_full(error: BaseException, text: str) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # safetensors and torch.save report it in words only
    return (
        "No space left on device" in text
        or "os error 28" in text
        or "PytorchStreamWriter failed" in text
        or ("inline_container" in text and "unexpected pos" in text)
    )


def _is_out_of_memory(error: BaseException, text: str) -> bool:
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in text
        or "out of memory" in text.lower()
    )
