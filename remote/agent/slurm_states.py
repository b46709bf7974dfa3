"""What Slurm says of a job, read from fixed columns, and what that means for the job. Pure."""

from __future__ import annotations

import re
import time
from typing import Any

# squeue -o: what may hold anything comes last
COLUMNS = "%i|%T|%S|%V|%e|%N|%j|%r"
SACCT_COLUMNS = "JobID,State,ExitCode,Start,End,Submit,NodeList,Reason,JobName"

PENDING = frozenset(
    "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT".split()
)
RUNNING = frozenset("RUNNING COMPLETING SIGNALING RESIZING STAGE_OUT SUSPENDED STOPPED".split())
# state → (our status, why) of a job whose runner could leave no last word
ENDINGS = {
    "COMPLETED": ("lost", "Slurm calls it completed, but its runner left no last word"),
    "FAILED": ("failed", "the batch script failed"),
    "CANCELLED": ("stopped", "cancelled"),
    "TIMEOUT": ("stopped", "the time limit was reached; it can be resumed from its checkpoint"),
    "DEADLINE": ("stopped", "its deadline was reached"),
    "PREEMPTED": ("stopped", "preempted by another job; it can be resumed from its checkpoint"),
    "OUT_OF_MEMORY": ("failed", "it used more memory than was asked for (`mem`)"),
    "NODE_FAIL": ("lost", "its node failed; it can be resumed from its checkpoint"),
    "BOOT_FAIL": ("lost", "its node did not come up"),
    "LAUNCH_FAILED": ("failed", "Slurm could not launch it"),
    "RECONFIG_FAIL": ("lost", "its node could not be reconfigured"),
    "REVOKED": ("lost", "it was moved to another cluster"),
}
# why a job waits; the first entry that the reason begins with
REASONS = {
    "Resources": "waits for nodes or GPUs to come free",
    "Priority": "jobs of higher priority are before it",
    "None": "Slurm has not looked at it yet",
    "Dependency": "waits for another job",
    "BeginTime": "its start time is not reached yet",
    "JobHeldUser": "held by its user: scontrol release",
    "JobHeldAdmin": "held by an administrator: ask the site",
    "JobArrayTaskLimit": "as many tasks of its array run as may at once",
    "ReqNodeNotAvail": "the nodes are down, reserved or in maintenance soon; a shorter `time` may fit",
    "Reservation": "waits for its reservation to begin",
    "PartitionDown": "the partition is down: ask the site or use another `partition`",
    "PartitionInactive": "the partition is inactive: ask the site or use another `partition`",
    "PartitionTimeLimit": "asks for more time than the partition allows: make `time` shorter",
    "PartitionNodeLimit": "asks for more nodes than the partition allows",
    "BadConstraints": "no node has what is asked for: check GPUs, memory and `constraint`",
    "InvalidAccount": "the account is not valid: check `account`",
    "InvalidQOS": "the QOS is not valid: check `qos`",
    "QOSMaxJobsPerUser": "as many jobs of yours run as the QOS allows",
    "QOSMaxWall": "asks for more time than the QOS allows: make `time` shorter",
    "QOSMax": "asks for more than the QOS allows at once",
    "QOSGrp": "the QOS as a whole is at its limit",
    "QOS": "a limit of the QOS is reached",
    "AssocGrpGRESMinutes": "the account's GPU hours are used up",
    "AssocGrpCPUMinutes": "the account's CPU hours are used up",
    "AssocGrpBillingMinutes": "the account's hours are used up",
    "AssocMaxJobs": "as many jobs of the account run as it allows",
    "Assoc": "a limit of the account is reached",
    "Licenses": "waits for a licence",
    "Cleaning": "its last run is being cleaned up",
    "launch failed requeued held": "its node could not start it; held: scontrol release",
}


def explain(reason: str) -> str:
    """`Resources` → `Resources: waits for nodes or GPUs to come free`."""
    for word, means in REASONS.items():
        if reason.startswith(word):
            return "%s: %s" % (reason, means)
    return reason


# -- reading ------------------------------------------------------------------------------------


