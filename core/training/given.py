"""Everything a run is given, read and settled before torch is imported: what is wrong is found first."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import base_manifest, base_models
from core.errors import UsageError
from core.training import (
    adapter_fit,
    checkpoints,
    data,
    distributed,
    inputs,
    refusals,
    strategies,
    watched,
)
from core.training import recipe as recipes
from core.training.data import Conversation
from core.training.promises import refuse_unkept, unkept
from core.training.recipe import Recipe
from core.training.replay import Mix
from core.training.request import Request
from core.training.rewording import with_rewordings
from core.training.watched import Watched


@dataclass(frozen=True, slots=True)
class Given:
    """conversations: what is trained, rewordings included; pairs: those without.  revision: the base's
    commit, "" where it says none.  mix: what of the data is replayed, None = all of it is trained.
    run_id: what this run is, in its checkpoints.  checkpoint: where it goes on.  watched: None where
    nothing is probed.  notes: to be said.
    """

    recipe: Recipe
    base: Path
    revision: str
    identity: dict[str, str]
    conversations: list[Conversation]
    pairs: int
    mix: Mix | None
    data_sha256: str
    run_id: str
    checkpoint: Path | None
    watched: Watched | None
    notes: tuple[str, ...]

    @property
    def questions(self) -> dict[str, Any]:
        return self.watched.questions.as_dict() if self.watched else {}


@dataclass(frozen=True, slots=True)
class Sound:
    """What was asked for, and found to be there and of one kind.

    conversations: what is trained, rewordings included; pairs: those without.
    """

    recipe: Recipe
    base: Path
    revision: str
    conversations: list[Conversation]
    pairs: int
    mix: Mix | None
    notes: tuple[str, ...]


def sound(request: Request, *, verify: bool = True) -> Sound:
    """Look at base model, adapter and rows; nothing is written, torch is not imported.

    verify: read every byte of the base model and hold it against its manifest.

    Raises UsageError, MissingComponent and their like.
    """
    recipe = recipes.smoke(request.recipe) if request.smoke else request.recipe
    recipe, said = strategies.settled(recipe, request.init_adapter, request.previous_data)
    base = base_models.resolve(request.base_model or recipe.model.name, verify=verify)
    revision = inputs.check_base(base, recipe)
    if request.init_adapter:
        if recipe.incremental.strategy != "merge":
            refusals.check_adapter_directory(request.init_adapter, recipe)
        adapter_fit.check_fits(request.init_adapter, base)
    rows, mix = strategies.rows_for(recipe, request.data, request.previous_data)
    refusals.check_rows(rows, request.data)
    if request.smoke:
        rows = data.smoke_sample(rows, recipe.train.seed)
    conversations = with_rewordings(rows, recipe.train.rewordings)
    if not request.census_only:
        refusals.check_steps(recipe, len(conversations))
    return Sound(recipe, base, revision, conversations, len(rows), mix, said)


def known(request: Request, found: Sound) -> list[Conversation]:
    """What the model has been taught once it is trained. What is not replayed was trained before: its
    wordings are no unseen ones."""
    if found.mix is None:
        return found.conversations
    everything = data.read_conversations(request.data)
    return with_rewordings(everything, found.recipe.train.rewordings)


def settle(request: Request) -> Given:
    """Raises UsageError, MissingComponent and their like."""
    refuse_unkept(request.recipe)
    refusals.check_started(request.recipe)
    found = sound(request)
    recipe, base, conversations, mix = found.recipe, found.base, found.conversations, found.mix
    notes = [*found.notes, *(f"not carried out: {promise}" for promise in unkept(recipe))]
    watch = None
    if watched.wanted(recipe) and not request.census_only:
        watch = watched.settle(request, recipe, known(request, found), mix.negatives if mix else ())
        notes += watch.notes
    identity = base_models.identity(base)
    data_sha256 = base_manifest.sha256(request.data)
    earlier = strategies.identity_of(request.previous_data)
    run_id = checkpoints.fingerprint(
        recipe.resolved(),
        data_sha256,
        f"{identity['base_model_sha256']} {request.init_adapter or ''} {earlier}".rstrip(),
    )
    checkpoint, passed_over = _checkpoint(request, run_id)
    return Given(
        recipe=recipe,
        base=base,
        revision=found.revision,
        identity=identity,
        conversations=conversations,
        pairs=found.pairs,
        mix=mix,
        data_sha256=data_sha256,
        run_id=run_id,
        checkpoint=checkpoint,
        watched=watch,
        notes=(*notes, *passed_over),
    )


def _checkpoint(request: Request, run_id: str) -> tuple[Path | None, list[str]]:
    if not request.resume and distributed.is_main() and not request.census_only:
        shutil.rmtree(request.checkpoints, ignore_errors=True)
    checkpoint, passed_over = checkpoints.latest(request.checkpoints, run_id)
    if checkpoint is None and request.resume_from:
        checkpoint, more = checkpoints.latest(request.resume_from, run_id)
        passed_over += more
        if checkpoint is None:
            raise UsageError(
                f"{request.resume_from}: no whole checkpoint to go on from",
                why="; ".join(more),
                try_next="start it again from the beginning",
            )
    return checkpoint, passed_over
