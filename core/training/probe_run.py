"""A run's probe, put together from what was settled beforehand and the model it has by now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.evaluation.generate import Generator
from core.training import checkpoints, distributed, probe_history
from core.training.attach import Attached
from core.training.events import Narrator
from core.training.given import Given
from core.training.probe import Prober
from core.training.probe_history import TABLE, History
from core.training.probing import Probing
from core.training.request import Request
from core.training.signals import StopRequest
from core.training.trainer import take_weights


def generator(
    model: Any, tokenizer: Any, eos_ids: set[int], dtype: str, max_new_tokens: int
) -> Generator:
    """The evaluation's own engine over a model that is here already."""
    device = str(next(model.parameters()).device)
    return Generator(model, tokenizer, frozenset(eos_ids), device, dtype, max_new_tokens)  # type: ignore[arg-type]


def build(
    given: Given,
    request: Request,
    attached: Attached,
    eos_ids: set[int],
    narrator: Narrator,
    stop: StopRequest,
) -> Probing | None:
    """None where the recipe asks for no probe. Emits what will be asked."""
    watched, recipe = given.watched, given.recipe
    if watched is None:
        return None
    table = request.out / TABLE
    if not distributed.is_main():
        return Probing(None, None, History(""), recipe, narrator, stop, table, given.checkpoint)
    questions = watched.questions
    narrator.events.emit("probe_set", **questions.as_dict(), notes=list(watched.notes))
    narrator.say(f"probe: {questions.sentence()}")
    history, note = History(questions.sha256), ""
    if given.checkpoint is not None:
        history, note = probe_history.load(given.checkpoint, questions.sha256)
    if note:
        narrator.warn(note)
    history.write_table(table)
    causal = attached.model.get_base_model()  # the adapter is in it
    engine = generator(
        causal, attached.tokenizer, eos_ids, recipe.model.dtype, recipe.probe.max_new_tokens
    )
    prober = Prober(questions, watched.index, watched.trained, watched.negatives)
    return Probing(prober, engine, history, recipe, narrator, stop, table, given.checkpoint)


def take_best(probing: Probing | None, attached: Attached, narrator: Narrator) -> int | None:
    """With the stop rule, put the weights of the best checkpoint into the model. Returns its step;
    None where the last step's stay.
    """
    if probing is None or not probing.keeps_best or not probing.history.best:
        return None
    best = Path(probing.history.best)
    wrong = checkpoints.fault(best)
    if wrong:
        narrator.warn(f"the adapter is that of the last step: {best.name}, the best, {wrong}")
        return None
    take_weights(attached, best)
    step = int(best.name.rpartition("-")[2])
    narrator.say(f"the adapter is that of step {step}, the best by recall minus fabrication")
    return step