def parse_squeue(text: str) -> list[dict[str, Any]]:
    """Rows of `squeue -h -r -o COLUMNS`; lines that are none are dropped."""
    rows = []
    for line in text.splitlines():
        words = line.split("|", 7)
        if len(words) == 8:
            number, state, start, submit, end, nodes, name, reason = words
            row = _row(number, state, start, submit, end, nodes, name, reason)
            if row:
                rows.append(row)
    return rows


def parse_sacct(text: str) -> list[dict[str, Any]]:
    """Rows of `sacct -n -P -X -o SACCT_COLUMNS`."""
    rows = []
    for line in text.splitlines():
        words = line.split("|", 8)
        if len(words) == 9:
            number, state, code, start, end, submit, nodes, reason, name = words
            row = _row(number, state, start, submit, end, nodes, name, reason)
            if row:
                rows.append(dict(row, **_exit(code)))
    return rows


def parse_scontrol(text: str) -> list[dict[str, Any]]:
    """Rows of `scontrol show job -o`: one line a job, of each key the first."""
    rows = []
    for line in text.splitlines():
        found: dict[str, str] = {}
        for key, value in re.findall(r"(?:^| )([A-Z][A-Za-z:/]*)=(\S*)", line):
            found.setdefault(key, value)
        number = found.get("JobId", "")
        if "ArrayTaskId" in found and found["ArrayTaskId"].isdigit():
            number = "%s_%s" % (found.get("ArrayJobId", ""), found["ArrayTaskId"])
        row = _row(
            number,
            found.get("JobState", ""),
            found.get("StartTime", ""),
            found.get("SubmitTime", ""),
            found.get("EndTime", ""),
            found.get("NodeList", ""),
            found.get("JobName", ""),
            found.get("Reason", ""),
        )
        if row:
            rows.append(dict(row, **_exit(found.get("ExitCode", ""))))
    return rows


def _row(
    number: str,
    state: str,
    start: str,
    submit: str,
    end: str,
    nodes: str,
    name: str,
    reason: str,
) -> dict[str, Any] | None:
    state = state.strip().split(" ")[0].rstrip("+")  # sacct: "CANCELLED by 1000"
    if not re.match(r"\d+(_\d+)?\Z", number.strip(), re.ASCII) or not re.match(r"[A-Z_]+\Z", state):
        return None
    return {
        "id": number.strip(),
        "state": state,
        "start": parse_time(start),
        "submit": parse_time(submit),
        "end": parse_time(end),
        "nodes": _text(nodes),
        "name": _text(name),
        "reason": _text(reason).strip("()"),
    }


def _text(value: str) -> str:
    value = value.strip()[:256]
    return "" if value in ("(null)", "N/A", "None assigned") else value


def _exit(text: str) -> dict[str, Any]:
    """`3:0` → exit code 3; `0:15` → signal 15."""
    match = re.match(r"(\d{1,6}):(\d{1,6})\Z", text.strip(), re.ASCII)
    if not match:
        return {}
    code, number = int(match.group(1)), int(match.group(2))
    return {"code": None if number else code, "signal": number or None}


def parse_time(text: str) -> float | None:
    """Unix seconds of `2026-11-22T16:05:37` in this machine's time zone; None for N/A and Unknown."""
    try:
        return time.mktime(time.strptime(text.strip(), "%Y-%m-%dT%H:%M:%S"))
    except (ValueError, OverflowError):
        return None


# -- judging ------------------------------------------------------------------------------------


