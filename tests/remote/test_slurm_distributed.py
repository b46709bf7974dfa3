"""Several processes and several nodes: what is started, and that they find each other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobdir import JobSpec
from remote.agent import distributed
from remote.launch import DirectLauncher
from remote.slurm.launcher import SlurmLauncher
from tests.remote.local import Local, until
from tests.slurm import Slurm

# Two clusters at once on one machine would want the same rendezvous ports.
pytestmark = pytest.mark.xdist_group("slurm")

TRAIN = ["/env/bin/python", "-m", "core.training", "--job", "."]
SLURM = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NODELIST": "gh[001-002]", "SLURM_CPUS_PER_TASK": "16"}

ALL_REDUCE = """\
import datetime, os, torch, torch.distributed as dist

dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
x = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(x)
where = os.environ.get("SLURMD_NODENAME")
line = f"rank {dist.get_rank()} of {dist.get_world_size()} on {where} sum {x.item()}\\n"
os.write(1, line.encode())  # in one piece: the ranks share the log
dist.destroy_process_group()
"""


def spec(**more: object) -> dict[str, object]:
    return {"command": TRAIN, **more}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with Local(tmp_path / "work") as it:
        yield it


def test_one_process_is_left_alone() -> None:
    assert distributed.argv(spec()) == TRAIN
    assert distributed.argv({}) == [""]
    assert distributed.environment(spec()) == {}
    several = distributed.environment(spec(processes=2, grace_s=105.0))
    assert several == {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "100"}


def test_torchrun_on_one_node() -> None:
    assert distributed.argv(spec(processes=4)) == [
        "/env/bin/python",
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=4",
        *TRAIN[1:],
    ]


def test_torchrun_on_two_nodes_meets_at_the_first() -> None:
    words = distributed._many_nodes(TRAIN, "torchrun", 4, 2, SLURM, "gh001")
    at = words.index("/env/bin/python")
    assert words[:at] == [
        "srun",
        "--nodes=2",
        "--ntasks=2",
        "--ntasks-per-node=1",
        "--kill-on-bad-exit=1",
        "--cpus-per-task=16",
    ]
    assert words[at + 1 :] == [
        "-m",
        "torch.distributed.run",
        "--nnodes=2",
        "--nproc-per-node=4",
        "--rdzv-id=4711",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=gh001:24711",
        *TRAIN[1:],
    ]


def test_accelerate_learns_its_rank_on_the_node() -> None:
    words = distributed._many_nodes(TRAIN, "accelerate", 4, 2, SLURM, "gh001")
    shell = words[words.index("/bin/sh") :]
    assert shell[:2] == ["/bin/sh", "-c"] and "--num_processes=8" in shell
    echo = [*shell[:2], shell[2].replace('exec "$0"', "echo"), *shell[3:]]
    for node in ("0", "1"):
        said = subprocess.run(echo, env={"SLURM_NODEID": node}, capture_output=True, text=True)
        first = int(node == "0")
        assert f"--machine_rank={node} --rdzv_conf=is_host={first} --multi_gpu" in said.stdout
        assert said.stdout.rstrip().endswith("-m core.training --job .")


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        (["python3.11", "train.py", "-m", "x"], ["train.py", "-m", "x"]),
        (["/opt/train", "a b"], ["--no-python", "/opt/train", "a b"]),
        (["python", "-I", "-c", "1"], ["--no-python", "python", "-I", "-c", "1"]),
    ],
)
def test_scripts_and_other_programs(command: list[str], ends: list[str]) -> None:
    words = distributed.argv({"command": command, "processes": 2})
    assert words[-len(ends) :] == ends
    words = distributed.argv({"command": command, "processes": 2, "starter": "accelerate"})
    assert words[-len(ends) :] == [w.replace("--no-python", "--no_python") for w in ends]


def test_first_node_by_name_else_by_the_address_slurm_has() -> None:
    said = {
        "hostnames": "gh001\ngh002\n",
        "node": "NodeName=gh001 Arch=aarch64 NodeAddr=10.1.2.3 X=1",
    }

    def call(*words: str) -> str:
        assert words[-1] in ("gh[001-002]", "gh001")
        return said[words[2]]

    assert distributed.first_node(SLURM, call, lambda name: True) == "gh001"
    assert distributed.first_node(SLURM, call, lambda name: False) == "10.1.2.3"
    with pytest.raises(ValueError, match="no scheduler"):
        distributed.first_node({}, call)


def test_nodes_without_a_scheduler_are_a_failure_with_a_reason(local: Local) -> None:
    launcher = DirectLauncher(local)
    state = launcher.start(JobSpec(id="wide", routine="test", command=TRAIN, nodes=2))
    assert state.status == "failed" and "no scheduler gave any" in state.reason


def test_hostnames_of_a_real_slurm(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    monkeypatch.setenv("PATH", str(Path(shutil.which("scontrol") or "/usr/bin/x").parent))
    first = distributed.first_node({"SLURM_JOB_NODELIST": "n[1-2]"}, resolves=lambda name: False)
    assert first == "127.0.0.1"


def reduce_spec(local: Local, name: str, **more: object) -> JobSpec:
    script = local.workdir / "all_reduce.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(ALL_REDUCE)
    return JobSpec(
        id=name,
        routine="test",
        command=[sys.executable, str(script)],
        env={"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "ACCELERATE_USE_CPU": "true"},
        **more,  # type: ignore[arg-type]
    )


def reduced(launcher: DirectLauncher, local: Local, name: str) -> list[str]:
    """The lines of the ranks, sorted."""
    until(lambda: not launcher.state(name).active, 120)
    log = (local.workdir / "jobs" / name / "output.log").read_text()
    assert launcher.state(name).status == "succeeded", log
    return sorted(line for line in log.splitlines() if line.startswith("rank "))


@pytest.mark.slow
@pytest.mark.parametrize("starter", distributed.STARTERS)
def test_two_nodes_add_their_ranks(slurm: Slurm, local: Local, starter: str) -> None:
    launcher = SlurmLauncher(local, slurm.settings())
    launcher.start(reduce_spec(local, f"reduce-{starter}", nodes=2, starter=starter))
    lines = reduced(launcher, local, f"reduce-{starter}")
    assert [line.split()[:4] for line in lines] == [["rank", str(r), "of", "2"] for r in range(2)]
    assert sorted(line.split()[5] for line in lines) == ["n1", "n2"]
    assert all(line.endswith("sum 3.0") for line in lines)


@pytest.mark.slow
def test_two_processes_of_one_machine_add_their_ranks(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(reduce_spec(local, "reduce", processes=2))
    lines = reduced(launcher, local, "reduce")
    assert lines == [f"rank {r} of 2 on None sum 3.0" for r in range(2)]
