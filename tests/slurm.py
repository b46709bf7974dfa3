"""A real Slurm on loopback: munged, slurmctld and one slurmd for each of two nodes, in a folder of their own.

Each node has 2 CPUs and two GPUs that are character devices anyone has. Without accounting sacct answers
that it is disabled, for real; with it there are a slurmdbd and a MariaDB server too, only the account
`bcde` may submit, and slurmctld forgets ended jobs after seconds, as a busy site's does after minutes.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from remote.slurm.settings import SlurmSettings
from tests.conftest import require
from tests.openssh import free_port
from tests.processes import alive

NODES = ("n1", "n2")
DATABASE = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb", "mariadb-install-db")
PARTS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")

CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={top}/munge/socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
MessageTimeout=5
StateSaveLocation={top}/state
SlurmdSpoolDir={top}/spool-%n
SlurmctldPidFile={top}/slurmctld.pid
SlurmdPidFile={top}/%n.pid
SlurmctldLogFile={top}/slurmctld.log
SlurmdLogFile={top}/%n.log
{accounting}
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
KillWait=5
OverTimeLimit=0
GresTypes=gpu
{nodes}
PartitionName=ghx4 Nodes=n1,n2 Default=YES MaxTime=2:00:00 DefaultTime=10 State=UP
PartitionName=one Nodes=n2 MaxTime=INFINITE State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=2000 "
    "Gres=gpu:gh200:2 State=UNKNOWN"
)
NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none\nMinJobAge=300"
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={top}/munge/socket
AccountingStorageEnforce=associations
MinJobAge=2
"""
DBD = """\
AuthType=auth/munge
AuthInfo=socket={top}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
PidFile={top}/slurmdbd.pid
LogFile={top}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={db_port}
StorageUser=slurm
StoragePass={secret}
StorageLoc=slurm
"""
GRES = """\
NodeName=n[1-2] Name=gpu Type=gh200 File=/dev/null
NodeName=n[1-2] Name=gpu Type=gh200 File=/dev/zero
"""


