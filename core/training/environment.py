"""The process a training runs in: quiet libraries, no network, sensible threads.

`prepare` must run before torch or any Hugging Face package is imported. Light.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# The run never talks to anything but its own disk.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TQDM_DISABLE": "1",
}


def usable_cpus() -> int:
    """CPUs this process may run on (a container or Slurm may allow fewer than the machine has)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def prepare(threads: int = 0, meanwhile: Callable[[], object] | None = None) -> None:
    """Set the environment. threads: 0 = all usable CPUs.  meanwhile: done while it is looked how busy
    the machine is, anything that imports no torch."""
    os.environ.update(OFFLINE)
    os.environ.update(QUIET)
    if threads or "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(threads or usable_cpus())
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ.update(_waiting(busy_share(meanwhile=meanwhile)))
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings(
        "ignore", category=UserWarning, module=r"(peft|trl|transformers)(\..*)?"
    )


def _waiting(busy: float) -> dict[str, str]:
    """How OpenMP threads wait for each other. busy: share of the CPUs that others use.

    By default they spin for milliseconds. That is fastest on quiet cores, and ruinous beside other
    work, for the spinner holds the core its partner needs: on 2 cores, small model, 0.9 s a step when
    quiet and 10 to 15 s beside other busy processes. A short spin costs about a tenth when quiet and
    2 to 3 s a step at worst; no spin at all 1.2 to 1.6 s, quiet or not.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE"} if busy > 0.2 else {"GOMP_SPINCOUNT": "5000"}


def busy_share(seconds: float = 0.3, meanwhile: Callable[[], object] | None = None) -> float:
    """Share of all CPU time that others spend busy for `seconds`, or while `meanwhile` is done if that
    takes longer; 0.0 if unknown."""
    before, own, start = _cpu_times(), time.process_time(), time.monotonic()
    if meanwhile is not None:
        meanwhile()
    time.sleep(max(0.0, start + seconds - time.monotonic()) if before else 0.0)
    after, own = _cpu_times(), time.process_time() - own
    total = sum(after) - sum(before)
    if total <= 0:
        return 0.0
    idle = sum(after[3:5]) - sum(before[3:5])  # idle and waiting for a disk
    return max(0.0, min(1.0, 1 - (idle + own * os.sysconf("SC_CLK_TCK")) / total))


@contextmanager
def importing() -> Iterator[None]:
    """Around the imports of the libraries: nothing they make is garbage, and looking for some in ever
    more modules takes a fifth of the time. Afterwards what is there is looked through no more."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def _cpu_times() -> list[int]:
    try:
        with open("/proc/stat") as f:
            return [int(n) for n in f.readline().split()[1:9]]
    except OSError:  # not Linux
        return []


def silence_libraries() -> None:
    """After import: no progress bars in the log, warnings of the libraries only if serious."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def use_threads(threads: int) -> None:
    """The same for a process in which torch was there first. threads: 0 = leave as it is."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def device() -> str:
    """ "cuda" or "cpu". MPS is left out: bf16 training is not proven there."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    out = {"python": platform.python_version()}
    for name in ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "tokenizers"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "?"
    return out


def memory_bytes() -> int:
    """Accelerator memory in use if there is one, else this process's resident set."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    try:
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_memory_bytes()


def peak_memory_bytes() -> int:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def dtype(name: str) -> Any:
    import torch

    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]
