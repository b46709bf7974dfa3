"""A command for one process made into one for several: torchrun or accelerate, on one node or many.

On one node the rendezvous is a free port of its own. On several, srun starts one starter a node, and
they meet at the first node of the allocation. Pure, but for asking the scheduler for that node.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any, Callable, Mapping

STARTERS = ("torchrun", "accelerate")
PLAIN = ["--mixed_precision=no", "--dynamo_backend=no"]  # the recipe says what is used
PORTS = (20000, 30000)  # below those that systems hand out by themselves


def argv(spec: Mapping[str, Any], env: Mapping[str, str] | None = None) -> list[str]:
    """The command of a specification, wrapped if it asks for more than one process.

    env: what Slurm set in the job, for several nodes. Raises ValueError if it asks for nodes and
    there are none, or for an unknown starter.
    """
    command = [str(word) for word in spec.get("command") or [""]]
    nodes, processes = int(spec.get("nodes") or 1), int(spec.get("processes") or 1)
    starter = spec.get("starter") or "torchrun"
    if nodes * processes == 1:
        return command
    if starter not in STARTERS:
        raise ValueError("there is no starter %.40r; one of: %s" % (starter, ", ".join(STARTERS)))
    if nodes == 1:
        return _one_node(command, starter, processes)
    env = os.environ if env is None else env
    return _many_nodes(command, starter, processes, nodes, env, first_node(env))


def environment(spec: Mapping[str, Any]) -> dict[str, str]:
    """What the starter needs to know: it gives its workers the job's grace, not 30 s of its own."""
    if int(spec.get("nodes") or 1) * int(spec.get("processes") or 1) == 1:
        return {}
    grace = float(spec.get("grace_s") or 30.0)
    return {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "%d" % max(1, grace - 5)}


def _one_node(command: list[str], starter: str, processes: int) -> list[str]:
    python, program = _split(command)
    if starter == "torchrun":
        options = ["--standalone", "--nproc-per-node=%d" % processes]
        return [python, "-m", "torch.distributed.run"] + options + _torchrun(program)
    options = ["--multi_gpu", "--num_processes=%d" % processes, "--num_machines=1"]
    options += ["--main_process_port=0"] + PLAIN
    return [python, "-m", "accelerate.commands.launch"] + options + _accelerate(program)


def _many_nodes(
    command: list[str],
    starter: str,
    processes: int,
    nodes: int,
    env: Mapping[str, str],
    first: str,
) -> list[str]:
    python, program = _split(command)
    job = env.get("SLURM_JOB_ID", "0")
    port = rendezvous_port(job, env.get("SLURM_RESTART_COUNT", "0"))
    srun = ["srun", "--nodes=%d" % nodes, "--ntasks=%d" % nodes, "--ntasks-per-node=1"]
    srun += ["--kill-on-bad-exit=1"]
    if env.get("SLURM_CPUS_PER_TASK"):  # srun does not take it over from the batch job by itself
        srun += ["--cpus-per-task=" + env["SLURM_CPUS_PER_TASK"]]
    if starter == "torchrun":
        options = [
            "--nnodes=%d" % nodes,
            "--nproc-per-node=%d" % processes,
            "--rdzv-id=%s" % job,
            "--rdzv-backend=c10d",
            "--rdzv-endpoint=%s:%d" % (first, port),
        ]
        return srun + [python, "-m", "torch.distributed.run"] + options + _torchrun(program)
    options = [
        "--multi_gpu",
        "--num_processes=%d" % (nodes * processes),
        "--num_machines=%d" % nodes,
        "--rdzv_backend=c10d",
        "--main_process_ip=%s" % first,
        "--main_process_port=%d" % port,
    ] + PLAIN
    # Which node it is, only the node itself knows. The first one serves the rendezvous: left to
    # find out by its address, another node on the same machine may be there before it.
    shell = (
        '[ "$SLURM_NODEID" = 0 ] && first=1 || first=0; '
        'exec "$0" -m accelerate.commands.launch --machine_rank="$SLURM_NODEID" '
        '--rdzv_conf="is_host=$first" "$@"'
    )
    return srun + ["/bin/sh", "-c", shell, python] + options + _accelerate(program)


def _split(command: list[str]) -> tuple[str, list[str]]:
    """(interpreter, what it runs): `python -m m …` and `python file.py …`; else a program whole."""
    if re.match(r"python[0-9.]*$", os.path.basename(command[0])) and len(command) > 1:
        if command[1] == "-m" and len(command) > 2:
            return command[0], command[1:]
        if not command[1].startswith("-"):
            return command[0], command[1:]
        return command[0], ["--no-python"] + command
    return "python3", ["--no-python"] + command


def _torchrun(program: list[str]) -> list[str]:
    return program  # it knows -m and --no-python by these names


def _accelerate(program: list[str]) -> list[str]:
    return ["--no_python"] + program[1:] if program[0] == "--no-python" else program


def rendezvous_port(job: str, restart: str = "0") -> int:
    """The same on every node of a job, rarely that of another job."""
    number = int(re.sub(r"\D", "", job) or 0) + 101 * int(re.sub(r"\D", "", restart) or 0)
    return PORTS[0] + number % (PORTS[1] - PORTS[0])


def first_node(
    env: Mapping[str, str], call: Callable[..., str] | None = None, resolves: Any = None
) -> str:
    """The address of the allocation's first node. Raises ValueError outside of an allocation.

    call: runs a Slurm command and gives what it prints.  resolves: does a name have an address?
    """
    nodes = env.get("SLURM_JOB_NODELIST") or env.get("SLURM_NODELIST")
    if not nodes:
        raise ValueError("several nodes are asked for, but no scheduler gave any")
    if call is None:
        from remote.agent import slurm

        call = slurm.at({}).call
    names = call("scontrol", "show", "hostnames", nodes).split()
    if not names:
        raise ValueError("the scheduler names no node in %.80r" % nodes)
    if (resolves or _resolves)(names[0]):
        return names[0]
    match = re.search(r"(?:^| )NodeAddr=(\S+)", call("scontrol", "show", "node", "-o", names[0]))
    return match.group(1) if match else names[0]


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True
