"""The link process: one login for every program of the day, whatever becomes of the programs."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import AuthenticationFailed, Cancelled, HostKeyUnknown, LinkLost
from core.jobdir import JobSpec
from remote.hosts import Host
from remote.launch import DirectLauncher
from remote.linking import definition
from remote.linking.link_route import LinkRoute
from remote.linking.living import Living, disconnect, living
from remote.mirror import Mirror
from remote.sandbox import PASSCODE, Sandbox
from remote.shared.owner import run_folder, socket_path
from tests.netns import NetnsBed
from tests.openssh import OpenSSHPair
from tests.processes import alive
from tests.remote.conftest import end_jobs, refused
from tests.remote.local import until
from tests.remote.test_route import Operator


@pytest.fixture(autouse=True)
def no_link_stays(own_places: None) -> Iterator[None]:
    yield
    for link in list(living()):
        disconnect(link.host)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[OpenSSHPair]:
    with OpenSSHPair(tmp_path / "ssh") as it:
        yield it
        end_jobs(Path(it.host.workdir))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    """Its jump host asks for a password and a passcode."""
    with Sandbox(tmp_path / "box", second_factor=True) as it:
        yield it


def kept(host: Host) -> Host:
    return replace(host, link_hours=8.0)


def the_link() -> Living:
    (only,) = living()
    return only


def knowing(box: Sandbox, times: int = 1) -> Operator:
    return Operator(answers=[box.password, PASSCODE] * times)


PROGRAM = """
import pickle, sys
from remote.auth import NoPrompter
from remote.linking.link_route import LinkRoute
host = pickle.load(sys.stdin.buffer)
with LinkRoute(host, 20.0) as route:
    route.open(NoPrompter())
    print(route.run(["echo", "there"], timeout=60).text, end="")
print("paramiko" in sys.modules)
"""


def program(host: Host, script: str = PROGRAM) -> subprocess.Popen[bytes]:
    """Another program of this desk, where nobody sits."""
    it = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert it.stdin
    it.stdin.write(pickle.dumps(host))
    it.stdin.close()
    return it


def said(it: subprocess.Popen[bytes]) -> bytes:
    assert it.stdout
    with it, it.stdout:
        return it.stdout.read()


# -- one login --------------------------------------------------------------------------------


def test_who_comes_after_the_login_is_asked_nothing(box: Sandbox) -> None:
    host, operator = kept(box.host), knowing(box)
    with LinkRoute(host) as app:
        app.open(operator)
        assert app.status().state == "up" and len(operator.prompts) == 2
        pid = the_link().pid
    assert said(program(host)) == b"there\nFalse\n"  # nor does it load an SSH library
    with LinkRoute(host) as app:
        app.open(Operator())
        assert [hop.name for hop in app.status().hops] == [h.name for h in the_link().hops]
    assert the_link().pid == pid and len(operator.prompts) == 2


def test_a_program_that_is_killed_leaves_the_link(pair: OpenSSHPair) -> None:
    host = kept(pair.host)
    script = PROGRAM + "sys.stdout.flush(); route.open(); import time; time.sleep(600)"
    first = program(host, script)
    assert first.stdout and first.stdout.readline() == b"there\n"
    first.kill()
    said(first)
    pid = the_link().pid
    assert said(program(host)) == b"there\nFalse\n" and the_link().pid == pid


def test_two_that_start_at_once_start_one(pair: OpenSSHPair) -> None:
    host = kept(pair.host)
    programs = [program(host) for _ in range(4)]
    assert [said(p) for p in programs] == [b"there\nFalse\n"] * 4
    log = pair.hop("jump").log.read_text()
    assert len(list(living())) == 1 and log.count("Accepted publickey") == 1


def test_one_login_for_two_that_are_asked_at_once(box: Sandbox) -> None:
    host, operator, second = kept(box.host), knowing(box), Operator()
    asked, go_on = threading.Event(), threading.Event()

    class Slow(Operator):
        def answer(self, *about: Any) -> list[str] | None:
            asked.set()
            assert go_on.wait(60)
            return operator.answer(*about)

    with LinkRoute(host) as one, LinkRoute(host) as other:
        first = threading.Thread(target=lambda: one.open(Slow()))
        first.start()
        assert asked.wait(60)
        late = threading.Thread(target=lambda: other.open(second))
        late.start()
        until(lambda: other.status().state == "connecting")
        go_on.set()
        first.join(60)
        late.join(60)
        assert one.alive and other.alive and second.prompts == []


# -- questions --------------------------------------------------------------------------------


def test_no_is_an_answer_and_the_next_one_is_asked_again(box: Sandbox) -> None:
    host = kept(box.host)
    with LinkRoute(host) as route:
        assert isinstance(refused(lambda: route.open(Operator())), Cancelled)
        assert route.status().state == "failed"
        wrong = Operator(answers=[box.password, "000000"])
        assert isinstance(refused(lambda: route.open(wrong)), AuthenticationFailed)
        assert isinstance(refused(route.open), AuthenticationFailed)  # nobody is there
        route.open(knowing(box))
        assert route.run(["echo", "1"], timeout=60).text == "1\n"


def test_who_is_killed_while_asked_has_said_no(box: Sandbox) -> None:
    host = kept(box.host)
    script = """
