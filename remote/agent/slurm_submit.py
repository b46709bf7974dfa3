"""Handing jobs to Slurm, each once; and what Slurm offers on this host."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Any

from remote.agent import jobs, removal, slurm
from remote.agent.problem import Problem, check_id

SUBMIT_S = 45.0


def submit(
    workdir: str, spec: dict[str, Any], script: str, where: dict[str, Any], terms: dict[str, Any]
) -> dict[str, Any]:
    """Submit it once; asked again with the same specification: how it stands."""
    job = _prepare(workdir, spec)
    lock = _lock(job)
    try:
        note = slurm.read_note(job)
        if note.get("job") or jobs.read_state(job) is not None:
            return slurm.truth(job, fresh=True)
        if note:  # an earlier try was cut: it may have got through
            found = slurm.at(where).named_in(note)
            if found:
                slurm.write_note(job, dict(note, job=found))
                return slurm.truth(job, fresh=True)
        out = os.path.join(job, slurm.OUT)
        note = _note(spec["id"], where, terms, out)
        slurm.write_note(job, note)
        try:
            number = _sbatch(slurm.at(where), job, job, spec["id"], out, script)
        except Problem as e:
            if _is_sure(e):
                removal.drop(job)  # refused: nothing will run, nothing is lost
            raise
        slurm.write_note(job, dict(note, job=number))
        return slurm.truth(job, fresh=True)
    finally:
        os.close(lock)


def submit_array(
    workdir: str,
    name: str,
    specs: list[dict[str, Any]],
    script: str,
    where: dict[str, Any],
    terms: dict[str, Any],
) -> list[dict[str, Any]]:
    """Submit all as one array, once. States in the order of `specs`."""
    top = os.path.join(workdir, "arrays", check_id(name))
    os.makedirs(top, 0o700, exist_ok=True)
    lock = _lock(top)
    try:
        folders = [_prepare(workdir, spec) for spec in specs]
        note = slurm.read_note(top)
        number = note.get("job")
        if note and not number:
            found = slurm.at(where).named_in(dict(note, task=0))
            number = found.split("_")[0] if found else None
        if not number:
            tasks = "".join("%s\n" % os.path.basename(job) for job in folders).encode()
            jobs.write_atomic(os.path.join(top, "tasks"), tasks)
            out = os.path.join(top, "%a.out")
            note = _note(name, where, terms, out)
            slurm.write_note(top, note)
            for task, job in enumerate(folders):
                own = os.path.join(top, "%d.out" % task)
                slurm.write_note(job, dict(_note(name, where, terms, own), task=task))
            try:
                number = _sbatch(slurm.at(where), top, workdir, name, out, script)
            except Problem as e:
                if _is_sure(e):
                    for path in folders + [top]:
                        removal.drop(path)
                raise
        slurm.write_note(top, dict(note, job=number))
        for task, job in enumerate(folders):
            mine = slurm.read_note(job)
            if not mine.get("job"):
                slurm.write_note(job, dict(mine, job="%s_%d" % (number, task)))
        slurm.at(where).rows(0.0)
        return [slurm.truth(job) for job in folders]
    finally:
        os.close(lock)


def _prepare(workdir: str, spec: dict[str, Any]) -> str:
    """The job directory with its spec.json."""
    job = os.path.join(workdir, "jobs", check_id(spec.get("id")))
    path = os.path.join(job, "spec.json")
    os.makedirs(os.path.join(job, "artifacts"), 0o700, exist_ok=True)
    if not os.path.exists(path):
        data = json.dumps(spec, ensure_ascii=False, indent=1, sort_keys=True).encode()
        jobs.write_atomic(path, data)
    if jobs.read_spec(job) != spec:
        raise Problem("exists", "job %s exists with another specification" % spec["id"])
    return job


def _lock(folder: str) -> int:
    """Two laptops, or two tries of one, do not submit at once."""
    fd = os.open(os.path.join(folder, ".submit"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        pass  # a file system without locks: the runner on the node still starts a job only once
    return fd


def _note(name: str, where: dict[str, Any], terms: dict[str, Any], out: str) -> dict[str, Any]:
    return {
        "name": name,
        "where": where,
        "requeue": bool(terms.get("requeue")),
        "signal_s": terms.get("signal_s"),
        "out": out,
        "submitted_at": time.time(),
    }


def _sbatch(slurm_: slurm.Slurm, folder: str, cwd: str, name: str, out: str, script: str) -> str:
    path = os.path.join(folder, slurm.SCRIPT)
    jobs.write_atomic(path, script.encode())
    pattern = out if out.endswith("%a.out") else out.replace("%", "%%")
    said = slurm_.call(
        "sbatch",
        "--parsable",
        "--job-name=" + name,
        "--chdir=" + cwd,
        "--output=" + pattern,
        path,
        timeout=SUBMIT_S,
    )
    number = said.strip().rpartition("\n")[2].split(";")[0]
    if not number.isdigit():
        raise Problem("slurm_odd", "sbatch answered %.80r instead of a job id" % said)
    return number


def _is_sure(problem: Problem) -> bool:
    """True if it is certain that nothing was submitted."""
    return problem.code in ("slurm_refused", "slurm_missing") or "within" not in str(
        problem.more.get("why", "within")
    )


# -- what there is ------------------------------------------------------------------------------


def info(where: dict[str, Any]) -> dict[str, Any]:
    """Version, partitions, this user's accounts, and whether ended jobs are kept in accounting."""
    s = slurm.at(where)
    found: dict[str, Any] = {"version": s.call("sinfo", "--version").strip()}
    columns = "%R|%a|%l|%L|%F|%c|%m|%P|%G"
    found["partitions"] = [
        line.split("|", 8) for line in s.call("sinfo", "-h", "-o", columns).splitlines()
    ]
    found["config"] = _config(s)
    found["accounts"], found["accounts_problem"] = _try(
        s,
        "sacctmgr",
        ("-nP", "show", "assoc", "user=%s" % _user(), "format=account,partition,qos,defaultqos"),
    )
    _, found["accounting_problem"] = _try(s, "sacct", ("-n", "-P", "-X", "-j", "1", "-o", "JobID"))
    return found


def _config(s: slurm.Slurm) -> dict[str, str]:
    wanted = (
        "ClusterName",
        "MinJobAge",
        "OverTimeLimit",
        "KillWait",
        "PreemptMode",
        "MaxArraySize",
    )
    found = {}
    for line in s.call("scontrol", "show", "config").splitlines():
        key, _, value = line.partition("=")
        if key.strip() in wanted:
            found[key.strip()] = value.strip()[:100]
    return found


def _try(s: slurm.Slurm, name: str, words: tuple[str, ...]) -> tuple[list[list[str]], str]:
    try:
        return [line.split("|") for line in s.call(name, *words).splitlines()], ""
    except Problem as e:
        return [], str(e.more.get("words") or e.more.get("why") or e.what)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
