"""The agent as one file: built here, carried over, hash-checked there before every start."""

from __future__ import annotations

import binascii
import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_MAIN = b"import sys\nfrom remote.agent.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"

# Run as `python -c BOOT PATH SHA256 TOKEN COMMAND …`. It asks for the zip only where it is not there
# yet, so that a start costs one round trip. It runs from an unpacked copy, whose modules are compiled
# once: out of the zip every start compiles them anew. A purge of old files may have been at that copy.
# The hash is the interpreter's own where it has one, since hashlib loads OpenSSL. The token marks where
# our own output begins: a shell start-up file may have printed before.
BOOT = """\
import sys
sys.path[:] = [x for x in sys.path if x]
import os
try:
    from _sha2 import sha256
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256
path, want, token = os.path.expanduser(sys.argv[1]), sys.argv[2], sys.argv[3]
def say(word):
    sys.stdout.buffer.write(("\\n%s %s\\n" % (token, word)).encode())
    sys.stdout.buffer.flush()
def good():
    try:
        with open(path, "rb") as f:
            return sha256(f.read()).hexdigest() == want
    except OSError:
        return False
try:
    if not good():
        say("NEED")
        data = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
        os.umask(0o077)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        part = "%s.%d" % (path, os.getpid())
        with open(part, "wb") as f:
            f.write(data)
        os.rename(part, path)
        if not good():
            raise OSError("the agent did not arrive whole")
except (OSError, ValueError) as e:
    say("FAIL %s" % e)
    sys.exit(1)
home = path[:-4]
def whole():
    try:
        return len([x for x in os.listdir(home + "/remote/agent") if x.endswith(".py")]) == MODULES
    except OSError:
        return False
if not whole():
    import shutil, zipfile
    part = "%s.%d" % (home, os.getpid())
    try:
        zipfile.ZipFile(path).extractall(part)
        if os.path.isdir(home):
            os.rename(home, part + ".old")
        os.rename(part, home)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(part + ".old", ignore_errors=True)
    if not whole():
        home = path
say("READY")
sys.path.insert(0, home)
from remote.agent.__main__ import main
sys.exit(main(sys.argv[4:]))
"""


@dataclass(frozen=True, slots=True)
class AgentZip:
    """modules: how many there are in the agent's own package."""

    data: bytes
    sha256: str
    modules: int

    @property
    def name(self) -> str:
        return f"agent-{self.sha256[:16]}.pyz"


@lru_cache(maxsize=1)
def agent_zip() -> AgentZip:
    """The same bytes for the same sources, whatever the clock says."""
    import zipfile

    here = Path(__file__).parent
    files = {"__main__.py": _MAIN, "remote/__init__.py": b""}
    for path in sorted((here / "agent").glob("*.py")):
        files[f"remote/agent/{path.name}"] = path.read_bytes()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in files.items():
            z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return AgentZip(out.getvalue(), hashlib.sha256(out.getvalue()).hexdigest(), len(files) - 2)


def agent_argv(
    python: str, workdir: str, token: str, words: tuple[str, ...], *, bare: bool = True
) -> list[str]:
    """argv that starts one agent command. bare: without site-packages (starts faster)."""
    z = agent_zip()
    path = f"{workdir.rstrip('/')}/agent/{z.name}"
    flags = ["-I", "-S"] if bare else []
    # One line without quotes: some login shells take no newline inside a quoted word.
    script = BOOT.replace("MODULES", str(z.modules))
    packed = binascii.b2a_base64(script.encode(), newline=False).decode()
    boot = f'import binascii;exec(binascii.a2b_base64("{packed}"))'
    return [python, *flags, "-c", boot, path, z.sha256, token, *words]