import pickle, sys, time
from remote.linking.link_route import LinkRoute
class Operator:
    def answer(self, *about):
        print("asked", flush=True)
        time.sleep(600)
LinkRoute(pickle.load(sys.stdin.buffer)).open(Operator())
"""
    first = program(host, script)
    assert first.stdout and first.stdout.readline() == b"asked\n"
    with LinkRoute(host) as route:
        opened = threading.Thread(target=lambda: route.open(knowing(box)))
        opened.start()
        until(lambda: route.status().state == "connecting")
        first.kill()
        said(first)
        opened.join(60)
        assert route.alive


def test_an_unknown_host_key_is_shown_and_no_is_the_default(pair: OpenSSHPair) -> None:
    host = kept(pair.host)
    before = host.known_hosts.read_bytes()
    host.known_hosts.write_bytes(b"")
    with LinkRoute(host) as route:
        assert isinstance(refused(route.open), HostKeyUnknown)
        no, yes = Operator(), Operator(accept=True)
        assert isinstance(refused(lambda: route.open(no)), HostKeyUnknown)
        assert no.keys[0][2].startswith("SHA256:") and not host.known_hosts.read_bytes()
        route.open(yes)
        assert len(yes.keys) == 2 and yes.keys[0] == no.keys[0]
    assert host.known_hosts.read_bytes().split() == before.split()[3:] + before.split()[:3]


def test_what_is_typed_is_nowhere_but_in_the_login(box: Sandbox, tmp_path: Path) -> None:
    with LinkRoute(kept(box.host)) as route:
        route.open(knowing(box))
        pid = the_link().pid
    # where the state folder's path is too long for a socket, the run folder is another one
    found = {*(tmp_path / "state").rglob("*"), *run_folder().rglob("*")}
    places = [p for p in found if p.is_file()]
    places += [Path(f"/proc/{pid}/{name}") for name in ("cmdline", "environ")]
    assert any(p.suffix == ".log" for p in places)
    for place in places:
        assert box.password.encode() not in place.read_bytes(), place
    for path in run_folder().iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


# -- what goes wrong ----------------------------------------------------------------------------


def test_kill_9_is_noticed_and_mended_where_a_key_suffices(pair: OpenSSHPair) -> None:
    with LinkRoute(kept(pair.host)) as route:
        route.open()
        route.keep_up()
        lost = threading.Event()
        route.on_lost.append(lost.set)
        stream, pid = route.execute(["cat"]), the_link().pid
        os.kill(pid, signal.SIGKILL)
        assert isinstance(refused(lambda: stream.recv(60)), LinkLost)
        assert lost.wait(60)
        until(lambda: route.alive)
        assert route.run(["echo", "1"], timeout=60).text == "1\n" and the_link().pid != pid


def test_kill_9_waits_for_a_person_where_one_is_needed(box: Sandbox) -> None:
    with LinkRoute(kept(box.host)) as route:
        operator = knowing(box, 2)
        route.open(operator)
        route.keep_up()
        os.kill(the_link().pid, signal.SIGKILL)
        until(lambda: route.status().needs_you)
        assert route.status().state == "lost" and list(living()) == []
        assert "needs you" in refused(route.ensure).what and len(operator.prompts) == 2
        route.open(operator)
        assert route.alive and len(operator.prompts) == 4


def test_a_passphrase_went_with_the_process(tmp_path: Path) -> None:
    """The key was opened in the memory of the link process, so the next one needs the operator."""
    with OpenSSHPair(tmp_path / "ssh") as pair:
        key = tmp_path / "ssh" / "id_ed25519"
        words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)]
        subprocess.run(words, check=True)
        operator = Operator(secrets=["open sesame"] * 2)
        with LinkRoute(kept(pair.host)) as route:
            route.open(operator)
            route.keep_up()
            assert len(operator.titles) == 1  # two hops, one key
            os.kill(the_link().pid, signal.SIGKILL)
            until(lambda: route.status().needs_you)
            assert route.status().state == "lost"
            route.open(operator)
            assert route.alive and len(operator.titles) == 2


def test_a_cut_link_comes_back_in_the_same_process(pair: OpenSSHPair) -> None:
    with LinkRoute(kept(pair.host)) as route:
        route.open()
        pid, lost, up = the_link().pid, threading.Event(), threading.Event()
        route.on_lost.append(lost.set)
        route.on_up.append(up.set)
        helper = route.helper()
        pair.cut()
        assert lost.wait(60) and up.wait(60)
        assert isinstance(refused(lambda: [helper.call("ping") for _ in range(1000)]), LinkLost)
        assert route.helper().call("ping")["now"] > 0 and the_link().pid == pid


def test_a_command_waits_for_a_link_that_is_coming_back(pair: OpenSSHPair) -> None:
    host = kept(pair.host)
    with LinkRoute(host) as app, LinkRoute(host, 60.0) as command:
        app.open()
        command.open()
        pair.jump_down()
        until(lambda: not app.alive and not command.alive)
        assert refused(lambda: app.run(["true"], timeout=5)).exit_code == 3  # the app does not
        answers: list[str] = []

        def run() -> None:
            answers.append(command.run(["echo", "late"], timeout=60).text)
            command.ensure()

        waiting = threading.Thread(target=run)
        waiting.start()
        pair.jump_up()
        waiting.join(90)
        assert answers == ["late\n"] and command.alive


def test_a_cable_is_pulled_and_put_back(tmp_path: Path) -> None:
    with NetnsBed(tmp_path / "bed") as bed:
        host = kept(bed.host)
        with LinkRoute(host) as app:
            app.open()
            pid = the_link().pid
            bed.net.link_down()
            until(lambda: app.status().state == "lost")
            assert not app.status().needs_you and app.attached
            late = program(host)  # a command that is given meanwhile
            until(lambda: app.status().retry_at is not None)
            bed.net.link_up()
            assert said(late) == b"there\nFalse\n"
            until(lambda: app.alive)
            assert the_link().pid == pid


def test_ended_on_purpose_it_does_not_come_back_by_itself(pair: OpenSSHPair) -> None:
    host = kept(pair.host)
    with LinkRoute(host) as route:
        route.open()
        route.keep_up()
        pid = the_link().pid
        assert disconnect("another") == [] and disconnect(host.name) == [pid]
        until(lambda: route.status().state == "lost")
        assert route.status().needs_you and "on purpose" in refused(route.ensure).what
        assert list(living()) == []
        route.open()
        assert route.alive


def test_sigterm_ends_it_cleanly(pair: OpenSSHPair) -> None:
    host = kept(pair.host)
    with LinkRoute(host) as route:
        route.open()
        pid = the_link().pid
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid))
        assert not socket_path(host).exists() and route.status().state == "lost"
        assert "ended" in socket_path(host).with_suffix(".log").read_text()
        route.ensure()
        assert route.alive and the_link().pid != pid


def test_a_socket_left_behind_and_one_that_does_not_answer(
    pair: OpenSSHPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, path = kept(pair.host), socket_path(pair.host)
    path.parent.mkdir(mode=0o700, parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with LinkRoute(host) as route:
        route.open()
        pid = the_link().pid
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr("remote.shared.duplex.HELLO_S", 0.5)
        monkeypatch.setattr("remote.linking.starting.LEAVE_S", 0.5)
        error = refused(lambda: route.tcp(22))
        assert isinstance(error, LinkLost) and "does not answer" in error.what
    with LinkRoute(host) as route:
        error = refused(route.open)
    assert isinstance(error, LinkLost) and f"disconnect {host.name}" in error.try_next
    assert disconnect(host.name) == [pid]
    until(lambda: not alive(pid))


def test_other_settings_or_other_code_replace_it_and_who_used_it_does_not_take_it_back(
    pair: OpenSSHPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = kept(pair.host)
    with LinkRoute(host) as old, LinkRoute(replace(host, link_hours=7.0)) as new:
        old.open()
        old.keep_up()
        first = the_link().pid
        new.open()
        second = the_link().pid
        assert first != second and new.alive
        until(lambda: old.status().state == "lost")
        assert isinstance(refused(old.ensure), LinkLost)
        error = refused(old.open)
        assert "other settings" in error.what and error.try_next and the_link().pid == second
    monkeypatch.setattr(definition, "version", lambda: "newer")
    monkeypatch.setattr("remote.linking.starting.version", lambda: "newer")
    with LinkRoute(replace(host, link_hours=7.0)) as newer:
        newer.open()
        assert newer.alive and the_link().pid not in (first, second)


def test_it_ends_when_nobody_wants_or_can_reach_it(pair: OpenSSHPair) -> None:
    used_up, out_of_reach = replace(pair.host, link_hours=0.0), kept(replace(pair.host, name="o"))
    with LinkRoute(used_up) as a, LinkRoute(out_of_reach) as b:
        a.open()
        b.open()
        pids = [link.pid for link in living()]
        socket_path(out_of_reach).unlink()
    assert len(pids) == 2
    until(lambda: not any(map(alive, pids)))


def test_a_login_that_never_came_about_is_not_kept(pair: OpenSSHPair) -> None:
    pair.jump_down()
    with LinkRoute(kept(pair.host)) as route:
        assert refused(route.open).exit_code == 3
        pid = the_link().pid
    until(lambda: not alive(pid))


# -- load -------------------------------------------------------------------------------------

FLOOD = """
import os
for n in range(0, 300_000, 500):
    os.write(1, b"".join(b"%09d %s\\n" % (k, b"x" * 89) for k in range(n, n + 500)))
