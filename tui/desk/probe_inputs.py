"""What a training is probed with, placed on the host: held-out wordings, golden questions, sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.desk.launching import Placed
from tui.desk.selecting import probe_rows

if TYPE_CHECKING:
    from core.training.recipe import Recipe
    from tui.desk.workbench import Workbench


def place_probe(bench: Workbench, recipe: Recipe) -> dict[str, Placed]:
    """{"probe": …, "sources": …} for a recipe that probes, else {}.

    Which questions are asked is settled on the host, against the very rows that are trained. Raises
    GoldenError, PairsError.
    """
    from core.registry import sources

    if not recipe.probe.every:
        return {}
    place = bench.launching.place_rows
    return {
        "probe": place("training-probe", candidates(bench, stops=recipe.stop.rule != "none")),
        "sources": place("sources", sources.rows(bench.registry())),
    }


def settings(placed: dict[str, Placed]) -> dict[str, Any]:
    """Their part of the job's settings."""
    if not placed:
        return {}
    return {"probe": [placed["probe"].path], "sources": placed["sources"].path}


def candidates(bench: Workbench, *, stops: bool = False) -> list[dict[str, Any]]:
    """Golden rows: held-out wordings of the training data, and the golden set with its paraphrases.

    stops: the probe chooses the checkpoint. Then only golden paraphrases are asked: the held-out
    wordings are a gate's, and may not have chosen what the gate judges.
    """
    from core.evaluation.golden.sets import beside, load_set

    golden = load_set([bench.golden, *beside(bench.golden)]).questions
    if stops:
        return [q.as_row() for q in golden if q.paraphrases]
    return [*probe_rows(bench), *(q.as_row() for q in golden)]
