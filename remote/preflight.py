"""What the host is, what would fail there, and what to do about it, before anything is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import RouteError
from remote.helper_client import Duplex, plain
from remote.route import Route

Outcome = Literal["pass", "warn", "fail", "info"]

NEEDED = ("torch", "transformers", "peft", "trl", "datasets", "accelerate")
PYTHON = (3, 11)
GIB = 1 << 30
SKEW_S = 5.0
NETWORK_DISKS = frozenset({"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "fuse.sshfs", "ceph"})
# Oldest driver branch per CUDA major version, from NVIDIA's compatibility table.
DRIVER_FOR_CUDA = {11: 450, 12: 525, 13: 580}


@dataclass(frozen=True, slots=True)
class Finding:
    """consequence: what it means for the work. try_next: empty where nothing is to be done."""

    id: str
    title: str
    outcome: Outcome
    detail: str
    consequence: str = ""
    try_next: str = ""


def preflight(route: Route) -> list[Finding]:
    """Look at the host and judge. Raises RouteError where it cannot be looked at."""
    marker = "qa-control-marker"
    said = route.run(["echo", marker], timeout=20).text
    before = time.time()
    facts = _read(route.agent("probe", route.host.workdir, bare=False))
    took = time.time() - before
    findings = list(judge(facts, before, before + took))
    findings.append(judge_noise(said, marker))
    return findings


def _read(stream: Duplex) -> dict[str, Any]:
    data = b""
    try:
        while len(data) < 1 << 20 and (part := stream.recv(90.0)):
            data += part
        facts = json.loads(data)
    except (ValueError, TimeoutError, RecursionError) as e:
        raise RouteError(
            "the host could not say what it is", why=plain(stream.stderr_tail())
        ) from e
    finally:
        stream.close()
    if not isinstance(facts, dict):
        raise RouteError("the host could not say what it is")
    return facts


def judge(facts: dict[str, Any], asked: float, answered: float) -> Iterator[Finding]:
    """Facts of the agent's probe into findings. asked, answered: our clock around the question."""
    yield _system(facts)
    yield _python(facts)
    yield _packages(facts)
    yield _gpu(facts)
    yield _cuda(facts)
    yield _memory(facts)
    yield _disk(facts)
    yield _workdir(facts)
    yield _clock(facts, asked, answered)


def _text(facts: dict[str, Any], key: str) -> str:
    return plain(facts.get(key) or "unknown", 200)


def _int(facts: dict[str, Any], key: str) -> int | None:
    value = facts.get(key)
    return int(value) if isinstance(value, (int, float)) else None


def _version(text: object) -> tuple[int, ...]:
    """`555.42.06` → (555, 42, 6); what is no number ends it."""
    parts: list[int] = []
    for word in str(text).split("."):
        if not word.isdigit():
            break
        parts.append(int(word))
    return tuple(parts)


def _system(facts: dict[str, Any]) -> Finding:
    system, machine = _text(facts, "system"), _text(facts, "machine")
    detail = f"{_text(facts, 'os_name')}, {machine}, {_text(facts, 'libc')}"
    if system != "Linux":
        return Finding(
            "system",
            "Operating system",
            "warn",
            f"{system}, {machine}",
            "jobs run, but processes that leave their group are not found again",
        )
    if machine not in ("x86_64", "aarch64"):
        return Finding(
            "system",
            "Operating system",
            "warn",
            detail,
            "there may be no ready-made packages for this processor",
        )
    return Finding("system", "Operating system", "pass", detail)


def _python(facts: dict[str, Any]) -> Finding:
    detail = f"{_text(facts, 'python')} at {_text(facts, 'executable')}"
    if _version(facts.get("python"))[:2] < PYTHON:
        return Finding(
            "python",
            "Python",
            "fail",
            detail,
            "the training packages need Python 3.11 or newer",
            "install one, and set `python` of this host in hosts.yaml to it",
        )
    return Finding("python", "Python", "pass", detail)


def _packages(facts: dict[str, Any]) -> Finding:
    found = facts.get("packages")
    found = found if isinstance(found, dict) else {}
    detail = ", ".join(f"{k} {plain(v, 40)}" for k, v in found.items() if v) or "none"
    missing = [name for name in NEEDED if not found.get(name)]
    if missing:
        return Finding(
            "packages",
            "Training packages",
            "fail",
            f"missing: {', '.join(missing)}",
            "training and evaluation cannot start",
            f"{_text(facts, 'executable')} -m pip install {' '.join(missing)}",
        )
    return Finding("packages", "Training packages", "pass", detail)


def _gpus(facts: dict[str, Any]) -> list[dict[str, Any]]:
    gpus = facts.get("gpus")
    return [g for g in gpus if isinstance(g, dict)] if isinstance(gpus, list) else []


def _gpu(facts: dict[str, Any]) -> Finding:
    gpus = _gpus(facts)
    if not gpus:
        return Finding(
            "gpu",
            "GPU",
            "warn",
            "none seen (no nvidia-smi, or no device)",
            "jobs run on the CPU: the small model only",
            "on a GPU host: ask the administrators to load the driver",
        )
    names = ", ".join(
        f"{plain(g.get('name'), 80)} {plain(g.get('memory_mib'), 20)} MiB" for g in gpus
    )
    return Finding("gpu", "GPU", "pass", names)


