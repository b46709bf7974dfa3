"""What the host is, what would fail there, and what to do about it, before anything is sent."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.errors import QAError, RouteError
from remote.helper_client import Duplex, plain
from remote.preflight.findings import Facts, Finding, int_of, text_of, version_of
from remote.preflight.findings_gpu import judge_accelerator, judge_torch

if TYPE_CHECKING:
    from remote.route import Route as _Route
    from remote.shared.route import SharedRoute

    Route = _Route | SharedRoute

NEEDED = ("torch", "transformers", "peft", "trl", "datasets", "accelerate")
PYTHON = (3, 11)
UNFIT = "see that `python` of the host in hosts.yaml is Python 3.11 or newer, and connect again"
GIB = 1 << 30
SKEW_S = 5.0
INDEX_S = 8  # seconds the package index has to answer
NETWORK_DISKS = frozenset({"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "fuse.sshfs", "ceph"})

__all__ = ["Finding", "judge", "judge_noise", "preflight"]


def preflight(route: Route, *, index: bool | None = None, torch: bool = False) -> list[Finding]:
    """Look at the host and judge. Raises RouteError where it cannot be looked at.

    index: ask the package index too (default: only where packages are missing).  torch: let torch
    itself say what it sees, which takes seconds.
    """
    marker = "qa-control-marker"
    said = route.run(["echo", marker], timeout=20).text
    before = time.time()
    facts = _read(route.agent("probe", route.host.workdir, bare=False))
    took = time.time() - before
    findings = list(judge(facts, before, before + took))
    findings.append(judge_noise(said, marker))
    lacking = any(f.id == "packages" and f.outcome == "fail" for f in findings)
    if index or (index is None and lacking):
        findings.append(_index(route))
    tools = facts.get("tools")
    if route.host.launcher == "slurm" or (isinstance(tools, dict) and tools.get("sbatch")):
        findings.append(_slurm(route))
    if torch and facts.get("torch_cuda") is not None:
        findings.append(_torch(route))
    return findings


def _read(stream: Duplex) -> Facts:
    data = b""
    try:
        while len(data) < 1 << 20 and (part := stream.recv(90.0)):
            data += part
        facts = json.loads(data)
    except (ValueError, TimeoutError, RecursionError) as e:
        raise RouteError(
            "the host could not say what it is", why=plain(stream.stderr_tail()), try_next=UNFIT
        ) from e
    finally:
        stream.close()
    if not isinstance(facts, dict):
        raise RouteError("the host could not say what it is", try_next=UNFIT)
    return facts


def judge(facts: Facts, asked: float, answered: float) -> Iterator[Finding]:
    """Facts of the agent's probe into findings. asked, answered: our clock around the question."""
    yield _system(facts)
    yield _python(facts)
    yield _packages(facts)
    yield from judge_accelerator(facts)
    yield _memory(facts)
    yield _disk(facts)
    yield _workdir(facts)
    yield _clock(facts, asked, answered)


def _system(facts: Facts) -> Finding:
    system, machine = text_of(facts, "system"), text_of(facts, "machine")
    detail = f"{text_of(facts, 'os_name')}, {machine}, {text_of(facts, 'libc')}"
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


def _python(facts: Facts) -> Finding:
    detail = f"{text_of(facts, 'python')} at {text_of(facts, 'executable')}"
    if version_of(facts.get("python"))[:2] < PYTHON:
        return Finding(
            "python",
            "Python",
            "fail",
            detail,
            "the training packages need Python 3.11 or newer",
            _newer_python(facts),
        )
    return Finding("python", "Python", "pass", detail)


def _newer_python(facts: Facts) -> str:
    found = facts.get("newer_pythons")
    if isinstance(found, dict) and found:
        path = plain(next(iter(found.values())), 200)
        return f"there is {path}: qa doctor --host NAME --fix uses it"
    tools = facts.get("tools")
    if isinstance(tools, dict) and tools.get("uv"):
        return "uv is there: qa doctor --host NAME --fix lets it fetch one"
    return "install one (or uv, which fetches one), then qa doctor --host NAME --fix"


