"""Host keys on real OpenSSH servers: authorities, revoked and changed keys, and what is said of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import HostKeyChanged, HostKeyUnknown
from remote.hosts import Host
from remote.leg import CIPHERS, DIGESTS, KEX
from remote.route import Route
from remote.trust import known_hosts as kh
from remote.trust.certificates import read_certificate, read_certificate_blob
from tests.openssh import Hop, public_key
from tests.remote.conftest import refused
from tests.remote.servers import host_of, keygen, new_key, server
from tests.remote.test_route import Operator

Make = Callable[..., tuple[Host, Hop]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A server whose host key has a certificate for `principal`; known_hosts begins empty."""
    started: list[Hop] = []

    def it(
        principal: str = "", validity: str = "-5m:+1h", kind: str = "ed25519"
    ) -> tuple[Host, Hop]:
        ca = new_key(tmp_path / "ca")
        key = new_key(tmp_path / "host_key", kind)
        extra = ""
        if principal:
            keygen("-s", ca, "-I", "h", "-h", "-n", principal, "-V", validity, f"{key}.pub")
            extra = f"HostCertificate {key}-cert.pub\n"
        hop = server(tmp_path, extra=extra)
        started.append(hop)
        (tmp_path / "known_hosts").write_text("# mine\n")
        return host_of([hop], tmp_path), hop

    yield it
    for hop in started:
        hop.stop()


def on_file(host: Host, line: str) -> None:
    with host.known_hosts.open("a") as f:
        f.write(line + "\n")


def words(path: Path) -> str:
    """Type and key of a public key file."""
    return " ".join(public_key(path).split()[:2])


def shown_by_keygen(path: Path) -> str:
    out = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True)
    return out.stdout.split()[1]


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_an_authority_on_file_vouches_for_the_host(make: Make, tmp_path: Path, kind: str) -> None:
    host, _ = make("host.test", kind=kind)
    on_file(host, f"@cert-authority *.test {words(tmp_path / 'ca')}")
    operator = Operator()
    with Route(host, operator) as route:
        assert route.alive
    assert operator.keys == [] and "host.test" not in host.known_hosts.read_text()


@pytest.mark.parametrize(
    ("principal", "validity", "says"),
    [
        ("other.test", "-5m:+1h", "is for other.test, not for host.test"),
        ("host.test", "20200101:20200201", "expired on 2020-"),
        ("", "", "no certificate, though"),
    ],
)
def test_a_host_that_its_authority_does_not_vouch_for(
    make: Make, tmp_path: Path, principal: str, validity: str, says: str
) -> None:
    """As with OpenSSH it is then a host like any other: unknown, and the reason is said."""
    host, _ = make(principal, validity)
    on_file(host, f"@cert-authority host.test {words(tmp_path / 'ca')}")
    error = refused(Route(host).open)
    assert isinstance(error, HostKeyUnknown) and says in error.why
    operator = Operator(accept=False)
    refused(Route(host, operator).open)
    assert says in operator.keys[0][0]


def test_another_authority_is_none(make: Make, tmp_path: Path) -> None:
    host, _ = make("host.test")
    on_file(host, f"@cert-authority *.test {words(new_key(tmp_path / 'other_ca'))}")
    error = refused(Route(host).open)
    assert isinstance(error, HostKeyUnknown) and "not on file" in error.why


def test_a_user_certificate_vouches_for_no_host(tmp_path: Path) -> None:
    key, ca = new_key(tmp_path / "k"), new_key(tmp_path / "ca")
    keygen("-s", ca, "-I", "u", "-n", "host.test", f"{key}.pub")
    certificate = read_certificate(tmp_path / "k-cert.pub")
    assert "one of a user" in certificate.host_fault("host.test")
    assert certificate.fault("host.test") == "" and certificate.signed
    keygen("-s", ca, "-I", "h", "-h", "-n", "host.test", "-O", "critical:x@y=z", f"{key}.pub")
    certificate = read_certificate(tmp_path / "k-cert.pub")
    assert "x@y" in certificate.host_fault("host.test")
    assert "one of a host" in certificate.fault("host.test")
    other = read_certificate_blob(certificate.blob[:-1] + bytes([certificate.blob[-1] ^ 1]))
    assert other is None or "wrong signature" in other.host_fault("host.test")


@given(st.binary(max_size=200))
def test_no_blob_breaks_the_certificate_reader(data: bytes) -> None:
    kind = b"ssh-ed25519-cert-v01@openssh.com"
    assert read_certificate_blob(data) is None
    assert read_certificate_blob(len(kind).to_bytes(4, "big") + kind + data) is None


@pytest.mark.parametrize("which", ["ca", "host_key"])
def test_revoked_keys_are_refused_even_with_a_certificate(
    make: Make, tmp_path: Path, which: str
) -> None:
    host, _ = make("host.test")
    on_file(host, f"@cert-authority *.test {words(tmp_path / 'ca')}")
    on_file(host, f"@revoked *.test {words(tmp_path / which)}")
    operator = Operator(accept=True)
    error = refused(Route(host, operator).open)
    assert isinstance(error, HostKeyChanged) and "revoked" in error.what and operator.keys == []
    assert f"{host.known_hosts}:3" in error.why


