"""The probes of a run so far: kept with every checkpoint, and as a table fact by fact. Light.

A checkpoint carries the probes that came before it, so a resumed run learns from the checkpoint itself
what was right before, and how long the stop rule has waited; also where another job wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.jobdir import write_atomic

if TYPE_CHECKING:
    from core.training.probe import Probe

FILE = "probe.json"  # in a checkpoint
TABLE = "probe.jsonl"  # in the artifacts: a line for each question of each probe


@dataclass(slots=True)
class History:
    """questions: sha256 of the probe set.  pending: (step, epoch) of a probe that a stop request cut
    short, to be made up for before the next step.  best: path of the best checkpoint, "" without.
    """

    questions: str
    probes: list[Probe] = field(default_factory=list)
    pending: tuple[int, float] | None = None
    best: str = ""

    @property
    def scores(self) -> list[tuple[int, float]]:
        return [(p.step, p.score) for p in self.probes if p.score is not None]

    def save(self, checkpoint: Path) -> None:
        data = {
            "questions": self.questions,
            "probes": [asdict(p) for p in self.probes],
            "pending": self.pending,
            "best": self.best,
        }
        write_atomic(checkpoint / FILE, json.dumps(data, ensure_ascii=False).encode())

    def write_table(self, path: Path) -> None:
        """All of it, each time: a few hundred lines, and whole whatever happens in between."""
        lines = (json.dumps(row, ensure_ascii=False) for p in self.probes for row in p.rows)
        write_atomic(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def load(checkpoint: Path, questions: str) -> tuple[History, str]:
    """The history a checkpoint carries, and a note if it is not used: there is none, or other
    questions were asked then.
    """
    from core.training.probe import Probe

    empty = History(questions)
    try:
        data = json.loads((checkpoint / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return empty, f"{checkpoint.name} carries no probes; what was right before it is not known"
    if data["questions"] != questions:
        return empty, f"the probes before {checkpoint.name} asked other questions and do not count"
    probes = [_probe(Probe, row) for row in data["probes"]]
    pending = data["pending"]
    return History(questions, probes, tuple(pending) if pending else None, data["best"]), ""


def _probe(kind: type[Probe], row: dict[str, Any]) -> Probe:
    counts = {name: (int(k), int(n)) for name, (k, n) in row.pop("counts").items()}
    rows: Iterable[dict[str, Any]] = row.pop("rows")
    return kind(counts=counts, rows=tuple(rows), **row)
