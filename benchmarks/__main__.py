"""`python -m benchmarks NAME|all [--json]`"""

from __future__ import annotations

import argparse

from benchmarks import (
    bulk,
    cold_start,
    control_call,
    curve,
    day,
    evaluation,
    first_frame,
    link,
    log_view,
    markers,
    registry,
    scoring,
    screens,
    search,
    stall,
    tables,
    training,
)

BENCHMARKS = {
    "evaluation": evaluation.run,
    "first-frame": first_frame.run,
    "control-call": control_call.run,
    "bulk": bulk.run,
    "cold-start": cold_start.run,
    "curve": curve.run,
    "day": day.run,
    "link": link.run,
    "log-view": log_view.run,
    "registry": registry.run,
    "scoring": scoring.run,
    "screens": screens.run,
    "search": search.run,
    "markers": markers.run,
    "stall": stall.run,
    "tables": tables.run,
    "training": training.run,
}


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = list(BENCHMARKS) if options.name == "all" else [options.name]
    for name in names:
        for figure in BENCHMARKS[name]():
            print(figure.as_json() if options.json else figure.as_text(), flush=True)


main()
