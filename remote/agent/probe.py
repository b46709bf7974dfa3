"""What this host is, as plain facts; the laptop judges them. Run by the interpreter of the jobs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from typing import Any

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
        "cuda_driver_api": _cuda_of_driver(),
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


def _gpus() -> list[dict[str, str]]:
    text = _smi("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")
    gpus = []
    for line in text.splitlines():
        words = [w.strip() for w in line.split(", ")]
        if len(words) == 3:
            gpus.append({"name": words[0], "driver": words[1], "memory_mib": words[2]})
    return gpus


def _cuda_of_driver() -> str | None:
    """The newest CUDA the driver speaks, from the banner of plain nvidia-smi."""
    import re

    found = re.search(r"CUDA Version: *([0-9.]+)", _smi())
    return found.group(1) if found else None


def _smi(*words: str) -> str:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return ""
    try:
        done = subprocess.run(
            [smi, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


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
