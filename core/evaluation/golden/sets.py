"""Several golden files mounted side by side as one set, with one version.

Which files belong together is said in `configs/golden.yaml`; a team's own file is mounted beside
them there, or for one command with `--also FILE`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import locations, settings
from core.evaluation.golden.files import Reading, expand, golden_sha256, read_golden
from core.evaluation.golden.model import Fault, GoldenFileError, GoldenQuestion, whole
from core.evaluation.golden.rows import show


@dataclass(frozen=True, slots=True)
class Mount:
    """A file and the name of the set it holds. optional: left out while it is not there."""

    path: Path
    name: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A file that was read: its version, and how many items it gave."""

    path: str
    name: str
    sha256: str
    items: int


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Questions of all parts in their order. sha256: the version of exactly what was used."""

    questions: list[GoldenQuestion]
    parts: tuple[Part, ...]
    sha256: str


class MountEntry(settings.Settings):
    file: Path
    set: str = ""
    optional: bool = False


class GoldenConfig(settings.Settings):
    golden: tuple[MountEntry, ...]
    paraphrases: bool = False


def mounts(config: Path | None = None) -> tuple[Mount, ...]:
    """What `configs/golden.yaml` mounts; without that file the corpus' main set alone. Relative
    paths count from the file's folder.

    Raises SettingsError: not YAML, unknown key, no file named.
    """
    config = config or locations.configs() / "golden.yaml"
    if not config.is_file():
        return (Mount(config.parent / "corpus" / "golden.jsonl", "design"),)
    found = settings.load(config, GoldenConfig).golden
    if not found:
        raise whole(str(config), "mounts no golden file", "name one under `golden:`")
    return tuple(Mount(config.parent / m.file, m.set, m.optional) for m in found)


def asks_paraphrases(config: Path | None = None) -> bool:
    """Whether `configs/golden.yaml` wants every item's paraphrases asked too. Raises SettingsError."""
    config = config or locations.configs() / "golden.yaml"
    return config.is_file() and settings.load(config, GoldenConfig).paraphrases


def beside(path: Path, config: Path | None = None) -> tuple[Mount, ...]:
    """The other files of the configured set if `path` is one of them, else none: a file that is
    not in the configuration is always used alone.
    """
    known = mounts(config)
    if not any(_same(m.path, path) for m in known):
        return ()
    return tuple(m for m in known if not _same(m.path, path) and m.path.exists())


def load_set(
    files: Path | Sequence[Path | Mount], *, paraphrases: bool = False, config: Path | None = None
) -> GoldenSet:
    """The questions of one or several golden files as one set.

    An item without a set of its own takes the name of its file's. The version of a single file
    without paraphrases is the hash of its bytes; otherwise that of the list of its parts' hashes.

    Raises GoldenFileError: a faulty file, or an id that two files share (told with both places).
    """
    mounted = [
        m if isinstance(m, Mount) else named(m, config)
        for m in ([files] if isinstance(files, Path) else files)
    ]
    readings, faults = read_mounts(mounted)
    if faults:
        raise GoldenFileError(list(faults))
    if not any(r.lines for _, r in readings):
        first = str(mounted[0].path) if mounted else "the golden set"
        raise whole(first, "holds no question", "write one JSON object a line")
    items = [named_set(q, m.name) for m, r in readings for q in r.questions]
    parts = tuple(Part(r.file, m.name, golden_sha256(m.path), len(r.lines)) for m, r in readings)
    questions = list(expand(items)) if paraphrases else items
    return GoldenSet(questions, parts, version(parts, paraphrases=paraphrases))


def named(path: Path, config: Path | None = None) -> Mount:
    """The mount of a file: under its configured name if it has one."""
    if (config or locations.configs() / "golden.yaml").is_file():
        for mount in mounts(config):
            if _same(mount.path, path):
                return replace(mount, path=path, optional=False)
    return Mount(path)


def read_mounts(
    mounted: Sequence[Mount],
) -> tuple[list[tuple[Mount, Reading]], tuple[Fault, ...]]:
    """Every file read, and the faults of all of them, ids that two files share included."""
    readings: list[tuple[Mount, Reading]] = []
    faults: list[Fault] = []
    first: dict[str, str] = {}
    for mount in mounted:
        if mount.optional and not mount.path.exists():
            continue
        try:
            reading = read_golden(mount.path)
        except GoldenFileError as e:
            faults += e.faults
            continue
        faults += reading.faults
        for line in reading.lines:
            for q in (line.question, *line.question.rephrased()):
                where = f"{reading.file}:{line.number}"
                if first.setdefault(q.id, where) != where:
                    what = f"{show(q.id)} is already an id of {first[q.id]}"
                    hint = "give every question an id of its own, in all files"
                    faults.append(Fault(reading.file, line.number, "id", what, hint))
        readings.append((mount, reading))
    return readings, tuple(faults)


def named_set(question: GoldenQuestion, name: str) -> GoldenQuestion:
    return replace(question, set=name) if name and not question.set else question


def version(parts: Sequence[Part], *, paraphrases: bool = False) -> str:
    """One hash for all that was used, 64 hex digits; the order of the files is part of it."""
    if len(parts) == 1 and not paraphrases:
        return parts[0].sha256
    listing = "".join(f"{p.sha256}\n" for p in parts)
    if paraphrases:
        listing += "with paraphrases\n"
    return hashlib.sha256(listing.encode()).hexdigest()


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()
