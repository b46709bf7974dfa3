"""A stand-in for nvidia-smi that prints what real drivers print, for machines without one.

`install(folder, card)` puts an executable `nvidia-smi` there; put the folder first in PATH. Cards:
gh200, h100_mig, old (a driver that knows no event reasons), lost (fell off the bus), hang, garbage.
"""

from __future__ import annotations

import sys
from pathlib import Path

CARDS = ("gh200", "h100_mig", "old", "lost", "hang", "garbage")

SCRIPT = '''#!{python}
import sys, time

CARD = {card!r}
KNOWN = """timestamp index name uuid driver_version memory.used memory.free memory.total utilization.gpu
utilization.memory temperature.gpu power.draw power.limit clocks.sm clocks.mem compute_cap
mig.mode.current ecc.errors.uncorrected.volatile.total""".split()
KNOWN.append("clocks_throttle_reasons.active" if CARD == "old" else "clocks_event_reasons.active")
ROW = {{
    "timestamp": "2026/11/22 11:48:11.693", "index": "0", "name": "NVIDIA GH200 480GB",
    "uuid": "GPU-1f2e", "driver_version": "555.42.06", "memory.used": "62668", "memory.free": "35203",
    "memory.total": "97871", "utilization.gpu": "92", "utilization.memory": "41",
    "temperature.gpu": "61", "power.draw": "412.30", "power.limit": "900.00", "clocks.sm": "1980",
    "clocks.mem": "2619", "compute_cap": "9.0", "mig.mode.current": "Disabled",
    "ecc.errors.uncorrected.volatile.total": "0",
    "clocks_event_reasons.active": "0x0000000000000044",
    "clocks_throttle_reasons.active": "0x0000000000000008",
}}
if CARD == "h100_mig":
    ROW.update({{"name": "NVIDIA H100 80GB HBM3", "utilization.gpu": "[N/A]", "memory.total": "81559",
                "memory.used": "[N/A]", "mig.mode.current": "Enabled", "power.draw": "[N/A]",
                "ecc.errors.uncorrected.volatile.total": "2"}})

args = sys.argv[1:]
if CARD == "hang":
    time.sleep(3600)
if CARD == "lost":
    print("Unable to determine the device handle for GPU0: 0009:01:00.0: Unknown Error")
    sys.exit(255)
if CARD == "garbage":
    print("\\x1b]0;owned\\x07\\x9b2J, " * 4)
    sys.exit(0)
if "--help-query-gpu" in args:
    for name in KNOWN:
        print('"%s"\\nA description, with commas.\\n' % name)
    sys.exit(0)
query = [a.partition("=")[2] for a in args if a.startswith("--query-gpu=")]
apps = [a.partition("=")[2] for a in args if a.startswith("--query-compute-apps=")]
if apps:
    print("GPU-1f2e, 4711, /opt/env/bin/python, 62140")
    print("GPU-1f2e, 4712, /home/x/a, b/python, [N/A]")
    sys.exit(0)
if not query:
    print("| NVIDIA-SMI 555.42.06   Driver Version: 555.42.06   CUDA Version: 12.5 |")
    sys.exit(0)
fields = query[0].split(",")
for field in fields:
    if field not in KNOWN:
        print('Field "%s" is not a valid field to query.' % field)
        sys.exit(2)
pause = 0.0
for flag, unit in (("-lms", 0.001), ("-l", 1.0)):
    if flag in args:
        pause = unit * float(args[args.index(flag) + 1])
while True:
    print(", ".join(ROW[f] for f in fields), flush=True)
    if not pause:
        break
    time.sleep(pause)
'''


def install(folder: Path, card: str) -> Path:
    """The executable's path."""
    assert card in CARDS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nvidia-smi"
    path.write_text(SCRIPT.format(python=sys.executable, card=card))
    path.chmod(0o755)
    return path
