"""The job that makes the environment of the jobs: `python -m core.setup_env --job DIR`.

Runs on the host's own Python (3.8 or newer, standard library only), so it imports nothing of ours. The
environment is made beside its final place and appears there only when it is complete and its packages
answer; the same request again finds it and does nothing. Reads ./spec.json `settings`:

    home          absolute folder; environments live below it, `home/current` points to the one in use
    requirements  list of requirement lines          constraints  absolute path of a file, or null
    torch_index   URL of an index for torch alone, or null
    check         modules that have to import afterwards

Exit codes: 0 ready; 6 it cannot be made here (the last line says why and what to try).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from typing import Any, Dict, List, Optional

OLDEST = (3, 11)
CANNOT = 6


class Cannot(Exception):
    """what, and what to try next."""

    def __init__(self, what: str, try_next: str) -> None:
        super().__init__(what)
        self.try_next = try_next


def make(settings: Dict[str, Any]) -> str:
    """The path of the ready environment. Raises Cannot."""
    home = settings["home"]
    python, uv = find_python(), shutil.which("uv")
    if python is None and uv is None:
        raise Cannot(
            "no Python %d.%d or newer on this host, and no uv to fetch one" % OLDEST,
            "install python3.11 (or uv), then run this again",
        )
    # uv may fetch an interpreter where there is none.
    chosen = python or "3.12"
    folder = os.path.join(home, "env-" + digest(settings, chosen))
    if os.path.exists(os.path.join(folder, ".complete")):
        print("the environment is there already: %s" % folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
        os.makedirs(home, 0o700, exist_ok=True)
        create(folder, chosen, uv)
        install(folder, settings, uv)
        check(folder, settings.get("check") or [])
        with open(os.path.join(folder, ".complete"), "w") as f:
            f.write("ok\n")
    point(home, folder)
    return folder


def find_python() -> Optional[str]:
    """An interpreter new enough: this one, else the newest on the PATH."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for minor in (13, 12, 11, 14):
        found = shutil.which("python3.%d" % minor)
        if found:
            return found
    return None


def digest(settings: Dict[str, Any], python: str) -> str:
    """Names an environment by everything that went into it."""
    parts = [python, settings.get("torch_index") or "", *settings["requirements"]]
    if settings.get("constraints"):
        with open(settings["constraints"], encoding="utf-8") as f:
            parts.append(f.read())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def create(folder: str, python: str, uv: Optional[str]) -> None:
    print("making %s with %s" % (folder, "uv" if uv else "venv"), flush=True)
    if uv:
        run([uv, "venv", "--seed", "--python", python, folder], "uv could not make it")
        return
    hint = "install the venv module (Debian/Ubuntu: python3-venv) or uv"
    run([python, "-m", "venv", folder], "venv could not make it", hint)


def install(folder: str, settings: Dict[str, Any], uv: Optional[str]) -> None:
    """torch first where it has an index of its own; the index goes by environment, never by argv."""
    bounds = ["-c", settings["constraints"]] if settings.get("constraints") else []
    wanted = list(settings["requirements"])
    torch = [r for r in wanted if name_of(r) == "torch"]
    rounds: List[Any] = [(wanted, {})]  # (packages, environment)
    if torch and settings.get("torch_index"):
        url = settings["torch_index"]
        rounds.insert(0, (torch, {"PIP_INDEX_URL": url, "UV_INDEX_URL": url}))
    base = pip_of(folder, uv)
    for packages, extra in rounds:
        print("installing %s" % ", ".join(packages), flush=True)
        run(
            [*base, *bounds, *packages],
            "the packages could not be installed",
            "see the lines above: network, package index (PIP_INDEX_URL under `env` in hosts.yaml), disk",
            extra,
        )


def pip_of(folder: str, uv: Optional[str]) -> List[str]:
    python = os.path.join(folder, "bin", "python")
    if uv:
        return [uv, "pip", "install", "--python", python]
    return [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]


def name_of(requirement: str) -> str:
    """`torch>=2.12` → torch"""
    name = requirement.strip()
    for i, c in enumerate(name):
        if not (c.isalnum() or c in "-_."):
            return name[:i].lower()
    return name.lower()


def check(folder: str, modules: List[str]) -> None:
    """Every module imports, and torch was built for CUDA where there is a GPU."""
    lines = ["import importlib, json, shutil"]
    lines.append("for m in json.loads(%r): importlib.import_module(m)" % json.dumps(modules))
    if "torch" in modules:
        lines.append("import torch; print('torch', torch.__version__, 'CUDA', torch.version.cuda)")
        lines.append(
            "assert torch.version.cuda or not shutil.which('nvidia-smi'), "
            "'this torch was built without CUDA: set torch_index of the host in hosts.yaml'"
        )
    print("checking %s" % ", ".join(modules), flush=True)
    run(
        [os.path.join(folder, "bin", "python"), "-c", "\n".join(lines)],
        "the packages are there and do not work",
        "see the lines above",
    )


def point(home: str, folder: str) -> None:
    """`home/current` → folder, in one step."""
    link, temp = os.path.join(home, "current"), os.path.join(home, ".current-%d" % os.getpid())
    os.symlink(os.path.basename(folder), temp)
    os.replace(temp, link)


def run(
    argv: List[str], what: str, try_next: str = "", extra: Optional[Dict[str, str]] = None
) -> None:
    try:
        code = subprocess.call(argv, env={**os.environ, **(extra or {})}, stderr=subprocess.STDOUT)
    except OSError as e:
        raise Cannot("%s: %s" % (what, e), try_next)
    if code:
        raise Cannot("%s (exit code %d)" % (what, code), try_next)


def main(argv: List[str]) -> int:
    parser = argparse.ArgumentParser("core.setup_env")
    parser.add_argument("--job", default=".")
    job = parser.parse_args(argv).job
    with open(os.path.join(job, "spec.json"), encoding="utf-8") as f:
        settings = json.load(f)["settings"]
    try:
        print("ready: %s" % make(settings))
    except Cannot as e:
        print("%s\ntry: %s" % (e, e.try_next) if e.try_next else str(e), file=sys.stderr)
        return CANNOT
    except OSError as e:
        print("%s\ntry: free disk space, or another work folder" % e, file=sys.stderr)
        return CANNOT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
