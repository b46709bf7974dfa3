"""What a run is watched by, settled before torch is imported: probe questions, and who may judge. Light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import citations
from core.citations import SourceIndex
from core.corpus import load_sources
from core.errors import UsageError
from core.evaluation.golden import GoldenQuestion
from core.evaluation.golden.sets import load_set, mounts
from core.pairs import Pair
from core.source_files import read_sources
from core.training import probe_set
from core.training.data import Conversation, read_conversations
from core.training.negatives import Negative
from core.training.probe_set import ProbeSet
from core.training.recipe import Recipe
from core.training.request import Request
from core.training.rewording import with_rewordings


@dataclass(frozen=True, slots=True)
class Watched:
    """trained: every row of the data, rewordings included.  negatives: questions whose old answer is
    wrong by now.  notes: to be said.
    """

    questions: ProbeSet
    index: SourceIndex
    trained: tuple[Pair, ...]
    negatives: tuple[Negative, ...] = ()
    notes: tuple[str, ...] = ()


def wanted(recipe: Recipe) -> bool:
    """Whether this run is probed. Not while the weights are divided among processes: each answer would
    need all of them in step at every token.
    """
    return bool(recipe.probe.every) and recipe.train.sharding == "none"


def settle(
    request: Request,
    recipe: Recipe,
    rows: Sequence[Conversation],
    negatives: Sequence[Negative] = (),
) -> Watched:
    """Choose the questions of every probe.

    rows: all of the data, rewordings included; what the adapters under this run were trained on comes
    from the request.  Raises GoldenError, UsageError (a source file; a stop rule
    that has nothing to go by), RegistryNotLoaded (no sources, and no citation to take them from).
    """
    trained = probe_set.pairs_of(rows, request.data)
    notes = []
    candidates = _candidates(request)
    if not candidates:
        notes.append("no golden questions here: facts are probed as they were trained")
    below = request.earlier_data or ((request.previous_data,) if request.previous_data else ())
    earlier = [p for file in below for p in probe_set.pairs_of(_reworded(file, recipe), file)]
    questions = probe_set.choose(trained, candidates, recipe.probe, earlier)
    if recipe.stop.rule == "recall" and not questions.count("unseen wording"):
        raise UsageError(
            "stop.rule is recall, and no trained fact has a wording that is not trained",
            why=f"{len(candidates)} golden questions were looked at; "
            f"{questions.dropped} of their wordings are trained",
            try_next="give held-out wordings with --probe FILE, or --set stop.rule=none",
        )
    index, note = _index(request.sources, trained)
    notes += [note] if note else []
    return Watched(questions, index, tuple(trained), tuple(negatives), tuple(notes))


def _reworded(file: Path, recipe: Recipe) -> list[Conversation]:
    return with_rewordings(read_conversations(file), recipe.train.rewordings)


def _candidates(request: Request) -> list[GoldenQuestion]:
    if request.probe:
        return load_set(list(request.probe)).questions
    there = [m for m in mounts() if m.path.is_file()]
    return load_set(there).questions if there else []


def _index(path: Path | None, trained: Sequence[Pair]) -> tuple[SourceIndex, str]:
    if path is not None:
        return SourceIndex.load(read_sources(path).rows), ""
    try:
        return SourceIndex.load(load_sources().rows), ""
    except UsageError:  # no corpus on this machine
        ids = sorted({m.source_id for p in trained for m in citations.find(p.answer)})
        return SourceIndex.load(
            {"source_id": i} for i in ids
        ), "no source registry here: a source that no training row cites counts as fabricated"
