"""Names of hosts, told from the hosts file without a YAML parser: the first frame does not wait for one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from core import locations

_KEY = re.compile(r"""( *)(["']?)([^\s#"'{}\[\]:,&*!|>%@`-][^\s"':]*)\2 *:(?: |$)""")


def surely_written(name: str, file: Path | None = None) -> bool:
    """Whether the hosts file has an entry of that name, written in YAML's block style.

    False says nothing: ask `tui.desk.line.check_host_name`, which reads the file in full. What is
    faulty inside an entry is told when the line connects.
    """
    file = file or locations.configs() / "hosts.yaml"
    try:
        return name in _entries(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False


def _entries(written: str) -> Iterator[str]:
    """Keys one level below a top-level `hosts:`."""
    inside, depth = False, 0
    for line in written.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key = _KEY.match(line)
        if not line.startswith(" "):
            inside, depth = key is not None and key[3] == "hosts", 0
        elif inside and key is not None:
            depth = depth or len(key[1])
            if len(key[1]) == depth:
                yield key[3]
