"""Which process is it, really? A pid alone is never trusted: pids come back."""

from __future__ import annotations

import os
import sys
import time

LINUX = sys.platform.startswith("linux")


def boot_id() -> str:
    """Changes with every boot of the machine. QA_AGENT_BOOT_ID stands in for it in the sandbox."""
    if "QA_AGENT_BOOT_ID" in os.environ:
        return os.environ["QA_AGENT_BOOT_ID"]
    if LINUX:
        with open("/proc/sys/kernel/random/boot_id") as f:
            return f.read().strip()
    return _output("sysctl", "-n", "kern.boottime").split("}")[0]


def node() -> str:
    """This machine's name: a work folder on a network file system is seen from several."""
    return os.uname().nodename


def start_mark(pid: int | None, zombie: bool = False) -> int | None:
    """When the process began (clock ticks since boot on Linux); None if it is gone.

    zombie: also of one that has ended and waits to be collected; else such a one counts as gone.
    """
    if not pid:
        return None
    if LINUX:
        try:
            with open("/proc/%d/stat" % pid, "rb") as f:
                _, mark, ended = parse_stat(f.read())
                return None if ended and not zombie else mark
        except (OSError, ValueError):
            return None
    words = _output("ps", "-o", "stat=,lstart=", "-p", str(pid)).split(None, 1)
    if len(words) < 2 or (words[0].startswith("Z") and not zombie):
        return None
    return int(time.mktime(time.strptime(words[1].strip(), "%a %b %d %H:%M:%S %Y")))


def parse_stat(stat: bytes) -> tuple[int, int, bool]:
    """(parent pid, start ticks, has it ended) of a `/proc/PID/stat` line.

    The name in brackets may itself hold brackets and blanks, so fields count from the last `)`.
    """
    fields = stat[stat.rindex(b")") + 1 :].split()
    return int(fields[1]), int(fields[19]), fields[0] in (b"Z", b"X", b"x")


def same(pid: int | None, mark: int | None, boot: str | None) -> bool:
    """True if the process once noted as (pid, mark, boot) is alive today."""
    return mark is not None and boot == boot_id() and start_mark(pid) == mark


def descendants(root: int) -> list[int]:
    """Pids of all living processes below `root`, nearest first. Empty where there is no /proc."""
    if not LINUX:
        return []
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as f:
                    parent, _, ended = parse_stat(f.read())
            except (OSError, ValueError):
                continue
            if not ended:
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(0), [])
        found += below
        todo += below
    return found


def marked(mark: str) -> list[int]:
    """Living processes of this user whose environment holds the entry `mark` ("NAME=value")."""
    if not LINUX:
        return []
    wanted = os.fsencode(mark)
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/environ" % name, "rb") as f:
                    if wanted in f.read().split(b"\0") and start_mark(int(name)) is not None:
                        found.append(int(name))
            except OSError:
                continue
    return found


def send_signal(pid: int, number: int, group: bool = False) -> bool:
    """False if nobody is there any more."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def become_subreaper() -> None:
    """Orphans below this process become its children, so that none slips away. Linux only."""
    if LINUX:
        import ctypes

        pr_set_child_subreaper = 36
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _output(*argv: str) -> str:
    import subprocess

    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