def test_a_revoked_bare_key_is_refused_though_it_is_on_file(make: Make, tmp_path: Path) -> None:
    host, hop = make()
    on_file(host, f"host.test {words(hop.key)}")
    with Route(host) as route:
        assert route.alive
    on_file(host, f"@revoked * {words(hop.key)}")
    error = refused(Route(host, Operator(accept=True)).open)
    assert isinstance(error, HostKeyChanged) and shown_by_keygen(hop.key) in error.what


def test_a_changed_key_shows_both_fingerprints_and_the_line(make: Make, tmp_path: Path) -> None:
    host, hop = make()
    old = new_key(tmp_path / "old")
    on_file(host, f"host.test {words(old)}")
    operator = Operator(accept=True)
    before = host.known_hosts.read_bytes()
    error = refused(Route(host, operator).open)
    assert isinstance(error, HostKeyChanged)
    assert shown_by_keygen(hop.key) in error.what and shown_by_keygen(old) in error.why
    assert f"{host.known_hosts}:2" in error.why
    assert operator.keys == [] and host.known_hosts.read_bytes() == before


def test_hashed_and_wildcard_lines(make: Make, tmp_path: Path) -> None:
    host, hop = make()
    on_file(host, f"host.test {words(hop.key)}")
    keygen("-H", "-f", host.known_hosts)
    assert "host.test" not in host.known_hosts.read_text()
    with Route(host) as route:
        assert route.alive
    host.known_hosts.write_text(f"*.test,!host.test {words(hop.key)}\n")
    assert isinstance(refused(Route(host).open), HostKeyUnknown)
    host.known_hosts.write_text(f"h?st.* {words(hop.key)}\n")
    with Route(host) as route:
        assert route.alive


def test_a_key_on_file_without_the_port_is_taken_as_openssh_does(make: Make) -> None:
    from dataclasses import replace

    host, hop = make()
    host = replace(host, host_key_alias=None)
    on_file(host, f"127.0.0.1 {words(hop.key)}")
    with Route(host) as route:
        assert route.alive
    on_file(host, f"@revoked 127.0.0.1 {words(hop.key)}")
    assert "revoked" in refused(Route(host).open).what


def test_only_the_short_lists_are_spoken(make: Make) -> None:
    host, hop = make()
    on_file(host, f"host.test {words(hop.key)}")
    with Route(host) as route:
        transport = route._legs[0].transport
        assert transport.local_cipher == transport.remote_cipher == CIPHERS[0]
        assert set(transport.preferred_kex) <= set(KEX)
        assert set(transport.preferred_macs) == set(DIGESTS)
    assert all(
        "sha1" not in a and "md5" not in a and "cbc" not in a for a in CIPHERS + DIGESTS + KEX
    )


# -- writing --------------------------------------------------------------------------------

BLOB = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes(32)


def test_writing_keeps_mode_lines_and_link(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles", tmp_path / "known_hosts"
    real.write_bytes(b"# mine \xff\xfe\n@revoked * x y\nno newline")
    real.chmod(0o640)
    link.symlink_to(real)
    kh.append(link, "a.test", "ssh-ed25519", BLOB)
    kh.append(link, "b.test", "ssh-ed25519", BLOB)
    data = real.read_bytes()
    assert data.startswith(b"# mine \xff\xfe\n@revoked * x y\nno newline\na.test ssh-ed25519 ")
    assert data.count(b"\n") == 5 and link.is_symlink() and real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "name", ["*", "a,b", "!a", "a b", "|1|x", "@revoked", "#a", "a\nb", "-a", ""]
)
def test_a_name_that_would_speak_of_others_is_never_written(tmp_path: Path, name: str) -> None:
    error = refused(lambda: kh.append(tmp_path / "k", name, "ssh-ed25519", BLOB))
    assert error.exit_code == 2 and not (tmp_path / "k").exists()


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """The kernel's own limit on a file's size stands for the disk: the write is cut short, then fails."""
    path = tmp_path / "k"
    before = b"# " + b"x" * 4000 + b"\n"
    path.write_bytes(before)
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from core.errors import DiskFull\n"
        "from remote.trust import known_hosts\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    known_hosts.append(Path(sys.argv[1]), 'a', 'ssh-ed25519', bytes(64))\n"
        "except DiskFull as e:\n"
        "    print(e.try_next)\n"
    )
    for limit in (len(before), len(before) + 20):
        done = run_python(code, str(path), str(limit))
        assert "make room" in done and path.read_bytes() == before
    assert run_python(code, str(path), "100000") == "" and len(path.read_bytes()) > len(before)


def run_python(code: str, *words: Any) -> str:
    import sys

    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    ).stdout
