"""The training routine from end to end: load, attach, check, train, check, save."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import EnvironmentProblem
from core.jobdir import EXIT_PREEMPTED, EventWriter, write_atomic
from core.training import distributed, environment, exporters, given, negatives
from core.training.failures import recognise
from core.training.given import Given
from core.training.request import Request, as_job
from core.training.signals import Preempted, StopRequest, watch

if TYPE_CHECKING:
    from core.training.attach import Attached
    from core.training.events import Narrator
    from core.training.preflight import PreflightReport
    from core.training.survival import Survival

__all__ = ["Request", "as_job", "train"]


def train(request: Request) -> int:
    """Exit code: 0, or EXIT_PREEMPTED after a signal. Raises QAError; anything else is a defect."""
    main = distributed.is_main()
    events = _opened(request, main)
    exporting = None
    try:
        with watch() as stop:
            if main:
                config = request.recipe.resolved()
                names = request.recipe.train.export
                exporting = exporters.start(names, request.events, request.out, config=config)
            _train(request, events, stop)
        return 0
    except Preempted as stopped:
        where = (
            f"at step {stopped.step}; resume to go on" if stopped.step else "before a checkpoint"
        )
        events.phase("preempted", step=stopped.step)
        if main:
            print(f"{time.strftime('%H:%M:%S')}  stopped by a signal {where}", flush=True)
        return EXIT_PREEMPTED
    except Exception as e:
        known = recognise(e)
        with contextlib.suppress(OSError):  # the disk may be what failed
            failed = events if main else EventWriter(request.events)  # also of the others
            failed.emit("error", **(known.as_dict() if known else {"error": type(e).__name__}))
        if known is None or known is e:
            raise
        raise known from e
    finally:
        for text in exporting.close() if exporting else ():
            events.warning(text)
        events.close()


def _opened(request: Request, main: bool) -> EventWriter:
    """The record of the run, in its folder. Raises DiskFull, EnvironmentProblem: nothing can be written."""
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        return EventWriter(request.events if main else Path(os.devnull))
    except OSError as e:
        raise recognise(e) or EnvironmentProblem(
            f"{e.filename or request.out}: cannot be written",
            why=e.strerror or str(e),
            try_next=f"another folder (--out), or the right to write to {request.out}",
        ) from e


def _train(request: Request, events: EventWriter, stop: StopRequest) -> None:
    # 1. inputs: whatever can be wrong without torch is found before its seconds are spent
    settled = given.settle(request)
    recipe = settled.recipe
    for text in settled.notes:
        events.warning(text)
        if distributed.is_main():
            print(f"▲ {text}", flush=True)
    if settled.mix and distributed.is_main():
        negatives.write(request.out / "negatives.jsonl", settled.mix.negatives)
        events.emit("mix", **settled.mix.as_dict())

    # 2. load
    environment.prepare(recipe.train.threads, meanwhile=_import_light)
    events.phase("load", base_model=recipe.model.name)
    if distributed.is_main():
        began = f"{time.strftime('%H:%M:%S')}  loading {recipe.model.name} from {settled.base}"
        print(began, flush=True)
    with environment.importing():
        import transformers

        from core.training import attach, census_run, packing, probe_run, sharding, summary, trainer
        from core.training.events import Narrator, Progress

    environment.silence_libraries()
    environment.use_threads(recipe.train.threads)
    distributed.settle_on_device()
    narrator = Narrator(events)
    tokenizer, eos_ids = attach.load_tokenizer(settled.base)

    # 3. check the rows as the model will see them
    report = _preflight(settled, request, tokenizer, eos_ids, narrator)
    rows, shape = report.rows, report.shape()

    # 4. attach
    attention, note = attach.attention(recipe, shape["longest"])
    model = attach.load_model(settled.base, recipe, attention)
    census = None
    if request.census_only or census_run.wanted(recipe):
        census = census_run.take(settled, request, model, tokenizer, eos_ids, narrator)
    if request.census_only:
        events.result(routine="census", census=census)
        return
    transformers.set_seed(recipe.train.seed)  # last: first-time imports may draw random numbers
    attached, survival = _attach(settled, request, model, tokenizer, note)
    before = attach.fingerprints(attached.model)
    narrator.phase("attach", attached.sentence(), **attached.as_dict())
    layout = packing.settle(recipe, rows, attached.model)
    if recipe.train.packing != "off":
        narrator.say(layout.text)
        events.emit("packing", **layout.as_dict())

    # 5. train
    probing = probe_run.build(settled, request, attached, eos_ids, narrator, stop)
    progress = Progress(
        narrator,
        stop,
        lambda: loop.tokens_seen,
        settled.run_id,
        aside_s=lambda: probing.seconds if probing else 0.0,
        ahead_s=lambda state: probing.ahead_s(state) if probing else 0.0,
    )
    callbacks = [probing, progress] if probing else [progress]
    loop = trainer.build(
        attached, rows, recipe, request.checkpoints, callbacks, collator=layout.collator
    )
    resumed = settled.checkpoint
    start = f" from {resumed.name}" if resumed else ""
    narrator.phase("train", f"training on {environment.device()}{start}", resumed=bool(resumed))
    gc.freeze()  # the libraries look for garbage before the first step and at each checkpoint
    clock = time.monotonic()
    stop.stepping = True
    if probing and probing.done and resumed:  # killed after its rule had ended it
        trainer.take_checkpoint(loop, attached, resumed)
    else:
        loop.train(resume_from_checkpoint=str(resumed) if resumed else None)
    stop.stepping = False
    wall_s = time.monotonic() - clock
    if loop.state.global_step < loop.state.max_steps and not (probing and probing.done):
        raise Preempted(progress.saved_step)

    # 6. check, save
    sharding.gather_adapter(attached.model)
    tokens = distributed.total(loop.tokens_seen)
    if not distributed.is_main():
        return
    step = probe_run.take_best(probing, attached, narrator) or loop.state.global_step
    moved = attach.check_all_changed(attached, before)
    for text in attach.left_alone(attached):
        narrator.warn(text)
    narrator.phase("save", f"all {moved} adapted modules changed; saving the adapter")
    losses = [float(entry["loss"]) for entry in loop.state.log_history if "loss" in entry]
    made = {
        "steps": loop.state.global_step,
        "max_steps": loop.state.max_steps,
        "rows": len(rows),
        "tokens": tokens,
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "wall_s": round(wall_s, 2),
        "modules_changed": moved,
        "attention": attention,
        "light_loss": loop.light,
        "layers_by_hand": loop.layers_by_hand,
        "packing": layout.packed,
        "adapter_sha256": _save(request, settled, attached),
        "adapter_step": step,
        **summary.of_run(request, settled, attached, survival),
        **summary.of_probes(probing, settled.questions, wall_s),
        **({"census": census} if census else {}),
    }
    text = json.dumps(made, indent=1, ensure_ascii=False)
    write_atomic(request.out / "summary.json", text.encode())
    if not (probing and probing.keeps_best):
        shutil.rmtree(request.checkpoints, ignore_errors=True)
    narrator.say(
        f"done: {made['steps']} steps in {wall_s:.0f} s, loss {losses[0]:.3f} → "
        f"{losses[-1]:.3f}, adapter {made['adapter_sha256'][:12]}"
    )
    events.result(**made)


def _import_light() -> None:
    """The part of the libraries that comes without torch."""
    with environment.importing():
        import transformers  # noqa: F401


def _preflight(
    settled: Given, request: Request, tokenizer: Any, eos_ids: set[int], narrator: Narrator
) -> PreflightReport:
    from core.training import preflight, refusals

    report = preflight.check(
        settled.conversations,
        tokenizer,
        settled.recipe,
        eos_ids=eos_ids,
        file=request.data,
    )
    narrator.events.emit("preflight", **report.as_dict())
    refusals.refuse(report)
    for finding in report.warnings:
        narrator.warn(finding.text)
    for finding in report.of("note"):
        narrator.say(finding.text)
    learned = report.learned_texts()
    narrator.phase("check", report.sentence(), **report.shape(), learned_examples=learned)
    return report


def _attach(
    settled: Given, request: Request, model: Any, tokenizer: Any, note: str
) -> tuple[Attached, Survival | None]:
    """A new adapter, the earlier one, or a new one beside the earlier one in the weights."""
    from core.training import attach, merging

    recipe, earlier = settled.recipe, request.init_adapter
    if earlier is None:
        return attach.attach(model, tokenizer, recipe, (note,)), None
    if recipe.incremental.strategy != "merge":
        return attach.attach_existing(model, tokenizer, recipe, earlier, (note,)), None
    survival = merging.absorb(model, earlier, recipe)
    notes = (note, survival.sentence())
    return attach.attach(model, tokenizer, recipe, notes), survival


def _save(request: Request, settled: Given, attached: Attached) -> str:
    """sha256 of the adapter's weights."""
    from core.training import adapter

    merged = settled.recipe.incremental.strategy == "merge"
    return adapter.save(
        request.out / "adapter",
        attached.model,
        settled.recipe,
        tokenizer=attached.tokenizer,
        earlier=request.init_adapter if merged else None,
    )
