"""`python agent.pyz COMMAND …`: the entry of what runs on the host."""

from __future__ import annotations

import json
import sys


def main(argv: list[str]) -> int:
    """COMMAND as below, and its words. Called by the laptop, and by a batch script of ours."""
    command, words = (argv or [""])[0], argv[1:]
    if command == "helper":
        from remote.agent import helper

        helper.main(words[0], words[1])
    elif command == "runner":
        from remote.agent import runner

        print(json.dumps(runner.run(words[0], words[1], "queue" in words[2:])))
    elif command == "slurm-run":
        from remote.agent import slurm_run

        return slurm_run.main(words[0], words[1])
    elif command == "follow":
        from remote.agent import follow

        follow.main(words[0], int(words[1]), words[2:])
    elif command in ("receive", "send"):
        from remote.agent import transfer

        transfer.main(command, words[0])
    elif command == "connect":
        from remote.agent import connect

        connect.main(int(words[0]))
    elif command == "probe":
        from remote.agent import probe

        print(json.dumps(probe.facts(words[0])))
    elif command == "gauges":
        from remote.agent import gauges

        gauges.main(float(words[0]))
    else:
        print("unknown command", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
