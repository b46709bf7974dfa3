"""The detached process beside one job: waits for its turn, starts it, stops it, writes down how it
ended.

It is out of reach of the login: own session, no terminal, no open stdio. It holds the accelerator's
lock and passes the descriptor on to the job. SIGTERM asks the job's process group to end, and after
the grace kills whatever is left of it; SIGUSR1 kills at once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import time
from typing import Any

from remote.agent import distributed, jobs, locks, procs, scribe, waiting
from remote.agent.family import Family
from remote.agent.problem import Problem

EXIT_PREEMPTED = 75  # stopped at a checkpoint
BEAT_S = 5.0  # the state file's time is the last sign of life after a crash of the machine
TOUCH_S = 600.0  # keeps folder tidiers away from the lock file
TURN_S = 0.5
LOG_PATIENCE_S = 10.0  # for output that a full disk does not take, after the job's end
END_PATIENCE_S = 600  # for the last word, likewise
SPARES = (".spare1", ".spare2", ".spare3")  # one for each word that may fall into a full disk


def run(workdir: str, job: str, queue: bool = False) -> dict[str, Any]:
    """Start the runner of `job` in the background; returns its first word: {state} or {error}.

    queue: wait for a busy accelerator instead of giving up.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        try:
            os.close(read)
            _run_detached(workdir, job, queue, write)
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as f:
        answer = f.read()
    if not answer:
        return {"error": {"code": "runner", "what": "the runner ended without a word"}}
    return dict(json.loads(answer))