def find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Slurm:
    """Started and stopped by `with`; daemons are ended by their own pid files."""

    def __init__(self, accounting: bool = False) -> None:
        self.accounting = accounting
        self._database: subprocess.Popen[bytes] | None = None
        for name in (*PARTS, *(DATABASE if accounting else ())):
            require(find(name), name)
        require(os.geteuid() == 0, "root, to run Slurm's daemons")
        self._tmp = tempfile.TemporaryDirectory(prefix="slurm-")  # a socket's path must be short
        self.top = Path(self._tmp.name)
        self.conf = self.top / "slurm.conf"

    def settings(self, **more: object) -> SlurmSettings:
        values: dict[str, object] = {"conf": str(self.conf), "ask_s": 0.3, "signal_s": 60}
        return SlurmSettings(**{**values, **more})  # type: ignore[arg-type]

    def __enter__(self) -> Slurm:
        self.top.chmod(0o755)
        for name in ("munge", "state", *(f"spool-{n}" for n in NODES)):
            (self.top / name).mkdir()
        (self.top / "munge.key").write_bytes(os.urandom(1024))
        (self.top / "munge.key").chmod(0o600)
        self.dbd_port = free_port()
        host = socket.gethostname().split(".")[0]
        nodes = "\n".join(NODE.format(name=n, host=host, port=free_port()) for n in NODES)
        self.conf.write_text(
            CONF.format(
                host=host,
                port=free_port(),
                user=getpass.getuser(),
                top=self.top,
                nodes=nodes,
                accounting=ACCOUNTING.format(port=self.dbd_port, top=self.top)
                if self.accounting
                else NO_ACCOUNTING,
            )
        )
        (self.top / "gres.conf").write_text(GRES)
        try:
            self.munge_up()
            if self.accounting:
                self.accounting_up()
            self.controller_up()
            for name in NODES:
                self.node_up(name)
            self.wait_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.SubprocessError, OSError):
            self.clear()
        for name in (*NODES, "slurmctld", "slurmdbd", "mariadb", "munge"):
            self._end(name)
        if self._database is not None:
            self._database.wait(30)
        self._tmp.cleanup()

    # -- parts ------------------------------------------------------------------------------

    def munge_up(self) -> None:
        top = self.top
        self._start(
            "munged",
            "--force",
            f"--key-file={top}/munge.key",
            f"--socket={top}/munge/socket",
            f"--pid-file={top}/munge.pid",
            f"--seed-file={top}/munge.seed",
            f"--log-file={top}/munge.log",
        )

    def munge_down(self) -> None:
        self._end("munge")

    def accounting_up(self) -> None:
        top, user, port = self.top, getpass.getuser(), free_port()
        secret = os.urandom(8).hex()
        install = find("mariadb-install-db")
        assert install
        words = [install, "--no-defaults", f"--datadir={top}/db", f"--user={user}"]
        words += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(words, capture_output=True, timeout=120, check=True)
        server = find("mariadbd")
        assert server
        words = [server, "--no-defaults", f"--datadir={top}/db", f"--user={user}"]
        words += [f"--socket={top}/db.sock", f"--port={port}", "--bind-address=127.0.0.1"]
        words += [f"--pid-file={top}/mariadb.pid", f"--log-error={top}/mariadb.log"]
        words += ["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        self._database = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        ask = ["mariadb", "--no-defaults", "-uroot", "-S", f"{top}/db.sock", "-e"]
        self.wait(lambda: self.run(*ask, "select 1"))
        self.run(*ask, f"create user slurm@'127.0.0.1' identified by '{secret}'")
        self.run(*ask, "grant all on slurm.* to slurm@'127.0.0.1'")
        conf = top / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(
            DBD.format(top=top, port=self.dbd_port, user=user, db_port=port, secret=secret)
        )
        program = find("slurmdbd")
        assert program
        env = {**os.environ, "SLURM_CONF": str(self.conf)}
        subprocess.run([program], env=env, check=True, timeout=60)
        self.wait(lambda: self.run("sacctmgr", "-n", "list", "cluster") is not None)
        self.run("sacctmgr", "-i", "add", "cluster", "lab")
        self.run("sacctmgr", "-i", "add", "account", "bcde", "cluster=lab")
        self.run("sacctmgr", "-i", "add", "user", user, "account=bcde")

    def controller_up(self) -> None:
        self._start("slurmctld", "-f", str(self.conf))

    def controller_down(self) -> None:
        self._end("slurmctld")

    def node_up(self, name: str) -> None:
        self._start("slurmd", "-N", name, "-f", str(self.conf))

    def node_down(self, name: str) -> None:
        """Its slurmd is gone, as if the node were; what runs there goes on."""
        self._end(name)

    def node_state(self, name: str, state: str, reason: str = "a test") -> None:
        self.run("scontrol", "update", f"NodeName={name}", f"State={state}", f"Reason={reason}")

    def wait_idle(self) -> None:
        self.wait(lambda: set(self.run("sinfo", "-h", "-N", "-o", "%T").split()) == {"idle"})

    def clear(self) -> None:
        """No job left, both nodes idle."""
        self.run("scancel", "--full", "--signal=KILL", f"--user={getpass.getuser()}")
        self.run("scancel", f"--user={getpass.getuser()}")
        for name in NODES:
            if not (self.top / f"{name}.pid").exists():
                self.node_up(name)
            with suppress(subprocess.SubprocessError):
                self.node_state(name, "RESUME")
        self.wait_idle()

    def run(self, *argv: str) -> str:
        env = {**os.environ, "SLURM_CONF": str(self.conf)}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout

    def wait(self, condition: object, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while True:
            with suppress(subprocess.SubprocessError):
                if condition():  # type: ignore[operator]
                    return
            if time.monotonic() > end:
                raise AssertionError(f"it did not happen; {self._logs()}")
            time.sleep(0.05)

    def _start(self, name: str, *words: str) -> None:
        program = find(name)
        assert program
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{name}: {done.stderr}"

    def _end(self, name: str) -> None:
        path = self.top / f"{name}.pid"
        with suppress(OSError, ValueError):
            pid = int(path.read_text())
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 15
            while alive(pid):
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)
        path.unlink(missing_ok=True)

    def _logs(self) -> str:
        found = []
        for path in sorted(self.top.glob("*.log")):
            found.append(f"{path.name}:\n" + "\n".join(path.read_text().splitlines()[-8:]))
        return "\n".join(found)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    with Slurm() as it:
        yield it


@pytest.fixture(scope="module")
def accounted() -> Iterator[Slurm]:
    """A cluster with accounting."""
    with Slurm(accounting=True) as it:
        yield it


@pytest.fixture
def slurm(cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """An idle cluster; what the test left behind is ended."""
    yield cluster
    cluster.clear()
