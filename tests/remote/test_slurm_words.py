"""What Slurm prints, read and judged; the batch script; the `slurm:` block of hosts.yaml."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MissingComponent, SchedulerDown, SchedulerRefused, SettingsError
from remote.agent import slurm as agent_slurm
from remote.agent import slurm_states as states
from remote.agent.problem import Problem
from remote.helper_client import error_from
from remote.hosts import load_hosts
from remote.slurm.script import batch_script
from remote.slurm.settings import SlurmSettings, gpu_count, time_limit_s
from remote.slurm.survey import info_from, misfits

# in the columns asked for; with a row of a step, which -X leaves out, to be on the safe side
SACCT = """\
8123455|COMPLETED|0:0|2026-03-02T10:00:00|2026-03-02T11:30:12|2026-03-02T09:00:01|gh042|None|train-a
8123456_2|CANCELLED by 5123|0:15|2026-03-02T10:00:00|2026-03-02T10:00:30|2026-03-02T09:00:01|gh001|None|array-
8123457|OUT_OF_MEMORY|0:125|2026-03-02T10:00:00|2026-03-02T10:00:30|2026-03-02T09:00:01|gh001|None|train-c|odd
8123458|TIMEOUT|0:0|2026-03-02T10:00:00|2026-03-02T12:00:30|2026-03-02T09:00:01|gh[001-002]|TimeLimit|train-d
8123459|PENDING|0:0|Unknown|Unknown|2026-03-02T09:00:01|None assigned|Priority|train-e
8123455.batch|COMPLETED|0:0|2026-03-02T10:00:00|2026-03-02T11:30:12|2026-03-02T09:00:01|gh042||batch
"""
SCONTROL = (
    "JobId=12 ArrayJobId=10 ArrayTaskId=2 JobName=array-x UserId=me(51234) GroupId=us(1) MCS_label=N/A "
    "Priority=1 Nice=0 Account=bcde-dtai-gh QOS=normal JobState=FAILED Reason=NonZeroExitCode "
    "Requeue=0 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=3:0 RunTime=00:00:01 TimeLimit=02:00:00 TimeMin=N/A "
    "SubmitTime=2026-03-02T09:00:01 StartTime=2026-03-02T10:00:00 EndTime=2026-03-02T10:00:01 "
    "NodeList=gh042 BatchHost=gh042 Comment=a JobState=COMPLETED Power= \n"
)
NOW = 1_800_000_000.0
RAN = {"status": "running", "started_at": NOW - 500, "pid": 5, "runner_pid": 4, "boot_id": "b"}


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def row(state: str, **more: Any) -> dict[str, Any]:
    base = {"id": "7", "state": state, "start": None, "submit": NOW - 900, "end": NOW - 100}
    return {**base, "nodes": "gh042", "name": "job-1", "reason": "None", **more}


def judged(
    state: dict[str, Any] | None, slurm: dict[str, Any] | None, **note: Any
) -> dict[str, Any]:
    note = {"job": "7", "submitted_at": NOW - 900, **note}
    return states.judge(state, slurm, note, now=NOW, settle_s=5.0, last_line="the last line")


# -- reading


def test_sacct_rows() -> None:
    rows = {r["id"]: r for r in states.parse_sacct(SACCT)}
    assert list(rows) == ["8123455", "8123456_2", "8123457", "8123458", "8123459"]
    assert rows["8123455"]["code"] == 0 and rows["8123455"]["end"] == at("2026-03-02T11:30:12")
    assert rows["8123456_2"]["state"] == "CANCELLED" and rows["8123456_2"]["signal"] == 15
    assert rows["8123457"]["name"] == "train-c|odd"
    assert rows["8123458"]["nodes"] == "gh[001-002]"
    assert rows["8123459"]["start"] is None and rows["8123459"]["nodes"] == ""


def test_scontrol_takes_the_first_of_each_key() -> None:
    (found,) = states.parse_scontrol(SCONTROL)
    assert (found["id"], found["state"], found["code"]) == ("10_2", "FAILED", 3)
    assert found["name"] == "array-x" and found["nodes"] == "gh042"


def test_squeue_rows() -> None:
    text = (
        "7|PENDING|2026-03-02T10:00:00|2026-03-02T09:00:01|N/A||a|Resources\n"
        "8_1|RUNNING|2026-03-02T10:00:00|2026-03-02T09:00:01|2026-03-02T12:00:00|gh1|n|None\n"
        "8_[2-9]|PENDING|N/A|x|N/A||n|None\nslurm_load_jobs error: x\n||||||||\n"
    )
    rows = states.parse_squeue(text)
    assert [r["id"] for r in rows] == ["7", "8_1"]
    assert rows[0]["start"] == at("2026-03-02T10:00:00") and rows[0]["end"] is None


@given(
    st.text(
        alphabet=st.characters(codec="utf-8") | st.sampled_from("|=\n 0123_:TN/A"), max_size=300
    )
)
def test_no_text_breaks_the_readers(text: str) -> None:
    for parse in (states.parse_squeue, states.parse_sacct, states.parse_scontrol):
        for found in parse(text):
            assert found["id"].replace("_", "").isdigit() and found["state"].isupper()
            told = states.judge(None, found, {"job": "1"}, now=NOW, settle_s=1.0)
            assert told["status"] in ("queued", "starting", "lost", "failed", "stopped")


@given(
    st.lists(st.sampled_from([*states.ENDINGS, *states.PENDING, *states.RUNNING]), min_size=1),
    st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20),
)
def test_rows_come_back_as_they_were_printed(words: list[str], reason: str) -> None:
    text = "".join(f"{n}|{w}|N/A|N/A|N/A|n1|job|{reason}\n" for n, w in enumerate(words))
    assert [(r["id"], r["state"]) for r in states.parse_squeue(text)] == [
        (str(n), w) for n, w in enumerate(words)
    ]


# -- judging


@pytest.mark.parametrize(
    ("word", "status", "says"),
    [
        ("NODE_FAIL", "lost", "node failed"),
        ("BOOT_FAIL", "lost", "did not come up"),
        ("TIMEOUT", "stopped", "time limit"),
        ("PREEMPTED", "stopped", "preempted"),
        ("OUT_OF_MEMORY", "failed", "`mem`"),
        ("CANCELLED", "stopped", "not from here"),
        ("DEADLINE", "stopped", "deadline"),
        ("COMPLETED", "lost", "no last word"),
        ("FAILED", "lost", "the last line"),
        ("NEW_WORD", "lost", "NEW_WORD"),
    ],
)
def test_an_end_without_last_word_is_explained_by_slurm(word: str, status: str, says: str) -> None:
    told = judged(RAN, row(word))
    assert told["status"] == status and says in told["reason"]
    assert told["ended_at"] == NOW - 100 and told["started_at"] == RAN["started_at"]


def test_the_runners_last_word_stands_against_slurms() -> None:
    for status in ("succeeded", "failed", "stopped", "lost"):
        done = {**RAN, "status": status, "reason": "its own"}
        told = judged(done, row("NODE_FAIL"))
        assert (told["status"], told["reason"]) == (status, "its own")


def test_a_last_word_may_be_late() -> None:
    assert judged(RAN, row("COMPLETED", end=NOW - 2))["status"] == "running"
    assert judged(None, row("FAILED", end=NOW - 2))["status"] == "starting"


def test_queued_says_why_and_until_when() -> None:
    told = judged(None, row("PENDING", reason="QOSMaxJobsPerUserLimit", start=NOW + 60, end=None))
    assert told["status"] == "queued" and told["expected_start"] == NOW + 60
    assert told["reason"].startswith("QOSMaxJobsPerUserLimit: as many jobs of yours")
    assert told["queued_at"] == NOW - 900
    assert judged(None, row("PENDING", reason="Site_Own_Word"))["reason"] == "Site_Own_Word"


def test_requeued_job_is_queued_again_unless_it_was_stopped_from_here() -> None:
    stopped = {**RAN, "status": "stopped", "exit_code": 75, "ended_at": NOW - 300}
    told = judged(stopped, row("PENDING", reason="BeginTime"), requeue=True)
    assert told["status"] == "queued" and "pid" not in told and "exit_code" not in told
    assert judged(stopped, row("COMPLETING"), requeue=True)["status"] == "stopping"
    assert judged(stopped, row("PENDING"), requeue=True, stop=True)["status"] == "stopped"
    assert judged(stopped, row("PENDING"), requeue=False)["status"] == "stopped"
    assert judged(RAN, row("PENDING", reason="BeginTime"))["status"] == "queued"  # its node failed


def test_a_next_start_that_failed_is_not_the_stop_before_it() -> None:
    """A node that takes the returning job for the one it just ended does not start it at all."""
    stopped = {**RAN, "status": "stopped", "exit_code": 75, "ended_at": NOW - 299.5}
    failed = row("FAILED", start=NOW - 300, reason="NonZeroExitCode", code=1)
    told = judged(stopped, failed, requeue=True)
    assert (told["status"], told["exit_code"]) == ("failed", 1) and "pid" not in told
    assert told["reason"].startswith("put back into the queue, then: the batch script failed")
    just = row("FAILED", start=NOW - 2, end=NOW - 1, reason="NonZeroExitCode", code=1)
    assert judged(stopped, just, requeue=True)["status"] == "starting"  # its word may be on its way
    first = row("FAILED", start=NOW - 500, reason="NonZeroExitCode", code=75)
    assert judged(stopped, first, requeue=True)["exit_code"] == 75


def test_unknown_to_slurm() -> None:
    assert judged(RAN, None)["status"] == "lost"
    assert judged(None, None, submitted_at=NOW - 1)["status"] == "queued"  # not listed yet
    assert judged(None, None, stop=True)["status"] == "stopped"


# -- calling


def test_a_command_that_hangs_is_a_problem(tmp_path: Path) -> None:
    fake = tmp_path / "squeue"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    slurm = agent_slurm.Slurm({"bin": str(tmp_path)})
    with pytest.raises(Problem) as e:
        slurm.call("squeue", timeout=0.2)
    error = error_from(e.value.as_dict())
    assert isinstance(error, SchedulerDown) and "within" in error.why


def test_no_slurm_here(tmp_path: Path) -> None:
    with pytest.raises(Problem) as e:
        agent_slurm.Slurm({"bin": str(tmp_path)}).call("sbatch")
    assert isinstance(error_from(e.value.as_dict()), MissingComponent)


def test_slurms_words_keep_no_escapes() -> None:
    said = agent_slurm.its_words(
        "sbatch: error: \x1b]0;x\x07 bad\nsbatch: error: Batch job failed: no\n"
    )
    error = error_from({"code": "slurm_refused", "what": said})
    assert isinstance(error, SchedulerRefused) and "\x1b" not in str(error) and "bad" in error.what


# -- the script


def test_the_script_of_a_site_like_deltaai() -> None:
    settings = SlurmSettings(
        partition="ghx4",
        account="bcde-dtai-gh",
        time="12:00:00",
        gpus_per_node="4",
        cpus_per_task=64,
        mem="0",
        extra=("--exclusive",),
        setup=("module load python/3.11",),
        signal_s=300,
    )
    assert batch_script(settings, ["python3", "/w d/agent.pyz", "slurm-run"], nodes=2) == (
        "#!/bin/bash -l\n"
        "#SBATCH --partition=ghx4\n"
        "#SBATCH --account=bcde-dtai-gh\n"
        "#SBATCH --time=12:00:00\n"
        "#SBATCH --nodes=2\n"
        "#SBATCH --ntasks-per-node=1\n"
        "#SBATCH --cpus-per-task=64\n"
        "#SBATCH --mem=0\n"
        "#SBATCH --gpus-per-node=4\n"
        "#SBATCH --signal=B:TERM@300\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --no-requeue\n"
        "#SBATCH --exclusive\n"
        "module load python/3.11\n"
        "exec python3 '/w d/agent.pyz' slurm-run\n"
    )
    assert "--array=0-4%2\n" in batch_script(settings, ["x"], nodes=1, tasks=5, at_once=2)


@given(st.lists(st.text(st.characters(blacklist_characters="\0\n", codec="utf-8")), min_size=1))
def test_every_word_of_the_command_is_quoted(words: list[str]) -> None:
    last = batch_script(SlurmSettings(), words, nodes=1).split("\n", 6)[-1]
    assert shlex.split(last) == ["exec", *words]


# -- settings

ENTRY = """\
hosts:
  delta:
    address: dt-login01
    user: me
    workdir: /scratch/me/qa
    launcher: slurm
    slurm:
      partition: ghx4
      account: bcde-dtai-gh
      time: "12:00:00"
      gpus_per_node: 4
      mem: 200G
      extra: ["--exclusive"]