"""


def test_a_flood_is_mirrored_whole_and_the_link_keeps_answering(
    pair: OpenSSHPair, tmp_path: Path
) -> None:
    host = kept(pair.host)
    with LinkRoute(host) as route, LinkRoute(host, 20.0) as beside:
        route.open()
        beside.open()
        job = JobSpec("flood", "train", [sys.executable, "-I", "-S", "-c", FLOOD])
        DirectLauncher(route).start(job)
        mirror = Mirror(route.ensure, "flood", tmp_path / "in").start()
        answers = 0
        while not mirror.done.wait(0.05):
            assert beside.helper().call("ping")["now"] > 0
            answers += 1
        assert mirror.error is None and mirror.cuts == 0 and answers
        there = Path(host.workdir) / "jobs" / "flood" / "output.log"
        assert (tmp_path / "in" / "output.log").read_bytes() == there.read_bytes()
        assert route.alive


@pytest.mark.parametrize("changed", ["agent/frames.py", "errors.py", "shared/duplex.py"])
def test_other_words_between_the_two_are_another_version(
    changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remote.linking import definition

    read = Path.read_bytes

    def other(path: Path) -> bytes:
        return read(path) + (b"#" if path.as_posix().endswith(changed) else b"")

    before = definition.version.__wrapped__()
    monkeypatch.setattr(Path, "read_bytes", other)
    assert definition.version.__wrapped__() != before