def _cuda(facts: dict[str, Any]) -> Finding:
    """Does the driver carry the CUDA that torch was built for?"""
    gpus, built = _gpus(facts), facts.get("torch_cuda")
    built = plain(built, 20) if built else ""
    if not gpus:
        return Finding("cuda", "Driver and CUDA", "info", "no GPU, nothing to match")
    driver = plain(gpus[0].get("driver"), 40)
    branch = (_version(driver) or (0,))[0]
    newest = max((major for major, least in DRIVER_FOR_CUDA.items() if branch >= least), default=0)
    speaks = plain(facts.get("cuda_driver_api") or "", 20)
    detail = f"driver {driver}" + (f" (CUDA {speaks})" if speaks else "")
    limit = f"this driver runs builds for CUDA {newest}.x and older" if newest else ""
    if facts.get("torch_cuda") is None:
        return Finding(
            "cuda",
            "Driver and CUDA",
            "info" if newest >= max(DRIVER_FOR_CUDA) else "warn",
            detail + "; torch is not installed yet",
            limit,
            f"install a torch built for CUDA {newest}.x" if newest < max(DRIVER_FOR_CUDA) else "",
        )
    detail += f"; torch is built for CUDA {built or 'none'}"
    if not built:
        return Finding(
            "cuda",
            "Driver and CUDA",
            "fail",
            detail,
            "the GPU would not be used",
            f"install a torch built for CUDA {newest}.x",
        )
    wanted = (_version(built) or (0,))[0]
    if wanted > newest:
        return Finding(
            "cuda",
            "Driver and CUDA",
            "fail",
            detail,
            f"torch will not see the GPU: CUDA {wanted} needs driver "
            f"{DRIVER_FOR_CUDA.get(wanted, 'a newer one')} or newer",
            f"install a torch built for CUDA {newest}.x, or ask the administrators for the driver",
        )
    return Finding("cuda", "Driver and CUDA", "pass", detail, limit)


def _memory(facts: dict[str, Any]) -> Finding:
    total, cpus = _int(facts, "memory"), _int(facts, "cpus")
    detail = f"{total / GIB:.0f} GiB, {cpus} CPUs" if total else f"unknown, {cpus} CPUs"
    if total is not None and total < 4 * GIB:
        return Finding("memory", "Memory", "warn", detail, "even the small model may not fit")
    return Finding("memory", "Memory", "pass" if total else "info", detail)


def _disk(facts: dict[str, Any]) -> Finding:
    free = _int(facts, "disk_free")
    if free is None:
        return Finding("disk", "Disk", "info", "unknown")
    detail = f"{free / GIB:.0f} GiB free for {_text(facts, 'workdir')}"
    if free < 2 * GIB:
        return Finding(
            "disk", "Disk", "fail", detail, "a training run would end in a full disk", "free space"
        )
    if free < 50 * GIB:
        return Finding(
            "disk",
            "Disk",
            "warn",
            detail,
            "enough for the small model, not for a 7B model and its checkpoints",
            "free space before the full training",
        )
    return Finding("disk", "Disk", "pass", detail)


def _workdir(facts: dict[str, Any]) -> Finding:
    kind = _text(facts, "workdir_fs")
    detail = f"{_text(facts, 'workdir')} on {kind}"
    if facts.get("workdir_writable") is False:
        return Finding(
            "workdir",
            "Work folder",
            "fail",
            detail + ", not writable",
            "nothing can be sent there",
            "set `workdir` of this host in hosts.yaml to a folder of yours",
        )
    if kind in NETWORK_DISKS:
        return Finding(
            "workdir",
            "Work folder",
            "warn",
            detail,
            "logs may show late, and other nodes see the jobs too",
            "prefer a disk of the node",
        )
    return Finding("workdir", "Work folder", "pass", detail)


def _clock(facts: dict[str, Any], asked: float, answered: float) -> Finding:
    now = facts.get("now")
    if not isinstance(now, (int, float)):
        return Finding("clock", "Clock", "info", "unknown")
    skew = 0.0 if asked <= now <= answered else min(now - asked, now - answered, key=abs)
    detail = f"{skew:+.1f} s against this machine"
    if abs(skew) > SKEW_S:
        return Finding(
            "clock",
            "Clock",
            "warn",
            detail,
            "times of jobs are the host's; durations are right, times of day are off",
            "ask the administrators to set the clock (NTP)",
        )
    return Finding("clock", "Clock", "pass", detail)


def judge_noise(said: str, marker: str) -> Finding:
    """Does a start-up file print where a program reads?"""
    noise = plain(said.replace(marker, "", 1), 120)
    if not noise:
        return Finding("shell", "Login shell", "pass", "quiet")
    return Finding(
        "shell",
        "Login shell",
        "warn",
        f"prints {noise!r} for every command",
        "this program copes; scp, rsync and sftp may not",
        "let ~/.bashrc print only in interactive shells",
    )
