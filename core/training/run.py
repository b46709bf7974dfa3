"""The training routine from end to end: load, attach, check, train, check, save."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import base_models
from core.errors import UsageError
from core.jobdir import EXIT_PREEMPTED, EventWriter, JobDir, write_atomic
from core.training import adapter, checkpoints, data, distributed, environment
from core.training import recipe as recipes
from core.training.failures import recognise
from core.training.promises import refuse_unkept, unkept
from core.training.recipe import Recipe
from core.training.rewording import with_rewordings
from core.training.signals import Preempted, StopRequest, watch


@dataclass(frozen=True, slots=True)
class Request:
    """What to train, and where the parts are put.

    out: receives adapter/ and summary.json.  checkpoints: a folder for those of this run alone;
    removed when the run succeeds.  init_adapter: go on from this adapter.  resume: from the newest
    whole checkpoint, if there is one.  resume_from: the checkpoints of an earlier, ended run of the
    same work; its newest whole one is where to go on, unless this run has one of its own by now.
    """

    recipe: Recipe
    data: Path
    out: Path
    events: Path
    checkpoints: Path
    base_model: Path | None = None
    init_adapter: Path | None = None
    smoke: bool = False
    resume: bool = False
    resume_from: Path | None = None


def as_job(folder: Path) -> Request:
    """The request in a job directory's spec.json."""
    job = JobDir(folder.resolve())
    s = job.spec().settings
    recipe = recipes.from_settings(s["recipe"])
    if s.get("seed") is not None:
        train_part = recipe.train.model_copy(update={"seed": int(s["seed"])})
        recipe = recipe.model_copy(update={"train": train_part})
    return Request(
        recipe=recipe,
        data=Path(s["data"]),
        out=job.artifacts,
        events=job.events,
        checkpoints=job.path / "checkpoints",
        base_model=Path(s["base_model"]) if s.get("base_model") else None,
        init_adapter=Path(s["init_adapter"]) if s.get("init_adapter") else None,
        smoke=bool(s.get("smoke")),
        resume_from=Path(s["resume_from"]) if s.get("resume_from") else None,
        resume=True,  # a job that was preempted and is started again goes on where it stopped
    )


def train(request: Request) -> int:
    """Exit code: 0, or EXIT_PREEMPTED after a signal. Raises QAError; anything else is a defect."""
    main = distributed.is_main()
    events = EventWriter(request.events if main else Path(os.devnull))
    try:
        with watch() as stop:
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
        events.close()


