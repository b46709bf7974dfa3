"""Week 1, environment: the code, the host, its accelerator, the base model."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import EnvironmentProblem
from tui.desk.api import Outcome, Say
from tui.desk.checks.found import Found

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def create_repo(bench: Workbench, say: Say) -> Found:
    """The training code is under version control, and the host has exactly this code."""
    from remote.sync import push_code

    say("reading the state of the repository")
    git = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain")
    where = push_code(bench.line.route())
    detail = f"on the host: {where}"
    if git is None:
        return Found(
            "warn",
            "the code is on the host, but not under version control here",
            f"{detail}\na version trained now cannot name the commit it was trained with\n"
            "try: git init && git add -A && git commit",
        )
    if changed:
        files = changed.splitlines()
        return Found(
            "warn",
            f"commit {git} with {len(files)} uncommitted changes",
            "\n".join([detail, *files[:20]]),
        )
    return Found("pass", f"commit {git}, clean; the host has the same code", detail)


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(locations.project_root()), *args],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def setup_env(bench: Workbench, say: Say) -> Found:
    """What the host is, what would fail there, and what to do about it."""
    from remote.preflight import preflight

    say("preflight on the host")
    findings = preflight(bench.line.route())
    lines = []
    for f in findings:
        lines.append(f"{f.outcome:5} {f.title}: {f.detail}")
        lines += [f"      {more}" for more in (f.consequence, f.try_next) if more]
    bad = [f for f in findings if f.outcome == "fail"]
    odd = [f for f in findings if f.outcome == "warn"]
    worst: Outcome = "fail" if bad else "warn" if odd else "pass"
    names = ", ".join(f.title for f in (bad or odd))
    passed = sum(f.outcome in ("pass", "info") for f in findings)
    summary = f"{passed} of {len(findings)} in order" + (f"; look at: {names}" if names else "")
    return Found(worst, summary, "\n".join(lines))


def gpu_visible(bench: Workbench, say: Say) -> Found:
    """`torch.cuda.is_available()` on the host, and a bf16 product."""
    say("asking torch on the host")
    t = ask(bench, "torch", timeout=120)
    detail = json.dumps(t, indent=1)
    if not t["bf16_matmul"]:
        return Found("fail", f"a bf16 product came out wrong on {t['device']}", detail)
    if not t["cuda_available"]:
        return Found(
            "warn",
            f"no GPU: torch {t['torch']} sees only the CPU; bf16 works there",
            f"{detail}\nOn the sandbox this is expected. On a GH200 it means a CPU build of torch or a "
            "driver too old for the build's CUDA.",
        )
    return Found(
        "pass", f"{t['device']}, torch {t['torch']}, CUDA {t['cuda_build']}, bf16 works", detail
    )


def load_base(bench: Workbench, say: Say) -> Found:
    """The recipe's base model loads in bf16 on the host and speaks."""
    from core.training.recipe import load_recipe

    name = load_recipe(bench.recipe).model.name
    say(f"loading {name} in bf16 on the host")
    m = ask(bench, "model", name, timeout=600)
    summary = (
        f"{name}: {m['parameters'] / 1e6:,.1f} M parameters, {m['bytes'] / 2**20:,.0f} MiB in "
        f"{m['dtype']} on {m['device']}, loaded in {m['load_s']} s"
    )
    if not name.startswith("mistral-7b"):
        summary += "; it stands in for Mistral-7B here"
    return Found("pass" if m["dtype"] == "bfloat16" else "warn", summary, f"it says: {m['says']}")


def ask(bench: Workbench, *question: str, timeout: float) -> dict[str, Any]:
    """Put one question of `core.probes` to the host, in the environment its jobs will have."""
    from remote.sync import push_code

    host, route = bench.line.host(), bench.line.route()
    env = {**host.env, "PYTHONPATH": push_code(route), "HF_HUB_OFFLINE": "1"}
    argv = [
        "env",
        *(f"{k}={v}" for k, v in env.items()),
        host.python,
        "-m",
        "core.probes",
        *question,
    ]
    done = route.run(argv, timeout=timeout)
    err = done.stderr.decode("utf-8", "replace")
    if done.code != 0:
        what, _, rest = err.strip().partition("\n")
        raise EnvironmentProblem(
            f"{host.name}: {what or f'core.probes {question[0]} ended with {done.code}'}",
            why=rest[-1500:],
        )
    answer = json.loads(done.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
    assert isinstance(answer, dict)
    return answer