def judge(
    state: dict[str, Any] | None,
    row: dict[str, Any] | None,
    note: dict[str, Any],
    *,
    now: float,
    settle_s: float,
    last_line: str = "",
) -> dict[str, Any]:
    """How a job stands: `state`, what its runner wrote last, and `row`, what Slurm says (None: it
    does not know the job any more).

    note: our record of the submission: {"job", "submitted_at", "requeue", "stop"}.  settle_s: how
    long after an end by Slurm's clock the runner's last word may still be on its way through a
    network file system.  last_line: of what the batch script printed.
    """
    base = _base(state, row, note)
    if state is not None and state.get("status") in ("succeeded", "failed", "stopped", "lost"):
        if row is not None and _comes_back(state, note):
            if row["state"] in PENDING:
                return _queued(base, row)
            if row["state"] in RUNNING:
                return dict(base, status="stopping")  # ending, or on its way to the next start
            if _began_again(state, row):
                base = _without_run(base)
                if now - (row.get("end") or 0.0) < settle_s:
                    return dict(base, status="starting", reason="")
                told = _ended(base, row, note, True, last_line)
                return dict(told, reason="put back into the queue, then: " + told["reason"])
        return base
    if row is None:
        if now - (note.get("submitted_at") or 0.0) < settle_s:
            return dict(base, status=base.get("status", "queued"))
        return dict(
            base,
            status="stopped" if note.get("stop") and state is None else "lost",
            reason="Slurm does not know it any more, and its runner left no last word",
        )
    if row["state"] in PENDING:
        return _queued(base, row)
    if row["state"] in RUNNING:
        if row["state"] in ("SUSPENDED", "STOPPED"):
            base["reason"] = "suspended by Slurm"
        return dict(base, status=base.get("status", "starting"))
    if row.get("end") and now - row["end"] < settle_s:
        return dict(base, status=base.get("status", "starting"))
    return _ended(base, row, note, state is None, last_line)


def _base(
    state: dict[str, Any] | None, row: dict[str, Any] | None, note: dict[str, Any]
) -> dict[str, Any]:
    base = dict(state or {})
    base["scheduler_id"] = note.get("job", "")
    queued = (row or {}).get("submit") or note.get("submitted_at")
    if queued:
        base["queued_at"] = queued
        base.setdefault("submitted_at", queued)
    return base


def _comes_back(state: dict[str, Any], note: dict[str, Any]) -> bool:
    return bool(note.get("requeue")) and not note.get("stop") and state["status"] == "stopped"


def _began_again(state: dict[str, Any], row: dict[str, Any]) -> bool:
    """Was it started once more after the run that `state` is of? Slurm's times are whole seconds."""
    return bool(row["start"]) and row["start"] > (state.get("ended_at") or row["start"]) - 1.0


def _without_run(base: dict[str, Any]) -> dict[str, Any]:
    """Without what is of an earlier run."""
    for key in ("pid", "pid_start", "runner_pid", "runner_pid_start", "boot_id"):
        base.pop(key, None)
    for key in ("started_at", "ended_at", "exit_code", "signal", "log_bytes"):
        base.pop(key, None)
    return base


def _queued(base: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    _without_run(base)
    word = row["reason"] or "None"
    if row["state"] != "PENDING":
        word = row["state"].capitalize() if word == "None" else word
    base.update(status="queued", reason=explain(word))
    if row["start"]:
        base["expected_start"] = row["start"]
    return base


def _ended(
    base: dict[str, Any],
    row: dict[str, Any],
    note: dict[str, Any],
    unstarted: bool,
    last_line: str,
) -> dict[str, Any]:
    status, why = ENDINGS.get(row["state"], ("lost", "Slurm calls it %s" % row["state"]))
    if note.get("stop") and status != "lost":
        status = "stopped"
    if row["state"] == "CANCELLED":
        by = "" if note.get("stop") else ", not from here"
        why = "cancelled%s%s" % (by, " before it began" if unstarted else "")
    elif row["state"] == "FAILED" and unstarted:
        why = "the batch script failed before the job began%s" % _exit_words(row)
    elif row["state"] == "FAILED":
        status = "stopped" if note.get("stop") else "lost"
        why = "runner and job are gone%s" % _exit_words(row)
    said = row["reason"]
    if said and said not in ("None", "NonZeroExitCode", "JobLaunchFailure"):
        why += " (%s)" % said
    elif status in ("failed", "lost") and last_line:
        why += ": " + last_line
    where = " on %s" % row["nodes"] if row["nodes"] and status == "lost" else ""
    base.update(status=status, reason="%s%s; Slurm: %s" % (why, where, row["state"]))
    base["ended_at"] = row.get("end") or base.get("ended_at")
    if unstarted and row.get("code") is not None and row["state"] == "FAILED":
        base["exit_code"] = row["code"]
    if row.get("signal"):
        base["signal"] = row["signal"]
    return base


def _exit_words(row: dict[str, Any]) -> str:
    if row.get("signal"):
        return ", signal %d" % row["signal"]
    return ", exit code %d" % row["code"] if row.get("code") else ""
