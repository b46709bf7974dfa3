"""What went wrong, in the operator's terms: out of memory, disk full, a loss that is not a number."""

from __future__ import annotations

import errno

from core.errors import DiskFull, EnvironmentProblem, JobFailed, MissingComponent, QAError


class OutOfMemory(EnvironmentProblem):
    """Host or accelerator memory did not suffice."""


class Diverged(JobFailed):
    """The loss or a gradient is no number any more."""


def diverged(step: int, loss: float, grad_norm: float | None) -> Diverged:
    what = f"step {step}: the loss is {loss}"
    if grad_norm is not None and loss == loss:
        what = f"step {step}: the gradient norm is {grad_norm}"
    return Diverged(
        what,
        why="the update blew up: rate too high for this scale (lr × alpha / r), or a damaged model",
        try_next="divide train.lr by 3 (--set train.lr=…), raise train.warmup to 0.1, "
        "or use model.dtype=float32; checkpoints written before this step are sound",
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
        or ("PytorchStreamWriter failed" in text)
    )


def _is_out_of_memory(error: BaseException, text: str) -> bool:
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in text
        or "out of memory" in text.lower()
    )
