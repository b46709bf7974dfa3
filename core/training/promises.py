"""What a recipe may ask for and this trainer does not carry out yet: refused, or said aloud. Light.

A setting that is silently ignored is worse than none: somebody believes in it.
"""

from __future__ import annotations

from core.errors import UsageError
from core.training.recipe import Recipe


def refuse_unkept(recipe: Recipe) -> None:
    """Raises UsageError for settings without which the run would be another run than was asked for."""
    asked = {
        "model.quantise": recipe.model.quantise != "none",
        "train.packing": recipe.train.packing,
        "train.sharding": recipe.train.sharding != "none",
    }
    wrong = [name for name, is_asked in asked.items() if is_asked]
    if wrong:
        resets = " ".join(f"--set {n}={'false' if n == 'train.packing' else 'none'}" for n in wrong)
        raise UsageError(
            f"this trainer does not carry out {', '.join(wrong)} yet",
            why="without it the run needs other memory, or does other steps, than was planned",
            try_next=f"run without: {resets}",
        )


def unkept(recipe: Recipe) -> list[str]:
    """Settings that are left out, in words; the run is the same without them, but not watched as asked."""
    said = []
    if recipe.probe.every:
        said.append(
            "probe.every: no recall is measured while training; qa-eval measures it afterwards"
        )
    if recipe.stop.rule != "none":
        said.append("stop.rule: every epoch is trained, whatever recall does")
    if recipe.train.export:
        said.append(
            f"train.export: nothing is sent to {', '.join(recipe.train.export)}; events are here"
        )
    return said
