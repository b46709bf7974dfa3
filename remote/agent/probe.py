"""What this host is, as plain facts; the laptop judges them. Run by the interpreter of the jobs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from typing import Any

TOOLS = ("uv", "rsync", "sbatch", "nvcc", "git")
PACKAGES = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "flash-attn", "vllm")


def facts(workdir: str) -> dict[str, Any]:
    from remote.agent.gauges import memory

    workdir = os.path.abspath(os.path.expanduser(workdir))
    there = workdir
    while not os.path.exists(there):
        there = os.path.dirname(there)
    disk = shutil.disk_usage(there)
    return {
        "now": time.time(),
        "system": platform.system(),
        "release": platform.release(),
        "os_name": _os_name(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "executable": sys.executable,
        "cpus": _cpus(),
        "memory": memory()[1],
        "disk_free": disk.free,
        "disk_total": disk.total,
        "workdir": workdir,
        "workdir_fs": _filesystem(there),
        "workdir_writable": os.access(there, os.W_OK | os.X_OK),
        "packages": {name: _version(name) for name in PACKAGES},
        "torch_cuda": _torch_cuda(),
        "gpus": _gpus(),
        "tools": {name: shutil.which(name) for name in TOOLS},
        "newer_pythons": _pythons(),
        "cuda_driver_api": _cuda_of_driver(),
        "smi_problem": _smi_problem,
    }


def _cpus() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _os_name() -> str:
    try:
        with open("/etc/os-release") as f:
            for line in f:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip('"')
    except OSError:
        pass
    return platform.platform()


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _torch_cuda() -> str | None:
    """The CUDA version torch was built for, read from its version.py: importing it takes seconds.

    "" for a build without CUDA, None without torch.
    """
    import re
    from importlib.util import find_spec

    spec = find_spec("torch")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        try:
            with open(os.path.join(folder, "version.py")) as f:
                found = re.search(r"^cuda\b[^=]*= *'([0-9.]+)'", f.read(), re.M)
        except OSError:
            continue
        return found.group(1) if found else ""
    return None


GPU_FIELDS = {
    "name": "name",
    "driver": "driver_version",
    "memory_mib": "memory.total",
    "free_mib": "memory.free",
    "compute_cap": "compute_cap",
    "mig": "mig.mode.current",
    "ecc": "ecc.errors.uncorrected.volatile.total",
}


def _gpus() -> list[dict[str, str]]:
    """One entry a GPU with the fields this driver knows: one unknown field makes a query fail."""
    known = {w.strip('"') for w in _smi("--help-query-gpu").replace(",", " ").split()}
    asked = {ours: theirs for ours, theirs in GPU_FIELDS.items() if theirs in known}
    if not asked:
        asked = {k: GPU_FIELDS[k] for k in ("name", "driver", "memory_mib")}
    text = _smi("--query-gpu=" + ",".join(asked.values()), "--format=csv,noheader,nounits")
    gpus = []
    for line in text.splitlines():
        words = [w.strip() for w in line.split(", ")]
        if len(words) == len(asked):
            gpus.append(dict(zip(asked, words)))
    return gpus


def _pythons() -> dict[str, str]:
    """Interpreters new enough for the training packages, newest first: name → path."""
    found = {}
    for minor in (14, 13, 12, 11):
        path = shutil.which("python3.%d" % minor)
        if path:
            found["3.%d" % minor] = path
    return found


def _cuda_of_driver() -> str | None:
    """The newest CUDA the driver speaks, from the banner of plain nvidia-smi."""
    import re

    found = re.search(r"CUDA Version: *([0-9.]+)", _smi())
    return found.group(1) if found else None


_smi_problem = ""


def _smi(*words: str) -> str:
    """What nvidia-smi prints; "" where it is not there or not well. It is not asked again then."""
    global _smi_problem
    smi = shutil.which("nvidia-smi")
    if smi is None or _smi_problem:
        return ""
    try:
        done = subprocess.run(
            [smi, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=15
        )
    except subprocess.TimeoutExpired:
        _smi_problem = "nvidia-smi does not answer"
        return ""
    except OSError as e:
        _smi_problem = "nvidia-smi cannot be run: %s" % e
        return ""
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        _smi_problem = text.strip()[:200] or "nvidia-smi ended with %d" % done.returncode
        return ""
    return text


def _filesystem(path: str) -> str | None:
    """Type of the mount `path` is on; None where there is no /proc."""
    try:
        with open("/proc/self/mounts") as f:
            mounts = [line.split()[1:3] for line in f]
    except OSError:
        return None
    path = os.path.realpath(path)
    under = [m for m in mounts if path == m[0] or path.startswith(m[0].rstrip("/") + "/")]
    return max(under, key=lambda m: len(m[0]))[1] if under else None
