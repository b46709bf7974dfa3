"""What the Jobs screen is given beside the rows of the fake desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tui.desk.api_work import About, Artifact, Listed, Why

SETTINGS = (
    ("recipe.name", "mistral-7b"),
    ("recipe.train.batch_size", "4"),
    ("recipe.train.lr", "2e-05"),
    ("snapshot", "dataset-2026-11-22-ab12cd34ef56"),
)
MEMORY = Why(
    "The GPU ran out of memory.",
    "Halve train.batch_size and double train.accumulate (the same training).",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    3,
)
LEFT = (Artifact("adapter/adapter_model.safetensors", 109_069_176, False),
        Artifact("summary.json", 2_113, True))  # fmt: skip


class FakeWork:
    """Implements tui.desk.api_work.WorkDesk for a FakeDesk."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.problem = ""
        self.left = LEFT

    def listed(self) -> Listed:
        self.desk._asked("work.listed")
        return Listed(tuple(self.desk.rows.values()), self.problem)

    def about(self, job_id: str) -> About:
        self.desk._asked("work.about", job_id)
        failed = self.desk.rows[job_id].status == "failed"
        return About(
            job_id, "jsmith", "2026-11-21T09:00:00Z", "python3.11 -m core.training --job .",
            SETTINGS, (("pairs", "inputs/ab12/pairs.jsonl"),),
            self.desk.root / job_id / "output.log", MEMORY if failed else None,
            "access-qa-v1.0.0" if job_id.endswith("0139") else "",
        )  # fmt: skip

    def artifacts(self, job_id: str) -> tuple[Artifact, ...]:
        self.desk._asked("work.artifacts", job_id)
        return self.left

    def fetch(self, job_id: str, name: str) -> Path:
        self.desk._asked("work.fetch", job_id, name)
        return Path("/state/jobs") / job_id / "artifacts" / name

    def kill(self, job_id: str) -> None:
        self.desk._asked("work.kill", job_id)

    def rerun(self, job_id: str) -> str:
        self.desk._asked("work.rerun", job_id)
        return str(self.desk._new("train", "again"))

    def resume(self, job_id: str) -> str:
        self.desk._asked("work.resume", job_id)
        return str(self.desk._new("train", "resumed"))

    def remove(self, job_id: str) -> tuple[str, ...]:
        self.desk._asked("work.remove", job_id)
        del self.desk.rows[job_id]
        return (f"its folder on the host is removed: jobs/{job_id}",)
