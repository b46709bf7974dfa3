"""The long-lived helper: one line of JSON in, one line out, for as long as stdin is open.

Questions are answered in order; those that may take long run beside the others, so a ping or a job
state never waits behind the hash of a model.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Callable

from remote.agent import checkpoints, family, jobs, procs
from remote.agent.problem import Problem, check_id

MAX_LINE = 1 << 24
SLOW = frozenset(
    ["launch", "sha256", "manifest", "list_jobs", "job_specs", "remove_job"]
    + ["survey", "hints", "stage", "adopt"]
    + ["ledger_blocks", "ledger_get_blocks", "ledger_stage", "ledger_put"]
)


class _Later:
    """A module of the agent, loaded when something is first asked of it: somebody waits for our start."""

    def __init__(self, name: str) -> None:
        self._name = "remote.agent." + name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


if TYPE_CHECKING:
    from remote.agent import incoming, ledger, removal, slurm, slurm_submit, transfer
else:
    incoming, ledger, removal = _Later("incoming"), _Later("ledger"), _Later("removal")
    slurm, slurm_submit, transfer = _Later("slurm"), _Later("slurm_submit"), _Later("transfer")


class Helper:
    """workdir: absolute. self_path: the agent's folder or zip file, to start the runner from."""

    def __init__(self, workdir: str, self_path: str, stream: BinaryIO, out: BinaryIO) -> None:
        self.workdir = workdir
        self.self_path = self_path
        self.stream = stream
        self.out = out
        self.lock = threading.Lock()

    def serve(self) -> None:
        while True:
            line = self.stream.readline(MAX_LINE)
            if not line.endswith(b"\n"):
                return
            try:
                request = json.loads(line)
            except ValueError:
                continue
            if request.get("op") in SLOW or self._asks_slurm(request):
                threading.Thread(target=self.answer, args=(request,), daemon=True).start()
            else:
                self.answer(request)

    def answer(self, request: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"id": request.pop("id", None)}
        try:
            op: Callable[..., Any] | None = getattr(self, "op_%s" % request.pop("op", ""), None)
            if op is None:
                raise Problem("unknown_op", "this agent does not know that question")
            reply["ok"] = op(**request)
        except Problem as e:
            reply["error"] = e.as_dict()
        except OSError as e:
            reply["error"] = self._told_of(e)
        except ImportError as e:  # nothing was begun yet
            reply["error"] = agent_gone(str(e)).as_dict()
        except Exception as e:  # one odd question must not end the helper
            reply["error"] = {"code": "bug", "what": "%s: %s" % (type(e).__name__, e)}
        data = json.dumps(reply, separators=(",", ":")).encode() + b"\n"
        with self.lock:
            self.out.write(data)
            self.out.flush()

    # -- questions --------------------------------------------------------------------------

    def op_ping(self) -> dict[str, Any]:
        return {"now": time.time()}

    def op_hello(self) -> dict[str, Any]:
        return {
            "workdir": self.workdir,
            "agent": self.self_path,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "boot_id": procs.boot_id(),
            "now": time.time(),
        }

    def op_stat(self, path: str) -> dict[str, Any] | None:
        try:
            info = os.stat(self._path(path))
        except FileNotFoundError:
            return None
        kind = "dir" if os.path.isdir(self._path(path)) else "file"
        return {"kind": kind, "size": info.st_size, "mtime": info.st_mtime}

    def op_mkdir(self, path: str) -> None:
        os.makedirs(os.path.join(self.workdir, transfer.check_relative(path)), 0o700, exist_ok=True)

    def op_disk(self, path: str = ".") -> dict[str, int]:
        info = os.statvfs(self._path(path))
        return {"free": info.f_bavail * info.f_frsize, "total": info.f_blocks * info.f_frsize}

    def op_sha256(self, paths: list[str], sizes: list[int] | None = None) -> list[str | None]:
        """None where there is no such file, or one of another size than asked for."""
        found: list[str | None] = []
        for i, path in enumerate(paths):
            try:
                info = os.stat(self._path(path))
                other = sizes is not None and info.st_size != sizes[i]
                found.append(None if other else transfer.sha256(self._path(path)))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                found.append(None)
        return found

    def op_manifest(self, path: str, names: list[str] | None = None) -> list[dict[str, Any]]:
        return incoming.manifest(self._folder(path), names)

    def op_listing(self, path: str) -> list[dict[str, Any]]:
        return incoming.listing(self._folder(path))

    def _folder(self, path: str) -> str:
        root = self._path(path)
        if not os.path.isdir(root):
            raise Problem("not_found", "no folder %s on this host" % path)
        return root

    def op_survey(self, files: list[list[Any]], folder: str | None = None) -> dict[str, Any]:
        return incoming.survey(self.workdir, files, folder)

    def op_hints(self, files: list[list[Any]]) -> list[dict[str, Any]]:
        return incoming.hints(self.workdir, files)

    def op_stage(self, files: list[list[Any]]) -> dict[str, Any]:
        return incoming.stage(self.workdir, files)

    def op_adopt(self, files: list[list[Any]]) -> int:
        return incoming.adopt(self.workdir, files)

    def op_ledger_head(self) -> dict[str, Any] | None:
        return ledger.head(self.workdir)

    def op_ledger_blocks(self, generation: int) -> str | None:
        return ledger.blocks(self.workdir, generation)

    def op_ledger_get_blocks(self, generation: int, numbers: list[int]) -> list[str] | None:
        return ledger.get_blocks(self.workdir, generation, numbers)

    def op_ledger_stage(self, token: str, packed: list[list[Any]]) -> None:
        ledger.stage(self.workdir, token, packed)

    def op_ledger_put(
        self, token: str, base: dict[str, Any] | None, new: dict[str, Any], hashes: str
    ) -> dict[str, Any]:
        return ledger.put(self.workdir, token, base, new, hashes)

    def op_list_jobs(self) -> list[dict[str, Any]]:
        return jobs.list_jobs(self.workdir)

    def op_job_state(self, job_id: str) -> dict[str, Any]:
        return jobs.truth(jobs.job_dir(self.workdir, job_id))

    def op_job_specs(self, job_ids: list[str]) -> list[dict[str, Any] | None]:
        """Each job's specification; None where there is none."""
        tops = [os.path.join(self.workdir, "jobs", check_id(job_id)) for job_id in job_ids]
        return [jobs.read_spec(top) or None for top in tops]

    def op_checkpoints(self, path: str) -> list[dict[str, Any]]:
        return checkpoints.whole(self._path(path))

    def op_launch(self, spec: dict[str, Any], queue: bool = False) -> dict[str, Any]:
        """Start it once. Asked again with the same specification: only how it stands."""
        job = os.path.join(self.workdir, "jobs", check_id(spec.get("id")))
        spec_path = os.path.join(job, "spec.json")
        data = json.dumps(spec, ensure_ascii=False, indent=1, sort_keys=True).encode()
        try:
            os.makedirs(os.path.join(job, "artifacts"), 0o700, exist_ok=True)
            if not os.path.exists(spec_path):
                jobs.write_atomic(spec_path, data)
        except OSError:
            if jobs.read_state(job) is None:
                removal.drop(job)
            raise
        if jobs.read_spec(job) != spec:
            raise Problem("exists", "job %s exists with another specification" % spec["id"])
        reply = self._run_runner(job, queue)
        if "error" in reply:
            error = dict(reply["error"])
            if jobs.read_state(job) is None:
                removal.drop(job)  # refused: nothing ran, nothing is lost
            raise Problem(error.pop("code", "runner"), error.pop("what", "it failed"), **error)
        return dict(reply["state"])

    def op_stop(self, job_id: str, kill: bool = False) -> dict[str, Any]:
        job = jobs.job_dir(self.workdir, job_id)
        if slurm.is_slurm(job):
            return slurm.stop(job, kill)
        state = jobs.truth(job)
        if state["status"] in jobs.RUN and state.get("runner_pid"):
            number = signal.SIGUSR1 if kill else signal.SIGTERM
            procs.send_signal(int(state["runner_pid"]), number)
        elif state["status"] == "orphan":
            grace = 0.0 if kill else float(jobs.read_spec(job).get("grace_s", 30.0))
            family.end_orphan(job, state, grace)
        return state

    def op_remove_job(self, job_id: str) -> None:
        removal.remove(self.workdir, job_id)

    def op_slurm_submit(self, **values: Any) -> dict[str, Any]:
        return slurm_submit.submit(self.workdir, **values)

    def op_slurm_array(self, **values: Any) -> list[dict[str, Any]]:
        return slurm_submit.submit_array(self.workdir, **values)

    def op_slurm_state(self, job_id: str) -> dict[str, Any]:
        """As job_state, but squeue is asked anew."""
        return slurm.truth(jobs.job_dir(self.workdir, job_id), fresh=True)

    def op_slurm_list(self, where: dict[str, Any]) -> list[dict[str, Any]]:
        return list((slurm.at(where).rows(1.0) or {}).values())

    def op_slurm_info(self, where: dict[str, Any]) -> dict[str, Any]:
        return slurm_submit.info(where)

    # -- small things -----------------------------------------------------------------------

    def _told_of(self, error: OSError) -> dict[str, Any]:
        try:
            return transfer._as_problem(error).as_dict()
        except Exception:  # no descriptor is left to load that module with
            return {"code": "os", "what": str(error)}

    def _asks_slurm(self, request: dict[str, Any]) -> bool:
        try:
            return self._is_slurm(request)
        except Exception:  # the question itself will tell what is wrong
            return False

    def _is_slurm(self, request: dict[str, Any]) -> bool:
        op = str(request.get("op"))
        if op in ("job_state", "stop"):
            return slurm.is_slurm(os.path.join(self.workdir, "jobs", str(request.get("job_id"))))
        return op.startswith("slurm_")

    def _path(self, path: str) -> str:
        if not isinstance(path, str) or "\x00" in path:
            raise Problem("bad_name", "not a usable path: %.80r" % (path,))
        return os.path.join(self.workdir, os.path.expanduser(path))

    def _run_runner(self, job: str, queue: bool) -> dict[str, Any]:
        import subprocess

        if not os.path.exists(os.path.join(self.self_path, "__main__.py")) and not os.path.isfile(
            self.self_path
        ):
            raise agent_gone(self.self_path)
        argv = [sys.executable, "-I", "-S", self.self_path, "runner", self.workdir, job]
        argv += ["queue"] if queue else []
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            what = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no answer"]
            return {"error": {"code": "runner", "what": "the runner failed: %s" % what[0]}}


def agent_gone(what: str) -> Problem:
    """The laptop carries it over again and repeats its question."""
    return Problem("agent_gone", "the agent was removed from the work folder (%s)" % what)


def main(workdir: str, self_path: str) -> None:
    os.umask(0o077)
    workdir = os.path.abspath(os.path.expanduser(workdir))
    self_path = os.path.expanduser(self_path)
    if os.path.isdir(self_path[:-4]):
        self_path = self_path[:-4]  # unpacked: see agent_zip
    os.makedirs(os.path.join(workdir, "jobs"), 0o700, exist_ok=True)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not end up between two answers
    try:
        Helper(workdir, self_path, sys.stdin.buffer, out).serve()
    except (BrokenPipeError, ConnectionError):
        pass
    os._exit(0)  # unfinished slow questions have no listener any more
