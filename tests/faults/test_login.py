"""A login that fails while a job runs: who is told what, and the job's lines once it works again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import AuthenticationFailed, HostKeyChanged, LinkLost, RouteError
from remote.launch import DirectLauncher
from remote.mirror import Mirror
from remote.route import Route
from remote.sandbox import PASSCODE, Sandbox
from tests.conftest import require
from tests.faults.scene import COUNTER, JOB, Counting, Laptop, all_lines, complete, told
from tests.netns import NetnsBed
from tests.remote.local import py, until

WRONG = "0815-wrong"


class Operator:
    """Answers what was prepared; counts the questions."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def secret(self, title: str, prompt: str) -> str | None:
        self.asked += 1
        return self.answers.pop(0) if self.answers else None

    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        self.asked += len(prompts)
        return [self.answers.pop(0) for _ in prompts] if self.answers else None

    def accept_host_key(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> bool:
        return False


def go_on(route: Route, into: Path, job: Counting) -> None:
    """A new mirror over that route brings the rest."""
    mirror = Mirror(route.ensure, JOB, into).start()
    job.open()
    assert mirror.done.wait(60) and mirror.error is None
    all_lines(into, job.path)


def test_a_wrong_answer_to_the_second_factor(
    sandbox_with: Callable[..., Sandbox], tmp_path: Path
) -> None:
    sandbox = sandbox_with(second_factor=True)
    job, into = Counting(sandbox.host), tmp_path / "mirror"
    with Route(sandbox.host, Operator(sandbox.password, PASSCODE)) as route:
        DirectLauncher(route).start(py(COUNTER))
        mirror = Mirror(route.ensure, JOB, into).start()
        job.open(0)
        job.written(0)
        sandbox.cut()
        job.open(1)
        until(lambda: not route.alive)
        told(route.ensure, LinkLost)  # nobody is asked behind the operator's back
        mirror.stop()

        wrong = Operator(sandbox.password, WRONG)
        error = told(Route(sandbox.host, wrong).open, AuthenticationFailed)
        assert wrong.asked == 2 and error.what.startswith("jump host")
        assert WRONG not in str(error) and sandbox.password not in str(error)

        sandbox.deny_second_factor()
        error = told(
            Route(sandbox.host, Operator(sandbox.password, PASSCODE)).open, AuthenticationFailed
        )
        sandbox.all_clear()
        sandbox.slow_second_factor(2.0)
        route.reopen(Operator(sandbox.password, PASSCODE))
        go_on(route, into, job)


def test_a_certificate_ends_while_a_job_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    """The open connection lives on; the next login says which certificate ended when."""
    sandbox.renew_certificate()
    job, into = Counting(sandbox.host), tmp_path / "mirror"
    with Laptop(sandbox.host, into).begin() as laptop:
        sandbox.expire_certificate()
        job.open(0)
        laptop.has(0)
        sandbox.cut()
        assert laptop.mirror.done.wait(60)  # waiting mends nothing, so it ends
        error = complete(laptop.mirror.error, AuthenticationFailed)
        said = str(error)
        assert "cert" in said and "expired" in said, said
        sandbox.renew_certificate()
        laptop.route.reopen()
        go_on(laptop.route, into, job)


def test_a_key_is_revoked_on_the_jump_host_while_a_job_runs(bed: NetnsBed, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    job, into = Counting(bed.host), tmp_path / "mirror"
    with Laptop(bed.host, into).begin() as laptop:
        job.open(0)
        laptop.has(0)
        shutil.copy(bed.directory / "id_ed25519.pub", revoked)
        jump = bed.hop("jump")
        bed.jump_down()
        extra, jump.extra = jump.extra, f"RevokedKeys {revoked}\n{jump.extra}"
        bed.jump_up()
        assert laptop.mirror.done.wait(60)
        error = complete(laptop.mirror.error, AuthenticationFailed)
        assert error.what.startswith("jump host")
        assert str(bed.host.identity_file) in str(error)
        bed.jump_down()
        jump.extra = extra
        bed.jump_up()
        laptop.route.reopen()
        go_on(laptop.route, into, job)


def test_the_hosts_key_is_revoked_while_a_job_runs(bed: NetnsBed, tmp_path: Path) -> None:
    job, into = Counting(bed.host), tmp_path / "mirror"
    known = bed.host.known_hosts
    with Laptop(bed.host, into).begin() as laptop:
        job.open(0)
        laptop.has(0)
        before = known.read_text()
        key = next(line for line in before.splitlines() if line.startswith("gh200")).split(" ", 1)
        known.write_text(f"{before}@revoked * {key[1]}\n")
        bed.cut("host")
        assert laptop.mirror.done.wait(60)
        error = complete(laptop.mirror.error, HostKeyChanged)
        assert "revoked" in error.what and str(known) in str(error)
        known.write_text(before)
        laptop.route.reopen()
        go_on(laptop.route, into, job)


def test_no_more_sessions_than_the_host_allows(bed: NetnsBed, tmp_path: Path) -> None:
    """What is refused says so; the link and what runs on it are none the worse."""
    bed.host_down()
    host = bed.hop("host")
    host.extra = f"MaxSessions 3\n{host.extra}"
    bed.host_up()
    job, into = Counting(bed.host), tmp_path / "mirror"
    with Laptop(bed.host, into).begin() as laptop:  # the helper, and the follower
        job.open(0)
        laptop.has(0)
        held = laptop.route.execute(["cat"])
        error = told(lambda: laptop.route.execute(["true"]), RouteError)
        assert not isinstance(error, LinkLost) and "session" in str(error).lower(), str(error)
        assert laptop.route.alive
        assert laptop.launcher.state(JOB).active
        held.close()
        assert laptop.route.run(["echo", "room"], timeout=30).text == "room\n"
        job.open()
        laptop.whole(job)
        assert laptop.mirror.cuts == 0


def test_plain_ssh_agrees_about_the_revoked_key(bed: NetnsBed) -> None:
    """The bed itself: what our route is refused, OpenSSH's own client is refused too."""
    require(shutil.which("ssh"), "an ssh client")
    jump = bed.hop("jump")
    bed.jump_down()
    jump.extra = f"RevokedKeys {bed.directory}/id_ed25519.pub\n{jump.extra}"
    bed.jump_up()
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    argv = ["ssh", "-F", "none", *options, "-o", "BatchMode=yes", "-o", "IdentityAgent=none"]
    argv += ["-i", str(bed.host.identity_file), jump.address, "true"]
    done = subprocess.run(argv, capture_output=True)
    assert done.returncode == 255 and b"Permission denied" in done.stderr
