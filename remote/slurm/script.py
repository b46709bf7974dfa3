"""The batch script of a job, as text. Pure: the same job gives the same script."""

from __future__ import annotations

import shlex

from remote.slurm.settings import SlurmSettings


def batch_script(
    settings: SlurmSettings, command: list[str], *, nodes: int, tasks: int = 0, at_once: int = 0
) -> str:
    """The script that sbatch is given.

    command: our runner and its words. It takes the place of the shell, so that the signal Slurm
    sends to the batch shell before the time limit reaches the runner, which passes it on and waits
    for the checkpoint.  tasks: size of the array, 0 for a single job.  at_once: 0 for all.
    """
    options = [
        ("partition", settings.partition),
        ("account", settings.account),
        ("qos", settings.qos),
        ("reservation", settings.reservation),
        ("constraint", settings.constraint),
        ("time", settings.time),
        ("nodes", str(nodes)),
        ("ntasks-per-node", "1"),
        ("cpus-per-task", settings.cpus_per_task),
        ("mem", settings.mem),
        ("gpus-per-node", settings.gpus_per_node),
        ("signal", f"B:TERM@{settings.signal_s}"),
        ("open-mode", "append"),
        ("array", f"0-{tasks - 1}{f'%{at_once}' if at_once else ''}" if tasks else None),
    ]
    lines = ["#!/bin/bash -l"]
    lines += [f"#SBATCH --{name}={_word(value)}" for name, value in options if value is not None]
    lines.append("#SBATCH --requeue" if settings.requeue else "#SBATCH --no-requeue")
    lines += [f"#SBATCH {option}" for option in settings.extra]
    lines += settings.setup
    lines.append("exec " + shlex.join(command))
    return "\n".join(lines) + "\n"


def _word(value: object) -> str:
    """sbatch reads its comment lines with quotes of its own kind: only plain words go unquoted."""
    text = str(value)
    plain = all(c.isalnum() or c in "_.:,@%+/=~^[]&|*-" for c in text)
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
