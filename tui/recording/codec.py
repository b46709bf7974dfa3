"""The desk's values as JSON and back. Only the frozen rows of the desk's own Protocols are ever made.

A value is itself where JSON has it; everything else is an object with one key that begins with `$`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import QAError, UsageError
from core.jobdir import JobDir

ROWS = "tui.desk.api"  # and its parts: tui.desk.api_host, …


def encode(value: Any) -> Any:
    """Raises TypeError for what a desk does not give."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [encode(v) for v in value]
    if isinstance(value, tuple):
        return {"$tuple": [encode(v) for v in value]}
    if isinstance(value, JobDir):
        return {"$job": value.id}
    if isinstance(value, Path):
        return {"$path": str(value)}
    if isinstance(value, Mapping):
        return {"$dict": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, QAError):
        said = {"what": value.what, "why": value.why, "try_next": value.try_next}
        return {"$error": type(value).__name__, **said}
    if is_dataclass(value) and not isinstance(value, type) and _is_row(type(value).__module__):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        return {"$row": name, "of": {f.name: encode(getattr(value, f.name)) for f in fields(value)}}
    raise TypeError(f"a {type(value).__name__} cannot be recorded")


def decode(data: Any, jobs: Path) -> Any:
    """jobs: where the directories of recorded jobs are. Raises UsageError for anything odd."""
    if isinstance(data, list):
        return [decode(v, jobs) for v in data]
    if not isinstance(data, dict):
        return data
    if "$tuple" in data:
        return tuple(decode(v, jobs) for v in data["$tuple"])
    if "$dict" in data:
        return {decode(k, jobs): decode(v, jobs) for k, v in data["$dict"]}
    if "$job" in data:
        return JobDir(jobs / job_name(data["$job"]))
    if "$path" in data:
        return _path(str(data["$path"]), jobs)
    if "$error" in data:
        return _error(data)
    if "$row" in data:
        return _row(data, jobs)
    raise odd("a value of an unknown kind")


def job_name(name: Any) -> str:
    """A job's id as a directory name. Raises UsageError for what would lead elsewhere."""
    if not isinstance(name, str) or not name or name.startswith(".") or "/" in name or "\0" in name:
        raise odd("a job with an odd name")
    return name


def odd(what: str) -> UsageError:
    return UsageError(
        f"the recording is damaged: {what}",
        try_next="record again; a file cut off in the middle is fine, a changed one is not",
    )


def _path(name: str, jobs: Path) -> Path:
    """A file of a recorded job is the copy beside the replay; others only have a name."""
    path = Path(name)
    for n, part in enumerate(path.parts[:-1]):
        if part == "jobs" and len(path.parts) > n + 2 and ".." not in path.parts:
            return jobs.joinpath(*path.parts[n + 1 :])
    return Path(path.name or "file")


def _row(data: Mapping[str, Any], jobs: Path) -> Any:
    module, _, name = str(data["$row"]).partition(":")
    values = data.get("of")
    if not _is_row(module) or not name.isidentifier() or not isinstance(values, dict):
        raise odd("a row of an unknown kind")
    try:
        made = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise odd(f"no {name} in this version of the program") from None
    if not (isinstance(made, type) and is_dataclass(made)):
        raise odd(f"{name} is no row")
    known = {f.name for f in fields(made)}  # a newer program may have dropped or added some
    try:
        return made(**{k: decode(v, jobs) for k, v in values.items() if k in known})
    except TypeError:
        raise odd(f"a {name} that lacks values this version needs") from None


def _error(data: Mapping[str, Any]) -> QAError:
    from core import errors

    made = getattr(errors, str(data["$error"]), None)
    if not (isinstance(made, type) and issubclass(made, QAError)):
        made = QAError
    words = {k: str(data.get(k) or "") for k in ("why", "try_next")}
    return made(str(data.get("what") or "an error"), **words)


def _is_row(module: str) -> bool:
    return module == ROWS or module.startswith(ROWS + "_")
