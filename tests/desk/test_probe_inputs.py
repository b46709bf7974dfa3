"""What a training that is probed takes along, and what one that is not leaves at home."""

from __future__ import annotations

import json
from pathlib import Path

from core.evaluation.golden.sets import load_set
from core.registry import open_registry, snapshots
from tests.core.conftest import make_pair
from tests.desk.test_incremental import bench  # noqa: F401  fixture
from tui.desk.jobs import start_training
from tui.desk.probe_inputs import candidates
from tui.desk.selecting import probe_rows
from tui.desk.workbench import Workbench


def test_questions_and_sources_go_along(bench: Workbench) -> None:  # noqa: F811
    with open_registry() as reg:
        snapshots.freeze(reg, [make_pair(n) for n in range(3)])
    job = start_training(bench, "tiny", overrides=["probe.every=epoch"])
    spec = bench.following.dir(job).spec()
    assert [i["name"] for i in spec.inputs] == ["pairs", "training-probe", "sources"]
    (path,) = map(Path, spec.settings["probe"])  # the embedded host is this machine
    questions = load_set(path).questions
    held_out = [q for q in questions if q.id.startswith("probe_")]
    assert len(held_out) > 20 and all(not q.paraphrases for q in held_out)
    # deferrals and canaries of the golden set, and its paraphrases, which are asked in its place
    assert any(q.should_defer for q in questions) and any(q.canary for q in questions)
    assert any(q.paraphrases for q in questions)
    sources = Path(spec.settings["sources"]).read_text().splitlines()
    assert all(json.loads(line)["source_id"] for line in sources)


def test_what_chooses_the_checkpoint_is_not_what_judges_it(bench: Workbench) -> None:  # noqa: F811
    asked = candidates(bench, stops=True)
    assert asked and all(row["paraphrases"] for row in asked)  # their own wording is not asked
    held_out = {row["question"] for row in probe_rows(bench)}
    assert held_out and not held_out & {row["question"] for row in asked}
    assert held_out <= {row["question"] for row in candidates(bench)}


def test_a_recipe_without_a_probe_needs_none(bench: Workbench) -> None:  # noqa: F811
    with open_registry() as reg:
        snapshots.freeze(reg, [make_pair(n) for n in range(3)])
    spec = bench.following.dir(start_training(bench, "tiny")).spec()
    assert "probe" not in spec.settings and [i["name"] for i in spec.inputs] == ["pairs"]
