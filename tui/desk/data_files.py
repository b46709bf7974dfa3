"""The pair files at the desk: the product's own corpus, and those an operator added."""

from __future__ import annotations

import json
from pathlib import Path

from core import locations
from core.errors import NotFound, UsageError
from core.jobdir import write_atomic
from tui.desk.api_data import FileRow, FilesView, ProblemRow

SHOWN = 500  # problems in one list
LINE = 2000  # characters of a faulty line
AT_MOST = 100  # added files


def added() -> list[Path]:
    """As they were added. A list that cannot be read counts as empty."""
    try:
        names = json.loads(_list().read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [Path(n) for n in names if isinstance(n, str)] if isinstance(names, list) else []


def add(path: str) -> None:
    """Raises NotFound, UsageError (a folder, there already, too many)."""
    file = Path(path.strip()).expanduser().absolute()
    if not file.exists():
        raise NotFound(f"no file {file}", try_next="the path of a JSONL file of pairs")
    if not file.is_file():
        raise UsageError(f"{file} is no file", try_next="add its .jsonl files one by one")
    if file in paths():
        raise UsageError(f"{file.name} is in the list already")
    if len(added()) >= AT_MOST:
        raise UsageError(f"{AT_MOST} files are added already", try_next="leave one out first")
    _store([*added(), file])


def leave_out(path: str) -> None:
    """Raises NotFound. The file itself stays."""
    if Path(path) not in added():
        raise NotFound(
            f"{Path(path).name} was not added", try_next="files of the corpus always belong to it"
        )
    _store([p for p in added() if p != Path(path)])


def paths() -> list[Path]:
    from core.corpus import pair_files

    return [*pair_files(), *added()]


def read() -> FilesView:
    """Validate every row of every file. A file that cannot be read is a problem among the others."""
    from core.pairs import FileCount, iter_rows

    listed = paths()
    gone = {path: why for path in listed if (why := _unreadable(path))}
    here = [path for path in listed if path not in gone]
    counts: dict[str, FileCount] = {}
    faults: dict[str, int] = {}
    found: list[ProblemRow] = []
    total = len(gone)
    for path, why in gone.items():
        found.append(ProblemRow(path.name, 0, "", "unreadable", why, False))
    for row in iter_rows(here):
        count = counts.setdefault(row.file, FileCount())
        count.rows += 1
        count.good += row.pair is not None
        for p in row.problems:
            total += 1
            faults[row.file] = faults.get(row.file, 0) + 1
            if len(found) < SHOWN:
                text = row.raw[:LINE].decode("utf-8", "replace")
                found.append(
                    ProblemRow(p.file, p.line, p.field or "", p.code, p.what, p.usable, text)
                )
    found.sort(key=lambda p: p.usable)
    mine = set(added())
    rows = []
    for label, path in _labelled(here):
        count = counts.get(label, FileCount())
        rows.append(
            FileRow(
                label, str(path), count.rows, count.good, faults.get(label, 0), path not in mine
            )
        )
    rows += [FileRow(path.name, str(path), 0, 0, 1, path not in mine) for path in gone]
    return FilesView(tuple(rows), tuple(found), total - len(found))


def _unreadable(path: Path) -> str:
    """Why, or ""."""
    try:
        with open(path, "rb") as f:
            f.read(1)
    except OSError as e:
        return e.strerror or str(e)
    return ""


def _labelled(here: list[Path]) -> list[tuple[str, Path]]:
    """Names as problems call them."""
    from core.pairs import labels_of

    return list(zip(labels_of(here), here, strict=True))


def _list() -> Path:
    return locations.state_dir() / "pair-files.json"


def _store(files: list[Path]) -> None:
    path = _list()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, json.dumps([str(f) for f in files], indent=1).encode() + b"\n")