"""


def load(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    return load_hosts(path).get("delta")


def test_the_block_is_read(tmp_path: Path) -> None:
    host = load(tmp_path, ENTRY)
    assert host.launcher == "slurm"
    assert host.slurm.partition == "ghx4" and host.slurm.gpus_per_node == "4"
    assert host.slurm.gpu_count == 4 and host.slurm.extra == ("--exclusive",)
    assert ("gpus_per_node", "4") in host.slurm.shown()
    assert load(tmp_path, ENTRY[: ENTRY.index("    slurm:")]).slurm is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"12:00:00"', "12:00:00", "in quotes"),
        ('"12:00:00"', '"noon"', "HH:MM:SS"),
        ("partition: ghx4", "partiton: ghx4", "'partition'"),
        ("partition: ghx4", "partition: 'gh x4'", ":8"),
        ("gpus_per_node: 4", "gpus_per_node: some", "gpus_per_node"),
        ("--exclusive", "--output=x", "launcher itself"),
        ("--exclusive", "--account=x", "'account'"),
        ("--exclusive", "exclusive", "--name"),
        ("launcher: slurm", "launcher: slurn", "slurm"),
        ("mem: 200G", "mem: lots", "mem"),
        ('"12:00:00"', '"00:02:00"', "leaves no time"),
    ],
)
def test_faults_of_the_block(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in ENTRY
    with pytest.raises(SettingsError) as e:
        load(tmp_path, ENTRY.replace(old, new))
    assert "hosts.yaml" in e.value.what and says in str(e.value)


def test_times_and_counts() -> None:
    texts = ("90", "90:30", "1:30:00", "1-12", "1-12:30", "1-12:30:30", "infinite", "")
    wanted = [5400, 5430, 5400, 129600, 131400, 131430, None, None]
    assert [time_limit_s(t) for t in texts] == wanted
    assert [gpu_count(t) for t in ("4", "gh200:2", None)] == [4, 2, 0]


# -- what there is


def test_misfits_are_found_before_a_job_is_refused() -> None:
    answer = {
        "version": "slurm 24.05.1",
        "config": {"ClusterName": "delta"},
        "partitions": [
            "ghx4|up|2-00:00:00|30:00|100/20/5/125|288|860000|ghx4*|gpu:gh200:4".split("|"),
            "ghx4-test|up|2:00:00|n/a|0/2/0/2|288|860000|ghx4-test|gpu:gh200:4(S:0-3)".split("|"),
            ["odd", "up"],
            "no row",
        ],
        "accounts": [["bcde-dtai-gh", "", "normal,high", "normal"], []],
        "accounts_problem": "",
        "accounting_problem": "",
    }
    found = info_from(answer)
    assert found.default_partition == "ghx4" and found.accounting and found.version == "24.05.1"
    assert "ghx4* 20 of 125 nodes idle, gpu:gh200:4" in found.summary
    assert misfits(found, SlurmSettings(account="bcde-dtai-gh", gpus_per_node="4")) == []
    wrong = SlurmSettings(partition="ghx4-test", account="abcd", gpus_per_node="8", time="3:00:00")
    assert [w.split(";")[0].split(" it has")[0] for w in misfits(found, wrong)] == [
        "this login has no account 'abcd'",
        "8 GPUs a node are asked for",
        "`time` 3:00:00 is over the partition's limit 2:00:00",
    ]
    assert "there is no partition 'gpu'" in misfits(found, SlurmSettings(partition="gpu"))[0]
    assert info_from({"partitions": 3, "accounts": {}, "config": []}).summary.endswith(
        "no partition"
    )