def _train(request: Request, events: EventWriter, stop: StopRequest) -> None:
    # 1. inputs: whatever can be wrong without torch is found before its seconds are spent
    recipe = recipes.smoke(request.recipe) if request.smoke else request.recipe
    refuse_unkept(recipe)
    for promise in unkept(recipe):
        events.warning(f"not carried out yet: {promise}")
        if distributed.is_main():
            print(f"▲ not carried out yet: {promise}", flush=True)
    base = base_models.resolve(request.base_model or recipe.model.name)
    conversations = data.read_conversations(request.data)
    if request.smoke:
        conversations = data.smoke_sample(conversations, recipe.train.seed)
    pairs = len(conversations)
    conversations = with_rewordings(conversations, recipe.train.rewordings)
    identity = base_models.identity(base)
    run_id = checkpoints.fingerprint(
        recipe.resolved(),
        base_models.sha256(request.data),
        f"{identity['base_model_sha256']} {request.init_adapter or ''}",
    )
    if not request.resume and distributed.is_main():
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

    # 2. load
    environment.prepare(recipe.train.threads)
    events.phase("load", base_model=recipe.model.name)
    if distributed.is_main():
        print(f"{time.strftime('%H:%M:%S')}  loading {recipe.model.name} from {base}", flush=True)
    import transformers

    from core.training import attach, trainer
    from core.training.events import Narrator, Progress

    environment.silence_libraries()
    environment.use_threads(recipe.train.threads)
    distributed.settle_on_device()
    narrator = Narrator(events)
    for text in passed_over:
        narrator.warn(text)
    tokenizer, eos_ids = attach.load_tokenizer(base)

    # 3. check the rows as the model will see them
    rows = data.encode(
        conversations, tokenizer, eos_ids=eos_ids, max_length=recipe.train.max_length
    )
    shape = data.describe(rows)
    narrator.phase(
        "check",
        f"{shape['rows']} rows, {shape['tokens']} tokens ({shape['learned_tokens']} learned), "
        f"{shape['shortest']}–{shape['longest']} a row; prompts masked, every row ends its turn",
        **shape,
        learned_examples=data.learned_text(rows, tokenizer),
    )

    # 4. attach
    attention, note = attach.attention(recipe, shape["longest"])
    model = attach.load_model(base, recipe, attention)
    transformers.set_seed(recipe.train.seed)  # last: first-time imports may draw random numbers
    if request.init_adapter:
        attached = attach.attach_existing(model, tokenizer, recipe, request.init_adapter, (note,))
    else:
        attached = attach.attach(model, tokenizer, recipe, (note,))
    before = attach.fingerprints(attached.model)
    narrator.phase(
        "attach",
        f"{attached.trainable / 1e6:.2f} M of {attached.total / 1e6:.1f} M parameters in "
        f"{len(attached.modules)} modules are trained; {'; '.join(attached.notes)}",
        trainable=attached.trainable,
        total=attached.total,
        modules=len(attached.modules),
    )

    # 5. train
    progress = Progress(narrator, stop, lambda: loop.tokens_seen, run_id)
    loop = trainer.build(attached, rows, recipe, request.checkpoints, [progress])
    start = f" from {checkpoint.name}" if checkpoint else ""
    narrator.phase("train", f"training on {environment.device()}{start}", resumed=bool(checkpoint))
    began = time.monotonic()
    stop.stepping = True
    loop.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    stop.stepping = False
    wall_s = time.monotonic() - began
    if loop.state.global_step < loop.state.max_steps:
        raise Preempted(progress.saved_step)

    # 6. check, save
    moved = attach.check_all_changed(attached, before)
    tokens = distributed.total(loop.tokens_seen)
    if not distributed.is_main():
        return
    narrator.phase("save", f"all {moved} adapted modules changed; saving the adapter")
    losses = [float(entry["loss"]) for entry in loop.state.log_history if "loss" in entry]
    summary: dict[str, Any] = {
        "routine": "train",
        "recipe": recipe.name,
        "steps": loop.state.global_step,
        "epochs": recipe.train.epochs,
        "pairs": pairs,
        "rows": len(rows),
        "tokens": tokens,
        "processes": distributed.world_size(),
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "wall_s": round(wall_s, 2),
        "peak_memory_bytes": environment.peak_memory_bytes(),
        "modules_changed": moved,
        "trainable": attached.trainable,
        "attention": attention,
        "light_loss": loop.light,
        "adapter_sha256": adapter.save(request.out / "adapter", attached.model, recipe),
        "base_model": recipe.model.name,
        **identity,
        "chat_template_sha256": adapter.text_sha256(tokenizer.chat_template),
        "versions": environment.versions(),
        "device": environment.device(),
        "seed": recipe.train.seed,
        "smoke": request.smoke,
        "resumed": bool(checkpoint),
        "init_adapter": str(request.init_adapter) if request.init_adapter else None,
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    write_atomic(request.out / "summary.json", text.encode())
    shutil.rmtree(request.checkpoints, ignore_errors=True)
    narrator.say(
        f"done: {summary['steps']} steps in {wall_s:.0f} s, loss {losses[0]:.3f} → "
        f"{losses[-1]:.3f}, adapter {summary['adapter_sha256'][:12]}"
    )
    events.result(**summary)
