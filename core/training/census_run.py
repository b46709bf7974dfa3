"""A run's census: the bare base model asked about the facts of the training rows."""

from __future__ import annotations

import time
from typing import Any

from core.training import census, distributed, probe_set
from core.training.events import Narrator
from core.training.given import Given
from core.training.probe_run import generator
from core.training.recipe import Recipe
from core.training.request import Request


def wanted(recipe: Recipe) -> bool:
    """In this run: not of a model that is divided among processes, none of which could ask it alone."""
    return recipe.census.before_training and recipe.train.sharding == "none"


def take(
    given: Given,
    request: Request,
    model: Any,
    tokenizer: Any,
    eos_ids: set[int],
    narrator: Narrator,
) -> dict[str, Any] | None:
    """The census as its event has it, which is emitted; None in all processes but the first."""
    if not distributed.is_main():
        return None
    recipe = given.recipe
    engine = generator(model, tokenizer, eos_ids, recipe.model.dtype, recipe.census.max_new_tokens)
    part = census.settled(recipe.census, engine.device)
    narrator.phase("census", "asking what the base knows already")
    began = time.monotonic()
    found = census.take(
        engine,
        probe_set.pairs_of(given.conversations, request.data),
        part,
        base_sha256=given.identity["base_model_sha256"],
        data_sha256=given.data_sha256,
        progress=lambda done, total: narrator.events.progress(done, total, "census"),
    )
    found.write(request.out / census.FILE)
    about = {**found.as_dict(), "seconds": round(time.monotonic() - began, 2)}
    narrator.events.emit("census", **about)
    narrator.say(found.sentence())
    return about
