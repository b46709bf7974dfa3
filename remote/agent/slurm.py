"""Slurm from the login node: its commands, our record of a submission, and the truth about a job.

`slurm.json` in a job directory is that record: {"name", "task", "job", "submitted_at", "requeue",
"signal_s", "where", "out"}. It is written before sbatch is called, without "job", and again with it:
a submission that was cut in between is found again by its name, never repeated blindly.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from typing import Any

from remote.agent import jobs, slurm_states
from remote.agent.problem import Problem

NOTE, SCRIPT, OUT, STOP = "slurm.json", "slurm.sh", "slurm.out", ".stop"
CALL_S = 20.0
CLOCK_S = 60.0  # how far the controller's clock may be off
PLACES = (
    "/usr/bin",
    "/usr/local/bin",
    "/opt/slurm/bin",
    "/usr/slurm/bin",
    "/usr/local/slurm/bin",
    "/cm/shared/apps/slurm/current/bin",
)
# settings come from the hosts file alone, output has the columns that are parsed here
NOT_PASSED_ON = re.compile(r"(SLURM|SBATCH|SQUEUE|SACCT|SINFO|SCONTROL|SCANCEL|SALLOC|SRUN)_")
DOWN = re.compile(
    r"unable to contact|authentication error|munge|connection refused|timed out|zero bytes"
    r"|unable to establish|could not establish|configuration source",
    re.I,
)
NO_SUCH_JOB = re.compile(r"invalid job id", re.I)
MAX_TEXT = 4 << 20


class Slurm:
    """The commands of one Slurm. Thread-safe; what squeue said is kept for `ask_s`."""

    def __init__(self, where: dict[str, Any]) -> None:
        self.bin = where.get("bin")
        self.conf = where.get("conf")
        self.ask_s = float(where.get("ask_s") or 5.0)
        self._asking = threading.Lock()
        self._rows: dict[str, dict[str, Any]] | None = None
        self._problem: Problem | None = None
        self._asked = float("-inf")

    def call(self, name: str, *words: str, **options: Any) -> str:
        """What the command prints. Problem: slurm_missing, slurm_down, slurm_refused (its words)."""
        argv = [self.program(name)] + list(words)
        patience = float(options.get("timeout", CALL_S))
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(),
                timeout=patience,
                cwd="/",
            )
        except subprocess.TimeoutExpired:
            why = "%s gave no answer within %.0f s" % (name, patience)
            raise Problem("slurm_down", "Slurm does not answer", why=why) from None
        except OSError as e:
            raise Problem("slurm_missing", "%s cannot be started: %s" % (name, e)) from None
        out = done.stdout[:MAX_TEXT].decode("utf-8", "replace")
        if done.returncode == 0:
            return out
        said = done.stderr.decode("utf-8", "replace") or out
        if DOWN.search(said):
            raise Problem("slurm_down", "Slurm does not answer", why=its_words(said))
        raise Problem("slurm_refused", "%s: %s" % (name, its_words(said)), words=its_words(said))

    def program(self, name: str) -> str:
        if self.bin:
            return os.path.join(self.bin, name)
        path = os.pathsep.join([os.environ.get("PATH", "")] + list(PLACES))
        found = shutil.which(name, path=path)
        if not found:
            raise Problem("slurm_missing", "there is no %s on this host" % name)
        return found

    def environment(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not NOT_PASSED_ON.match(k)}
        conf = self.conf or os.environ.get("SLURM_CONF")
        if conf:
            env["SLURM_CONF"] = conf
        return env

    def rows(
        self, max_age: float | None = None, wait: bool = True
    ) -> dict[str, dict[str, Any]] | None:
        """Every job of this user that squeue knows, ended ones too, by id; at most `max_age` old.

        wait=False: at once what is known, however old, while squeue is asked beside; None if nothing
        is known yet. A Slurm that hangs must not hold up what else the caller does.
        """
        if self.age() > (self.ask_s if max_age is None else max_age):
            asked = self._asked
            if wait:
                with self._asking:
                    if self._asked == asked:  # nobody else asked meanwhile
                        self._ask()
            elif self._asking.acquire(blocking=False):
                threading.Thread(target=self._ask_beside, daemon=True).start()
        if self._problem is not None:
            raise self._problem
        return self._rows

    def age(self) -> float:
        """Seconds since squeue was last asked."""
        return time.monotonic() - self._asked

    def _ask(self) -> None:
        try:
            found = slurm_states.parse_squeue(self._squeue())
            self._rows, self._problem = {row["id"]: row for row in found}, None
        except Problem as e:
            self._problem = e
        self._asked = time.monotonic()

    def _ask_beside(self) -> None:
        try:
            self._ask()
        finally:
            self._asking.release()

    def _squeue(self) -> str:
        words = ("-h", "-r", "-t", "all", "-u", str(os.getuid()), "-o", slurm_states.COLUMNS)
        return self.call("squeue", *words)

    def named(self, name: str, task: int | None, since: float) -> str | None:
        """The id of our job `name`, submitted after `since`; of its task in an array."""

        def ours(row: dict[str, Any]) -> bool:
            early = (row["submit"] or since) < since - CLOCK_S
            fits = task is None or row["id"].endswith("_%d" % task)
            return bool(row["name"] == name and fits and not early)

        for number, row in (self.rows(0.0) or {}).items():
            if ours(row):
                return number
        begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(since - CLOCK_S))  # else: today
        words = ("-n", "-P", "-X", "-S", begin, "--name=" + name, "-o", slurm_states.SACCT_COLUMNS)
        for row in slurm_states.parse_sacct(self._sacct(*words)):
            if ours(row):
                return str(row["id"])
        return None

    def named_in(self, note: dict[str, Any]) -> str | None:
        since = float(note.get("submitted_at") or 0.0)
        return self.named(str(note.get("name")), note.get("task"), since)

    def detail(self, number: str) -> dict[str, Any] | None:
        """With exit code, also of a job that squeue has forgotten; None if nobody knows it."""
        try:
            found = slurm_states.parse_scontrol(self.call("scontrol", "show", "job", "-o", number))
        except Problem as e:
            if e.code != "slurm_refused" or not NO_SUCH_JOB.search(e.what):
                raise
            found = []
        if not found:
            words = ("-n", "-P", "-X", "-j", number, "-o", slurm_states.SACCT_COLUMNS)
            found = slurm_states.parse_sacct(self._sacct(*words))
        for row in found:
            if row["id"] == number:
                return row
        return None

    def _sacct(self, *words: str) -> str:
        """ "" where accounting is not kept or cannot be asked."""
        try:
            return self.call("sacct", *words)
        except Problem:
            return ""


_known: dict[str, Slurm] = {}


def at(where: dict[str, Any] | None) -> Slurm:
    key = json.dumps(where or {}, sort_keys=True)
    if key not in _known:
        _known[key] = Slurm(where or {})
    return _known[key]


def its_words(text: str) -> str:
    """The useful lines of an error message as one."""
    lines = []
    for line in text.splitlines():
        line = re.sub(r"^(s[a-z]+: )?(fatal|error|info): ", "", line.strip())
        if line and line not in lines and "--num-threads" not in line:
            lines.append(line)
    return "; ".join(lines)[:600] or "no reason given"


# -- the record ---------------------------------------------------------------------------------


def is_slurm(job: str) -> bool:
    return os.path.exists(os.path.join(job, NOTE))


def read_note(job: str) -> dict[str, Any]:
    try:
        with open(os.path.join(job, NOTE), "rb") as f:
            note = json.loads(f.read())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def write_note(job: str, note: dict[str, Any]) -> None:
    data = json.dumps(note, indent=1, sort_keys=True).encode() + b"\n"
    jobs.write_atomic(os.path.join(job, NOTE), data)


def last_line(path: Any) -> str:
    """The last words of the batch script's own output, without controls."""
    try:
        with open(str(path), "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - 4096))
            lines = f.read().decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return ""
    for line in reversed(lines):
        line = "".join(c if c.isprintable() else " " for c in line).strip()
        if line:
            return line[:200]
    return ""


# -- the truth ----------------------------------------------------------------------------------


def truth(job: str, fresh: bool = False, wait: bool = True) -> dict[str, Any]:
    """How a job under Slurm stands, with what Slurm says of it where its runner cannot tell.

    fresh: ask squeue now.  wait=False: of a job that runs, go by what Slurm said last.
    """
    os.listdir(job)  # makes a network file system look again
    note, state = read_note(job), jobs.read_state(job)
    note["stop"] = os.path.exists(os.path.join(job, STOP))
    if _is_final(state, note):
        return dict(state or {}, scheduler_id=note.get("job", ""))
    verdict = note.get("verdict")
    if verdict and (state is None or (state.get("started_at") or 0) <= verdict.get("ended_at", 0)):
        return dict(verdict)
    slurm = at(note.get("where"))
    try:
        if not note.get("job"):
            return _unsubmitted(job, note, slurm, state)
        known, row = _row(slurm, note["job"], state, fresh, wait or state is None)
        if not known:
            return dict(state or {}, scheduler_id=note["job"])
    except Problem as e:
        why = e.more.get("why")
        reason = "%s%s" % (e.what, ": %s" % why if why else "")
        return dict(
            state or {},
            status=(state or {}).get("status", "queued"),
            scheduler_id=note.get("job", ""),
            reason=reason[:300],
        )
    state = jobs.read_state(job)  # what Slurm says is newer than what was read above
    told = slurm_states.judge(
        state,
        row,
        note,
        now=time.time(),
        settle_s=slurm.ask_s,
        last_line=last_line(note.get("out")),
    )
    ended = told["status"] in jobs.ENDED
    news = told.get("reason") != (state or {}).get("reason")
    if ended and not _is_final(state, note) and news:
        told.setdefault("ended_at", time.time())
        note.pop("stop")
        try:
            write_note(job, dict(note, verdict=told))  # Slurm forgets; we must not
        except OSError:
            pass  # next time
    return told


def _is_final(state: dict[str, Any] | None, note: dict[str, Any]) -> bool:
    if state is None or state.get("status") not in jobs.ENDED:
        return False
    comes_back = note.get("requeue") and not note.get("stop") and state["status"] == "stopped"
    return not comes_back


def _row(
    slurm: Slurm, number: str, state: dict[str, Any] | None, fresh: bool, wait: bool
) -> tuple[bool, dict[str, Any] | None]:
    """(is anything known, what Slurm says): (True, None) if Slurm does not know the job."""
    soon = min(1.0, slurm.ask_s)
    row = (slurm.rows(0.0 if fresh else None, wait) or {}).get(number)
    if row is None or _is_older(row, state):  # asked before the job was there, or began
        row = (slurm.rows(soon, wait) or {}).get(number)
        if not wait and slurm.age() > soon:
            return False, None
    if row is None:
        return True, slurm.detail(number)
    if row["state"] in slurm_states.PENDING or row["state"] in slurm_states.RUNNING:
        return True, row
    return True, slurm.detail(number) or row


def _is_older(row: dict[str, Any], state: dict[str, Any] | None) -> bool:
    active = state is not None and state.get("status") not in jobs.ENDED
    return active and row["state"] in slurm_states.PENDING


def _unsubmitted(
    job: str, note: dict[str, Any], slurm: Slurm, state: dict[str, Any] | None
) -> dict[str, Any]:
    """A submission that was cut: find the job by its name."""
    age = time.time() - float(note.get("submitted_at") or 0.0)
    if age < jobs.NEVER_STARTED_S:
        return {"status": "starting", "reason": "it is being submitted to Slurm"}
    number = slurm.named_in(note)
    if number is None:
        return dict(state or {}, status="lost", reason="it was never submitted to Slurm")
    note.pop("stop", None)
    write_note(job, dict(note, job=number))
    return truth(job)


def stop(job: str, kill: bool) -> dict[str, Any]:
    """Take it out of the queue, or ask the runner on the node to end it. The state before that."""
    state = truth(job, fresh=True)
    if state["status"] in jobs.ENDED:
        return state
    note = read_note(job)
    slurm = at(note.get("where"))
    number = note.get("job") or slurm.named_in(note)
    if number is None:
        raise Problem("slurm_refused", "it is not submitted yet: ask again in a moment")
    mark = os.path.join(job, STOP)  # first: the runner looks for it when the signal comes
    with open(mark, "w"):
        pass
    try:
        if state["status"] == "queued":
            slurm.call("scancel", number)
        else:
            slurm.call("scancel", "--batch", "--signal=%s" % ("USR1" if kill else "TERM"), number)
            if kill:
                slurm.call("scancel", number)
    except Problem as e:
        if e.code != "slurm_refused" or "already" not in e.what.lower():
            os.unlink(mark)
            raise
    return state
