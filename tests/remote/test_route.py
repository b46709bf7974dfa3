"""The route on real servers: what works, and what is said when a hop does not."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import (
    AuthenticationFailed,
    Cancelled,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
    LinkLost,
    MissingComponent,
    RouteError,
)
from remote.hops import Jump
from remote.hosts import Host
from remote.route import Route
from remote.sandbox import Sandbox
from tests.remote.conftest import refused
from tests.remote.local import until

JUMP, HOST = "jump host", "host "


class Operator:
    """Gives prepared answers and remembers the questions."""

    def __init__(
        self, accept: bool = False, answers: Sequence[str] = (), secrets: Sequence[str] = ()
    ) -> None:
        self.accept, self.answers, self.secrets = accept, list(answers), list(secrets)
        self.titles: list[str] = []
        self.keys: list[tuple[str, str, str]] = []
        self.prompts: list[tuple[str, bool]] = []

    def accept_host_key(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> bool:
        self.keys.append((hop, name, fingerprint))
        return self.accept

    def secret(self, title: str, prompt: str) -> str | None:
        self.titles.append(title)
        return self.secrets.pop(0) if self.secrets else None

    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        self.prompts += prompts
        return [self.answers.pop(0) for _ in prompts] if self.answers else None


def with_jump(host: Host, **changes: Any) -> Host:
    assert host.jump
    return replace(host, jumps=(replace(host.jump, **changes),))


def test_status_names_both_hops_with_their_round_trips(pair: Any) -> None:
    route = Route(pair.host)
    assert route.status().state == "off" and len(route.status().hops) == 2
    with route:
        until(lambda: all(hop.rtt_ms is not None for hop in route.status().hops))
        status = route.status()
        assert status.state == "up" and status.error is None and status.last_heard
        assert [hop.name for hop in status.hops] == [
            f"jump host {pair.host.jump.host_key_alias}", f"host {pair.host.name}"
        ]  # fmt: skip
    assert route.status().state == "off" and not route.alive


def test_commands_arrive_word_for_word(route: Route) -> None:
    words = [
        "a b",
        "$HOME",
        "`id`",
        "'",
        '"',
        "\\",
        "",
        "*",
        "!x",
        "-n",
        ";true",
        "ü✓",
        "a\nb",
        "~",
    ]
    done = route.run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *words], timeout=20)
    assert (done.code, done.text) == (0, f"{words!r}\n")


def test_exit_code_stderr_and_input(route: Route) -> None:
    done = route.run(["sh", "-c", "cat; echo no >&2; exit 7"], timeout=20, input=b"x" * 300_000)
    assert (done.code, len(done.stdout), done.stderr) == (7, 300_000, b"no\n")
    assert route.run(["cat"], timeout=20).stdout == b""


def test_a_command_that_takes_or_prints_too_much_is_given_up(route: Route) -> None:
    assert isinstance(refused(lambda: route.run(["sleep", "30"], timeout=0.3)), RouteError)
    error = refused(lambda: route.run(["yes"], timeout=30, max_output=100_000))
    assert "more than 100000" in error.what
    assert route.alive and route.run(["echo", "on"], timeout=20).text == "on\n"


def test_many_short_commands_at_once_leave_the_connection_whole(route: Route) -> None:
    """Half-closing such channels would end it: see remote.route.Route.run."""
    codes: list[int] = []

    def work() -> None:
        for _ in range(20):
            codes.append(route.run(["true"], timeout=60).code)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 120 and route.alive


def test_sftp_sees_the_same_files(route: Route) -> None:
    with route.sftp() as sftp, sftp.open(f"{route.host.workdir}/note", "w") as f:
        f.write("hello")
    assert (Path(route.host.workdir) / "note").read_text() == "hello"


def test_wrong_key_names_the_hop(pair: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    error = refused(Route(with_jump(pair.host, identity_file=other)).open)
    assert isinstance(error, AuthenticationFailed) and error.what.startswith(JUMP)
    assert str(other) in error.why and "publickey" in error.why
    error = refused(Route(replace(pair.host, identity_file=other)).open)
    assert isinstance(error, AuthenticationFailed) and error.what.startswith(HOST)
    error = refused(Route(replace(pair.host, identity_file=tmp_path / "none")).open)
    assert isinstance(error, AuthenticationFailed) and "no private key" in error.what


def test_a_key_with_a_passphrase_is_asked_for(pair: Any, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    shutil.copy(pair.host.identity_file, key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open me", "-f", key], check=True)

    host = replace(pair.host, identity_file=key)
    operator = Operator(secrets=["wrong", "open me"])
    route = Route(host, operator)
    route.open()
    assert route.alive and len(operator.titles) == 2 and str(key) in operator.titles[0]
    route.close()
    assert isinstance(refused(Route(host, Operator()).open), Cancelled)
    assert isinstance(refused(Route(host).open), AuthenticationFailed)
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    assert "cannot be read" in refused(Route(host).open).what


def test_host_down_behind_a_jump_host_that_is_up(pair: Any) -> None:
    pair.host_down()
    route = Route(pair.host)
    error = refused(route.open)
    assert isinstance(error, HostUnreachable)
    assert "is up, but host" in error.what and error.try_next
    assert route.status().state == "failed" and route.status().error is error
    pair.host_up()
    route.open()
    assert route.alive
    route.close()


def test_jump_down_or_not_found(pair: Any) -> None:
    host = pair.host
    pair.stop()
    error = refused(Route(host).open)
    assert isinstance(error, HostUnreachable) and error.what.startswith(JUMP)
    assert "refused" in error.why
    error = refused(Route(with_jump(host, address="no-such-host.invalid")).open)
    assert isinstance(error, HostUnreachable) and "cannot be found" in error.what
    pair.start()


def test_something_that_is_not_ssh(pair: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as c:
                c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        error = refused(Route(with_jump(pair.host, port=server.getsockname()[1])).open)
    assert isinstance(error, HostUnreachable) and "not as an SSH server" in error.what


def test_a_port_that_takes_connections_and_says_nothing(
    pair: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a VPN that went silent. It must be a typed error: anything else ends who tries again."""
    monkeypatch.setattr("remote.leg.HANDSHAKE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = with_jump(pair.host, port=server.getsockname()[1])
        with pytest.raises(HostUnreachable, match="says nothing") as caught:
            Route(host).open()
    assert caught.value.why and "VPN" in caught.value.try_next


@pytest.mark.parametrize("hop", ["host", "jump"])
def test_changed_host_key_is_a_hard_stop(pair: Any, hop: str) -> None:
    pair.new_host_key(hop)
    operator = Operator(accept=True)
    error = refused(Route(pair.host, operator).open)
    assert isinstance(error, HostKeyChanged)
    assert error.what.startswith(JUMP if hop == "jump" else HOST)
    assert "known_hosts:" in error.why and not operator.keys


def test_unknown_host_keys_are_asked_for_once(pair: Any, tmp_path: Path) -> None:
    host = replace(pair.host, known_hosts=tmp_path / "own" / "known_hosts")
    error = refused(Route(host).open)
    assert isinstance(error, HostKeyUnknown) and "SHA256:" in error.what
    operator = Operator(accept=True)
    Route(host, operator).open()
    assert [hop.split()[0] for hop, _, _ in operator.keys] == ["jump", "host"]
    assert [name for _, name, _ in operator.keys] == [
        pair.host.jump.host_key_alias, pair.host.host_key_alias
    ]  # fmt: skip
    again = Operator(accept=False)
    route = Route(host, again)
    route.open()
    assert route.alive and not again.keys
    # without an alias the address and port are the name
    host = replace(with_jump(host, host_key_alias=None), host_key_alias=None)
    asked = Operator(accept=True)
    Route(host, asked).open()
    assert asked.keys[0][1] == f"[127.0.0.1]:{pair.host.jump.port}"
    also = replace(pair.host, known_hosts=tmp_path / "x", known_hosts_also=(pair.host.known_hosts,))
    Route(also).open()


def test_a_cut_link_is_noticed_and_opened_again(
    pair: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    route = Route(pair.host)
    calls: list[int] = []
    route.on_lost.append(lambda: calls.append(1))
    route.open()
    helper = route.helper()
    pair.cut()
    until(lambda: route.status().state == "lost" and calls)
    assert isinstance(route.status().error, LinkLost) and not route.alive and len(calls) == 1
    assert isinstance(refused(lambda: helper.call("ping")), LinkLost)
    assert isinstance(refused(lambda: route.run(["true"], timeout=5)), LinkLost)
    route.ensure()
    assert route.status().state == "up" and route.helper().call("ping")
    route.reopen()
    assert route.helper().call("ping")
    route.close()
    assert capfd.readouterr() == ("", "")  # nothing over the screen


def test_a_silent_link_is_noticed(pair: Any) -> None:
    route = Route(pair.host)
    route.open()
    waiting: list[Any] = []
    thread = threading.Thread(
        target=lambda: waiting.append(refused(lambda: route.run(["sleep", "60"], timeout=60)))
    )
    thread.start()
    pair.freeze()
    until(lambda: route.status().state == "lost")
    error = route.status().error
    assert error is not None and "has not answered" in error.why
    thread.join(20)  # whoever waited is let go
    assert waiting, "and is told of the cut"
    assert isinstance(waiting[0], LinkLost)
    pair.thaw()
    route.ensure()
    assert route.alive
    route.close()


def test_no_python_on_the_host(pair: Any) -> None:
    with Route(replace(pair.host, python="/no/such/python3")) as route:
        error = refused(route.helper)
        assert isinstance(error, MissingComponent) and "/no/such/python3" in error.what
        assert route.alive


def test_second_factor(tmp_path: Path) -> None:
    from remote.sandbox.sandbox import PASSCODE

    with Sandbox(tmp_path / "box", second_factor=True) as box:
        operator = Operator(answers=[box.password, PASSCODE])
        route = Route(box.host, operator)
        route.open()
        assert route.alive
        assert [echo for _, echo in operator.prompts] == [False, True]
        box.cut()
        until(lambda: route.status().state == "lost")
        error = refused(route.ensure)  # never asks by itself
        assert isinstance(error, LinkLost) and "needs you" in error.what
        assert isinstance(refused(Route(box.host).open), AuthenticationFailed)
        assert isinstance(refused(Route(box.host, Operator()).open), Cancelled)
        wrong = Route(box.host, Operator(answers=["no", "no", "no"]))
        assert isinstance(refused(wrong.open), AuthenticationFailed)


def test_without_a_jump_host(tmp_path: Path) -> None:
    from tests.openssh import OpenSSHPair

    with OpenSSHPair(tmp_path / "pair") as pair, Route(replace(pair.host, jumps=())) as route:
        assert len(route.status().hops) == 1
        assert route.run(["echo", "direct"], timeout=20).text == "direct\n"


def test_types_cost_no_ssh_library() -> None:
    code = (
        "import sys, remote.hosts, remote.auth, remote.status, remote.launch, remote.mirror, "
        "remote.sync, remote.readings\n"
        "bad = {'paramiko', 'cryptography', 'pydantic', 'yaml', 'textual'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_jump_is_a_plain_value() -> None:
    assert Jump("j") == Jump("j", 22, "", None, None)
