"""What a recipe may ask for and this trainer does not carry out yet: refused, or said aloud. Light.

A setting that is silently ignored is worse than none: somebody believes in it.
"""

from __future__ import annotations

from core.training import four_bit, sharding
from core.training.recipe import Recipe


def refuse_unkept(recipe: Recipe) -> None:
    """On the host, before anything is loaded: what this machine cannot carry out.

    Raises MissingComponent or EnvironmentProblem for settings without which the run would be another
    run than was asked for: 4 bit, and a model divided among accelerators.
    """
    if not (four_bit.wanted(recipe) or sharding.wanted(recipe)):
        return
    from core.training.environment import device

    gpu = device() == "cuda"
    four_bit.require(recipe, gpu=gpu)
    sharding.require(recipe, gpu=gpu)


def unkept(recipe: Recipe) -> list[str]:
    """Settings that are left out, in words; the run is the same without them, but not watched as asked."""
    said = []
    if sharding.wanted(recipe):  # every answer would need all processes in step, token by token
        if recipe.probe.every:
            said.append(
                "probe.every: no recall is measured while the model is divided among processes; "
                "qa-eval measures it afterwards"
            )
        if recipe.stop.rule != "none":
            said.append("stop.rule: every epoch is trained, whatever recall does")
        if recipe.census.before_training:
            said.append("census.before_training: take it on a host that holds the model whole")
    return said
