"""known_hosts lines: what is known, unknown, changed or revoked. ssh-keygen is the second opinion."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.trust import known_hosts as kh
from tests.conftest import require


def blob(n: int = 1) -> bytes:
    return b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes([n]) * 32


def b64(n: int = 1) -> str:
    return base64.b64encode(blob(n)).decode()


def judge(text: str, name: str, n: int = 1) -> str:
    return kh.judge(kh.parse(text), name, blob(n))[0]


@pytest.mark.parametrize(
    ("patterns", "name", "hit"),
    [
        ("gh1.example", "gh1.example", True),
        ("GH1.Example", "gh1.example", True),
        ("gh1.example", "gh1.example.org", False),
        ("other,gh1.example,10.0.0.1", "10.0.0.1", True),
        ("*.example", "gh1.example", True),
        ("*.example", "example", False),
        ("gh?.example", "gh1.example", True),
        ("*.example,!gh1.example", "gh1.example", False),
        ("*.example,!gh1.example", "gh2.example", True),
        ("!gh1.example", "gh2.example", False),
        ("[gh1.example]:2222", "[gh1.example]:2222", True),
        ("[gh1.example]:2222", "gh1.example", False),
        ("[*.example]:*", "[gh1.example]:2222", True),
        ("gh[12]", "gh1", False),  # brackets are no character class here
    ],
)
def test_patterns(patterns: str, name: str, hit: bool) -> None:
    assert kh.matches(patterns, name) is hit


def test_verdicts() -> None:
    assert judge("", "gh1") == "unknown"
    assert judge(f"gh1 ssh-ed25519 {b64(1)}", "gh1") == "known"
    assert judge(f"gh1 ssh-ed25519 {b64(2)}", "gh1") == "changed"
    assert judge(f"gh2 ssh-ed25519 {b64(2)}", "gh1") == "unknown"
    both = f"gh1 ssh-ed25519 {b64(2)}\ngh1 ssh-ed25519 {b64(1)}\n"
    assert judge(both, "gh1") == "known"
    assert judge(f"gh1 ssh-ed25519 {b64(1)}\n@revoked * ssh-ed25519 {b64(1)}", "gh1") == "revoked"
    assert judge(f"@cert-authority * ssh-ed25519 {b64(1)}", "gh1") == "unknown"


def test_a_line_it_does_not_know_does_not_hide_the_others() -> None:
    text = (
        "# a comment\n\n@future gh1 ssh-ed25519 AAAA\ngh1 ssh-ed25519 !!!notbase64\nonly-two words\n"
        f"\x00\xff garbage\n  gh1   ssh-ed25519 {b64(1)} me@here\n"
    )
    (entry,) = kh.parse(text, "file")
    assert entry.where == "file:7"
    assert judge(text, "gh1") == "known"


def test_types_on_file_come_in_their_order() -> None:
    text = f"gh1 ssh-rsa {b64()}\ngh2 x {b64()}\ngh1 ssh-ed25519 {b64(2)}\n@revoked gh1 y {b64(3)}"
    assert kh.key_types(kh.parse(text), "gh1") == ["ssh-rsa", "ssh-ed25519"]


def test_lookup_name() -> None:
    assert kh.lookup_name("GH1", 22, None) == "gh1"
    assert kh.lookup_name("gh1", 2222, None) == "[gh1]:2222"
    assert kh.lookup_name("127.0.0.1", 2222, "Jump.Sandbox") == "jump.sandbox"


def test_append_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "known_hosts"
    kh.append(path, "gh1", "ssh-ed25519", blob(1))
    path.write_text("# mine\n*.x something odd\ngh0 ssh-ed25519 " + b64(5))  # no newline at the end
    kh.append(path, "[gh1]:2222", "ssh-ed25519", blob(2))
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# mine", "*.x something odd"]
    assert kh.judge(kh.read([path]), "[gh1]:2222", blob(2))[0] == "known"
    assert kh.judge(kh.read([path]), "gh0", blob(5))[0] == "known"
    assert path.parent.stat().st_mode & 0o077 == 0


def test_hashed_names_and_fingerprint_agree_with_ssh_keygen(tmp_path: Path) -> None:
    require(shutil.which("ssh-keygen"), "ssh-keygen")
    key = tmp_path / "k"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    kind, data = key.with_suffix(".pub").read_text().split()[:2]
    path = tmp_path / "known_hosts"
    path.write_text(f"gh1.example {kind} {data}\n[gh1.example]:2222 {kind} {b64(7)}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "gh1" not in path.read_text()
    entries = kh.read([path])
    real = base64.b64decode(data)
    assert kh.judge(entries, "gh1.example", real)[0] == "known"
    assert kh.judge(entries, "[gh1.example]:2222", blob(7))[0] == "known"
    assert kh.judge(entries, "[gh1.example]:2222", real)[0] == "changed"
    assert kh.judge(entries, "gh2.example", real)[0] == "unknown"
    shown = subprocess.run(["ssh-keygen", "-l", "-f", key], capture_output=True, text=True).stdout
    assert kh.fingerprint(real) == shown.split()[1]


@given(st.text(), st.text(min_size=1))
def test_no_text_breaks_the_reader(text: str, name: str) -> None:
    assert kh.judge(kh.parse(text), name, blob(1))[0] in ("unknown", "known", "changed", "revoked")


@given(st.text("abc*?[]!,.|=", max_size=40), st.text("abc[]:12", min_size=1, max_size=20))
def test_no_pattern_breaks_the_match(patterns: str, name: str) -> None:
    assert kh.matches(patterns, name) in (True, False)