def _run_detached(workdir: str, job: str, queue: bool, report: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.umask(0o077)
    os.chdir(job)
    runner = Runner(workdir, job)
    try:
        first: dict[str, Any] = {"state": runner.start(queue)}
    except Problem as e:
        first = {"error": e.as_dict()}
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the job could not be recorded: %s" % e
        first = {"error": {"code": "disk_full" if full else "os", "what": what}}
    except Exception as e:
        what = "the job could not be started: %s: %s" % (type(e).__name__, e)
        first = {"error": {"code": "runner", "what": what}}
    os.write(report, json.dumps(first).encode())
    os.close(report)
    if "state" in first and runner.begun:
        runner.attend()


class Runner:
    def __init__(self, workdir: str, job: str) -> None:
        self.workdir = workdir
        self.job = job
        self.begun = False  # it is this runner's job, not that of another one
        self.spec: dict[str, Any] = {}
        self.family = Family(job)
        self.lock: int | None = None
        self.place: waiting.Place | None = None
        self.scribe: int | None = None
        self.output: int | None = None  # the pipe's end to read from, should the scribe be killed
        self.output_lost = False
        self.grace = 30.0
        self.stop_asked = self.kill_asked = False
        self.state: dict[str, Any] = {}
        self.beaten = self.touched = time.monotonic()

    # -- start ------------------------------------------------------------------------------

    def start(self, queue: bool) -> dict[str, Any]:
        """Start the job once, or take a place in the line; for a job that has a state already, only
        say how it stands."""
        guard = os.open(self._path(".runner"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return jobs.truth(self.job)
        if jobs.read_state(self.job) is not None:
            return jobs.truth(self.job)
        with open(self._path("spec.json"), "rb") as f:
            self.spec = json.loads(f.read())
        self.grace = float(self.spec.get("grace_s", self.grace))
        accelerator = self.spec.get("accelerator")
        if accelerator:
            self._take_lock_or_place(accelerator, queue)
        self._catch_signals()
        procs.become_subreaper()
        jobs.make_spares(self._spares())
        me = os.getpid()
        self.state = {
            "status": "starting",
            "runner_pid": me,
            "runner_pid_start": procs.start_mark(me),
            "boot_id": procs.boot_id(),
            "node": procs.node(),
            "submitted_at": time.time(),
        }
        if accelerator:
            self.state["accelerator"] = accelerator
        if self.place:
            self.state.update(status="queued", queued_at=self.state["submitted_at"])
        jobs.write_atomic(self._path("state.json"), self._words())  # without room: better not begin
        self.begun = True
        if self.place is None:
            self._spawn()
        return jobs.truth(self.job) if self.place else self.state

    def _take_lock_or_place(self, accelerator: str, queue: bool) -> None:
        folder, name = locks.locks_dir(self.workdir), os.path.basename(self.job)
        try:
            line = waiting.line(folder, accelerator)
            if line:  # whoever waits comes before whoever comes now
                raise locks.busy(accelerator, locks.holder(folder, accelerator) or line[0])
            self.lock = locks.acquire(folder, accelerator, name)
        except Problem as e:
            if e.code != "busy" or not queue:
                raise
            self.place = waiting.join(folder, accelerator, name)

    def _spawn(self) -> None:
        env = dict(os.environ)
        env.update(distributed.environment(self.spec))
        env.update(self.spec.get("env") or {})
        env.update([(jobs.MARK[:-1], os.path.abspath(self.job))])
        env["QA_JOB_ID"] = os.path.basename(self.job)
        command = list(self.spec.get("command") or [""])
        self.output, write = scribe.pipe()
        try:
            command = distributed.argv(self.spec, env)
            self._start_scribe()
            process = subprocess.Popen(
                command,
                cwd=self.job,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                start_new_session=True,
                pass_fds=() if self.lock is None else (self.lock,),
            )
        except (OSError, ValueError) as e:
            os.close(write)
            why = getattr(e, "strerror", None) or str(e)
            self._end_scribe()
            self._end("failed", reason="cannot start %s: %s" % (command[0] or "nothing", why))
            return
        os.close(write)
        self.family.first = process.pid
        process.returncode = 0  # collected below, not by Popen
        self.state.update(
            status="running",
            started_at=time.time(),
            pid=process.pid,
            pid_start=procs.start_mark(process.pid, zombie=True),
        )
        self._save()

    # -- wait -------------------------------------------------------------------------------

    def attend(self) -> None:
        """The runner's life after its first word."""
        if self.place is not None:
            self._await_turn(self.place)
        if self.family.first is not None:
            self._wait(self.family.first)

    def _await_turn(self, place: waiting.Place) -> None:
        folder, name = locks.locks_dir(self.workdir), os.path.basename(self.job)
        while self.lock is None:
            if self.stop_asked or self.kill_asked:
                place.leave()
                self._end("stopped", reason="stopped while it waited for its turn; it did not run")
                return
            try:
                if place.is_first():
                    self.lock = locks.acquire(folder, self.spec["accelerator"], name)
                    break
            except (Problem, OSError):
                pass  # busy, or a disk without room for a name: later again
            self._doze(TURN_S)
        self.state["status"] = "starting"
        self._save()
        self._spawn()
        place.leave()  # after the start: nobody may come in between

    def _wait(self, pid: int) -> None:
        """Until the job has ended and nothing of it is left; then the last word."""
        deadline = None
        status = self._reap(pid)
        while status is None:
            now = time.monotonic()
            if self.stop_asked and deadline is None:
                deadline = now + self.grace
                self.state["status"] = "stopping"
                self._save()
                procs.send_signal(pid, signal.SIGTERM, group=True)
            if self.kill_asked or (deadline is not None and now >= deadline):
                self.kill_asked, self.stop_asked = False, True
                deadline = deadline or now
                self.family.send(signal.SIGKILL)
            self._doze(0.2 if deadline is not None else BEAT_S)
            status = self._reap(pid)
        self.family.first = None
        self.family.end(self._doze_and_reap)
        self._end_scribe()
        self._record_end(status)

    def _reap(self, pid: int | None = None) -> int | None:
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
            if ended == self.scribe:
                self.family.apart.discard(ended)
                self.scribe = None
                if os.WIFSIGNALED(status):
                    self._start_scribe()  # somebody killed it; the pipe still has the rest
                elif os.WEXITSTATUS(status):
                    self.output_lost = True

    def _start_scribe(self) -> None:
        assert self.output is not None
        self.scribe = scribe.start(self.output, self._path("output.log"))
        self.family.apart.add(self.scribe)

    def _end_scribe(self) -> None:
        """Let it write the rest; a disk that stays full must not hold up the end for ever."""
        for patience, number in ((LOG_PATIENCE_S, scribe.ASK), (5.0, signal.SIGKILL)):
            deadline = time.monotonic() + (patience if os.path.isdir(self.job) else 1.0)
            while self.scribe is not None and time.monotonic() < deadline:
                self._doze_and_reap(0.05)
            if self.scribe is None:
                return
            procs.send_signal(self.scribe, number)
        self.output_lost = True

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
        if self.output_lost:
            lost = "the end of its output is missing: the host's disk was full"
            reason = "%s; %s" % (reason, lost) if reason else lost
        self.state.update(
            status=status,
            ended_at=time.time(),
            exit_code=code,
            signal=number,
            reason=reason,
            log_bytes=size,
        )
        for _ in range(END_PATIENCE_S):  # a full disk may get room again
            if self._save() or not os.path.isdir(self.job):
                return
            time.sleep(1.0)

    # -- small things -----------------------------------------------------------------------

    def _save(self) -> bool:
        try:
            jobs.write_atomic(self._path("state.json"), self._words(), self._spares())
        except OSError:
            return False
        jobs.make_spares(self._spares())
        return True

    def _words(self) -> bytes:
        return json.dumps(self.state, indent=1, sort_keys=True).encode() + b"\n"

    def _spares(self) -> tuple[str, ...]:
        return tuple(self._path(name) for name in SPARES)

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
        """Until a signal comes, at most so long; keeps the signs of life fresh."""
        now = time.monotonic()
        if now - self.beaten >= BEAT_S:
            self.beaten = now
            try:
                os.utime(self._path("state.json"))
            except OSError:
                pass
        if self.lock is not None and now - self.touched > TOUCH_S:
            self.touched = now
            os.utime(self.lock)
        if select.select([self._wake], [], [], seconds)[0]:
            try:
                os.read(self._wake, 4096)
            except BlockingIOError:
                pass

    def _doze_and_reap(self, seconds: float) -> None:
        self._doze(seconds)
        self._reap()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number
