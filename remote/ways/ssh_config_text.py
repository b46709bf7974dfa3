"""The text of OpenSSH configuration files: names for a list, and whether a simpler reader may be trusted.

What holds for a host is worked out in `remote.ways.ssh_config`.
"""

from __future__ import annotations

import glob
import re
from pathlib import Path

from core.errors import SettingsError

_LINE = re.compile(r"\s*([A-Za-z]\w*)\s*(?:=|\s)\s*(.*)")
_TRUSTED_MATCH = {"all", "host", "originalhost", "user", "localuser"}


def literal_names(files: list[Path]) -> list[str]:
    """Host names that are written out in the files and what they include, in order."""
    names: dict[str, None] = {}
    for file in files:
        for key, value in _lines(file, set()):
            if key == "host":
                for pattern in _words(value):
                    if not re.search(r"[*?!\s]", pattern) and not pattern.startswith("-"):
                        names[pattern] = None
    return list(names)


def _lines(file: Path, seen: set[Path], depth: int = 0) -> list[tuple[str, str]]:
    """(keyword, value) of a file and its Includes; what cannot be read is left out."""
    if depth > 16 or file in seen:
        return []
    seen.add(file)
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return []
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        key, value = match.group(1).lower(), match.group(2)
        found.append((key, value))
        if key == "include":
            for pattern in _words(value):
                for path in _included(pattern, file):
                    found += _lines(path, seen, depth + 1)
    return found


def _included(pattern: str, file: Path) -> list[Path]:
    """Relative names are looked for where OpenSSH does: in ~/.ssh, or /etc/ssh for the system's."""
    base = Path("/etc/ssh") if file.is_relative_to("/etc/ssh") else Path("~/.ssh").expanduser()
    full = Path(pattern).expanduser()
    full = full if full.is_absolute() else base / full
    return [Path(p) for p in sorted(glob.glob(str(full)))]  # noqa: PTH207 - an absolute pattern


def _words(value: str) -> list[str]:
    """Words of a line; quotes hold blanks together, `#` at the start of a word ends it."""
    words = []
    for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', value):
        if plain.startswith("#"):
            break
        words.append(quoted or plain)
    return words


def trusted_text(file: Path) -> str:
    """The file without trailing comments, if paramiko reads it as OpenSSH would. Raises SettingsError.

    It passes over Include without a word and takes a Match it does not know for true.
    """
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return ""
    kept = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.match(line)
        key, value = (match.group(1).lower(), match.group(2)) if match else ("", "")
        fault = ""
        if key == "include":
            fault = "Include"
        elif key == "match":
            words = [w.lstrip("!").partition("=")[0].lower() for w in _words(value)]
            unknown = [w for w in _match_keywords(words) if w not in _TRUSTED_MATCH]
            fault = f"Match {unknown[0]}" if unknown else ""
        elif key == "host" and "[" in value:
            fault = "a bracket in a Host pattern"
        if fault:
            raise SettingsError(
                f"{file}:{number}: {fault} cannot be understood without an `ssh` program",
                why="it would be read wrongly, and the link might go somewhere else",
                try_next="install the OpenSSH client, or describe the host in hosts.yaml",
            )
        if key and '"' not in value:
            line = re.sub(r"\s+#.*$", "", line)
        kept.append(line)
    return "\n".join(kept) + "\n"


def _match_keywords(words: list[str]) -> list[str]:
    """The criteria among the words of a Match line: each but `all` takes one argument."""
    found, i = [], 0
    while i < len(words):
        found.append(words[i])
        i += 1 if words[i] in ("all", "final", "canonical") else 2
    return found