def _packages(facts: Facts) -> Finding:
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
            "qa doctor --host NAME --fix makes the environment",
        )
    return Finding("packages", "Training packages", "pass", detail)


def _memory(facts: Facts) -> Finding:
    total, cpus = int_of(facts, "memory"), int_of(facts, "cpus")
    detail = f"{total / GIB:.0f} GiB, {cpus} CPUs" if total else f"unknown, {cpus} CPUs"
    if total is not None and total < 4 * GIB:
        return Finding("memory", "Memory", "warn", detail, "even the small model may not fit")
    return Finding("memory", "Memory", "pass" if total else "info", detail)


def _disk(facts: Facts) -> Finding:
    free = int_of(facts, "disk_free")
    if free is None:
        return Finding("disk", "Disk", "info", "unknown")
    detail = f"{free / GIB:.0f} GiB free for {text_of(facts, 'workdir')}"
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


def _workdir(facts: Facts) -> Finding:
    kind = text_of(facts, "workdir_fs")
    detail = f"{text_of(facts, 'workdir')} on {kind}"
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


def _clock(facts: Facts, asked: float, answered: float) -> Finding:
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


def _index(route: Route) -> Finding:
    """Can packages be fetched there? pip itself is asked, so that its own settings count."""
    env = [f"{k}={v}" for k, v in route.host.env.items()]
    argv = [
        *("env", *env, route.host.python, "-m", "pip", "install", "--dry-run", "--no-deps"),
        *("--ignore-installed", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--retries", "0", "--timeout", str(INDEX_S), "pip"),
    ]
    try:
        done = route.run(argv, timeout=INDEX_S * 5)
    except RouteError as e:
        said = e.what
    else:
        if done.code == 0:
            return Finding("index", "Package index", "pass", "answers")
        said = done.stderr.decode("utf-8", "replace")
    lines = [plain(re.sub(r"//[^/@\s]*@", "//", x), 160) for x in said.splitlines() if x.strip()]
    return Finding(
        "index",
        "Package index",
        "warn",
        lines[-1] if lines else "does not answer",
        "packages cannot be installed from this host",
        "ask for a proxy or a mirror (PIP_INDEX_URL under `env` in hosts.yaml), or copy wheels there",
    )


def _slurm(route: Route) -> Finding:
    from remote import slurm
    from remote.slurm.survey import misfits

    title = "Slurm"
    wanted = route.host.launcher == "slurm"
    try:
        found = slurm.info(route)
    except QAError as e:
        return Finding(
            "slurm",
            title,
            "fail" if wanted else "info",
            plain(e.what, 160),
            "jobs cannot be submitted" if wanted else "not used: this host's launcher is `direct`",
            e.try_next,
        )
    detail = plain(found.summary, 300)
    if not wanted:
        return Finding("slurm", title, "info", detail)
    accounts = ", ".join(sorted({a.account for a in found.accounts}))
    detail += f" · accounts: {plain(accounts, 200)}" if accounts else ""
    wrong = misfits(found, route.host.slurm or slurm.SlurmSettings())
    if wrong:
        said = plain("; ".join(wrong), 400)
        hint = "mend the `slurm:` block of this host in hosts.yaml"
        return Finding("slurm", title, "fail", detail, f"jobs would be refused: {said}", hint)
    return Finding("slurm", title, "pass", detail)


def _torch(route: Route) -> Finding:
    """What torch sees, asked with the interpreter and environment of the jobs."""
    from remote.sync import push_code

    env = {**route.host.env, "PYTHONPATH": push_code(route)}
    argv = ["env", *(f"{k}={v}" for k, v in env.items())]
    try:
        done = route.run([*argv, route.host.python, "-m", "core.probes", "torch"], timeout=180)
        said: Any = json.loads(done.text.strip().splitlines()[-1]) if done.code == 0 else None
        why = plain(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2], 200)
    except (ValueError, IndexError):
        said, why = None, "an odd answer"
    except RouteError as e:
        said, why = None, e.what
    return judge_torch(said, why)
