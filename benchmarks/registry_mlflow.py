"""MLflow's side of benchmarks/registry.py, for a Python that has mlflow: FILE VERSIONS → JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

RUNS, ALIASES, READS, BATCHES = 20, 30, 30, 60


def main(file: str, count: int) -> dict[str, list[float]]:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient(f"sqlite:///{file}", f"sqlite:///{file}")
    experiment = client.create_experiment("bench")
    runs = [client.create_run(experiment).info.run_id for _ in range(RUNS)]
    for n, run in enumerate(runs):
        for k in range(20):
            client.log_metric(run, f"metric {k}", n + k / 7)
            client.log_param(run, f"param {k}", str(n + k))
    client.create_registered_model("access-qa")

    def register(n: int) -> None:
        tags = {"dataset": "d", "status": "candidate", "sem": f"1.0.{n}", "sha": "0" * 64}
        client.create_model_version("access-qa", "/adapter", runs[n % RUNS], tags=tags)

    took: dict[str, list[float]] = {
        "register": [_seconds(lambda n=n: register(n)) for n in range(count)]
    }
    took["register"] = took["register"][-300:]
    took["promote"] = [
        _seconds(
            lambda n=n: client.set_registered_model_alias("access-qa", "production", str(1 + n))
        )
        for n in range(ALIASES)
    ]
    took["newest"] = [
        _seconds(
            lambda: client.search_model_versions(
                "name = 'access-qa'", max_results=100, order_by=["version_number DESC"]
            )
        )
        for _ in range(READS)
    ]
    took["compare"] = [
        _seconds(lambda n=n: [client.get_run(runs[n % RUNS]), client.get_run(runs[-1 - n % RUNS])])
        for n in range(READS)
    ]
    before = Path(file).stat().st_size
    took["point"] = []
    for batch in range(BATCHES):
        metrics = [Metric(f"key {i % 10}", i / 7, 1, batch * 100 + i // 10) for i in range(1000)]
        took["point"].append(_seconds(lambda m=metrics: client.log_batch(runs[0], m)) / 1000)
    took["bytes"] = [(Path(file).stat().st_size - before) / (BATCHES * 1000)]
    return took


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
