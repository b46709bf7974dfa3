"""The detached process beside one job: starts it, waits, stops it, writes down how it ended.

It is out of reach of the login: own session, no terminal, no open stdio. It holds the accelerator's
lock and passes the descriptor on to the job. SIGTERM asks the job's process group to end, and after
the grace kills whatever is left of it; SIGUSR1 kills at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import time
from typing import Any

from remote.agent import jobs, locks, procs

EXIT_PREEMPTED = 75  # stopped at a checkpoint
LEFTOVER_GRACE_S = 3.0
TOUCH_S = 600.0  # keeps folder tidiers away from the lock file


def run(workdir: str, job: str) -> dict[str, Any]:
    """Start the runner of `job` in the background; returns its first word: {state} or {error}."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        try:
            os.close(read)
            _run_detached(workdir, job, write)
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as f:
        answer = f.read()
    if not answer:
        return {"error": {"code": "runner", "what": "the runner ended without a word"}}
    return dict(json.loads(answer))


def _run_detached(workdir: str, job: str, report: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.umask(0o077)
    os.chdir(job)
    runner = Runner(workdir, job)
    try:
        first = {"state": runner.start()}
    except jobs.Problem as e:
        first = {"error": e.as_dict()}
    except OSError as e:
        first = {"error": {"code": "disk", "what": "the job could not be recorded: %s" % e}}
    os.write(report, json.dumps(first).encode())
    os.close(report)
    if runner.process is not None:
        runner.wait()


class Runner:
    def __init__(self, workdir: str, job: str) -> None:
        self.workdir = workdir
        self.job = job
        self.process: subprocess.Popen[bytes] | None = None
        self.lock: int | None = None
        self.grace = 30.0
        self.stop_asked = self.kill_asked = False
        self.state: dict[str, Any] = {}

    # -- start ------------------------------------------------------------------------------

    def start(self) -> dict[str, Any]:
        """Start the job once; for a job that has a state already, only say how it stands."""
        guard = os.open(self._path(".runner"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return jobs.truth(self.job)
        if jobs.read_state(self.job) is not None:
            return jobs.truth(self.job)
        with open(self._path("spec.json"), "rb") as f:
            spec = json.loads(f.read())
        if spec.get("accelerator"):
            self.lock = locks.acquire(
                locks.locks_dir(self.workdir), spec["accelerator"], os.path.basename(self.job)
            )
        self.grace = float(spec.get("grace_s", self.grace))
        self._catch_signals()
        procs.become_subreaper()
        jobs.make_spare(self._path(".spare"))
        me = os.getpid()
        self.state = {
            "status": "starting",
            "runner_pid": me,
            "runner_pid_start": procs.start_mark(me),
            "boot_id": procs.boot_id(),
            "submitted_at": time.time(),
        }
        self._save()
        self._spawn(spec)
        return self.state

    def _spawn(self, spec: dict[str, Any]) -> None:
        env = dict(os.environ)
        env.update(spec.get("env") or {})
        env.update([(jobs.MARK[:-1], os.path.abspath(self.job))])
        env["QA_JOB_ID"] = os.path.basename(self.job)
        command = list(spec.get("command") or [""])
        try:
            log = os.open(self._path("output.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                self.process = subprocess.Popen(
                    command,
                    cwd=self.job,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=() if self.lock is None else (self.lock,),
                )
            finally:
                os.close(log)
        except (OSError, ValueError) as e:
            why = getattr(e, "strerror", None) or str(e)
            self._end("failed", reason="cannot start %s: %s" % (command[0] or "nothing", why))
            return
        self.state.update(
            status="running",
            started_at=time.time(),
            pid=self.process.pid,
            pid_start=procs.start_mark(self.process.pid, zombie=True),
        )
        self._save()

    # -- wait -------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until the job has ended and nothing of it is left; then the last word."""
        assert self.process is not None
        pid = self.process.pid
        status = None
        deadline = None
        touched = time.monotonic()
        while status is None:
            status = self._reap(pid)
            if status is not None:
                break
            now = time.monotonic()
            if self.stop_asked and deadline is None:
                deadline = now + self.grace
                self.state["status"] = "stopping"
                self._save()
                procs.send_signal(pid, signal.SIGTERM, group=True)
            if self.kill_asked or (deadline is not None and now >= deadline):
                self.kill_asked, self.stop_asked = False, True
                deadline = deadline or now
                self._kill_all(pid, signal.SIGKILL)
            if self.lock is not None and now - touched > TOUCH_S:
                os.utime(self.lock)
                touched = now
            self._doze(0.2 if deadline is not None else 5.0)
        self.process.returncode = status  # it is reaped; tell Popen so
        self._sweep(pid)
        self._record_end(status)

    def _reap(self, pid: int) -> int | None:
        """Collect ended children, adopted ones too; the wait status of `pid` once it is there."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if ended == 0:
                return None
            if ended == pid:
                return status

    def _sweep(self, pid: int) -> None:
        """End what the job left behind: it would keep the accelerator."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._kill_all(pid, number)
            deadline = time.monotonic() + LEFTOVER_GRACE_S
            while time.monotonic() < deadline:
                self._reap(-1)
                if not self._has_children():
                    return
                self._doze(0.05)

    def _has_children(self) -> bool:
        try:
            return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def _kill_all(self, pid: int, number: int) -> bool:
        """Signal the group (only while its leader is unreaped: else the number may be another's)
        and everything below the runner. True if anything was there."""
        hit = False
        unreaped = self.process is not None and self.process.returncode is None
        if unreaped or not procs.LINUX:
            hit = procs.send_signal(pid, number, group=True)
        for child in procs.descendants(os.getpid()):
            hit = procs.send_signal(child, number) or hit
        return hit

    def _record_end(self, status: int) -> None:
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            end = "stopped" if self.stop_asked else "failed"
            oom = number == signal.SIGKILL and not self.stop_asked
            hint = "; often the kernel, out of memory" if oom else ""
            self._end(end, number=number, reason="killed by %s%s" % (_signal_name(number), hint))
            return
        code = os.WEXITSTATUS(status)
        if code == 0:
            self._end("succeeded", code=0)
        elif code == EXIT_PREEMPTED or self.stop_asked:
            self._end("stopped", code=code, reason="stopped with exit code %d" % code)
        else:
            self._end("failed", code=code, reason="exit code %d" % code)

    def _end(
        self, status: str, *, code: int | None = None, number: int | None = None, reason: str = ""
    ) -> None:
        try:
            size: int | None = os.stat(self._path("output.log")).st_size
        except OSError:
            size = None
        self.state.update(
            status=status,
            ended_at=time.time(),
            exit_code=code,
            signal=number,
            reason=reason,
            log_bytes=size,
        )
        for _ in range(600):  # a full disk may get room again; the job's end must not go unrecorded
            if self._save():
                return
            time.sleep(1.0)

    # -- small things -----------------------------------------------------------------------

    def _save(self) -> bool:
        data = json.dumps(self.state, indent=1, sort_keys=True).encode() + b"\n"
        spare = self._path(".spare")
        first = "pid" not in self.state and self.state["status"] == "starting"
        try:
            jobs.write_atomic(self._path("state.json"), data, spare)
        except OSError:
            if first:
                raise  # nothing runs yet: better not to begin
            return False
        jobs.make_spare(spare)
        return True

    def _path(self, name: str) -> str:
        return os.path.join(self.job, name)

    def _catch_signals(self) -> None:
        self._wake, wake = os.pipe()
        for fd in (self._wake, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

        # Handlers, not SIG_IGN: an ignored signal would stay ignored in the job.
        def note(number: int, _frame: Any) -> None:
            if number in (signal.SIGTERM, signal.SIGINT):
                self.stop_asked = True
            elif number == signal.SIGUSR1:
                self.kill_asked = True

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, note)
        for number in (signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, note)

    def _doze(self, seconds: float) -> None:
        if select.select([self._wake], [], [], seconds)[0]:
            try:
                os.read(self._wake, 4096)
            except BlockingIOError:
                pass


def end_orphan(job: str, state: dict[str, Any], grace: float) -> None:
    """Stop a job whose runner is gone: TERM, grace, KILL to all of it, from the background."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        deadline = time.monotonic() + grace
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in jobs.living(job, state):
                procs.send_signal(pid, number)
            while jobs.living(job, state) and time.monotonic() < deadline:
                time.sleep(0.1)
    finally:
        os._exit(0)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number
