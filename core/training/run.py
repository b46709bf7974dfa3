"""The training routine from end to end: load, attach, check, train, check, save."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from core import base_models
from core.errors import QAError
from core.jobdir import EXIT_PREEMPTED, EventWriter, write_atomic
from core.training import checkpoints, data, environment
from core.training import recipe as recipes
from core.training.failures import Preempted, recognise
from core.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Request:
    """What to train, and where the parts are put.

    out: receives adapter/ and summary.json.  checkpoints: a folder for those of this run alone;
    removed when the run succeeds.  init_adapter: go on from this adapter.  resume: from the newest
    whole checkpoint, if there is one.
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


def train(request: Request) -> int:
    """Exit code: 0, or EXIT_PREEMPTED after a signal. Raises QAError; everything else is a defect."""
    events = EventWriter(request.events)
    try:
        return _train(request, events)
    except Preempted as stop:
        where = f"at step {stop.step}; resume to go on" if stop.step else "before the first step"
        events.phase("preempted", step=stop.step)
        print(f"{time.strftime('%H:%M:%S')}  stopped by a signal {where}", flush=True)
        return EXIT_PREEMPTED
    except Exception as e:
        known = recognise(e)
        events.emit("error", **(known.as_dict() if known else {"error": type(e).__name__}))
        if known is None or known is e:
            raise
        raise known from e
    finally:
        events.close()


def _train(request: Request, events: EventWriter) -> int:
    recipe = recipes.smoke(request.recipe) if request.smoke else request.recipe
    with _signals() as (stop, training):
        base = base_models.resolve(request.base_model or recipe.model.name)
        conversations = data.read_conversations(request.data)
        if request.smoke:
            conversations = data.smoke_sample(conversations, recipe.train.seed)

        environment.prepare(recipe.train.threads)
        events.phase("load", base_model=recipe.model.name)
        print(f"{time.strftime('%H:%M:%S')}  loading {recipe.model.name} from {base}", flush=True)
        # torch and its friends take seconds to import: only now, when the inputs are known good
        import transformers

        from core.training import attach, trainer
        from core.training.events import Narrator, Progress

        environment.silence_libraries()
        transformers.set_seed(recipe.train.seed)
        narrator = Narrator(events)

        tokenizer, eos_ids = attach.load_tokenizer(base)
        rows = data.encode(
            conversations, tokenizer, eos_ids=eos_ids, max_length=recipe.train.max_length
        )
        shape = data.describe(rows)
        narrator.phase(
            "check",
            f"{shape['rows']} rows, {shape['tokens']} tokens ({shape['learned_tokens']} learned), "
            f"{shape['shortest']}–{shape['longest']} a row; prompts masked, every row ends its turn",
            **shape,
            learned_examples=_learned(rows, tokenizer),
        )

        attention, note = attach.attention(recipe, shape["longest"])
        model = attach.load_model(base, recipe, attention)
        if request.init_adapter:
            attached = attach.attach_existing(
                model, tokenizer, recipe, request.init_adapter, (note,)
            )
        else:
            attached = attach.attach(model, tokenizer, recipe, (note,))
        narrator.phase(
            "attach",
            f"{attached.trainable / 1e6:.2f} M of {attached.total / 1e6:.1f} M parameters in "
            f"{len(attached.modules)} modules are trained; {'; '.join(attached.notes)}",
            trainable=attached.trainable,
            total=attached.total,
            modules=len(attached.modules),
        )
        before = attach.fingerprints(attached.model)

        identity = base_models.identity(base)
        run_id = checkpoints.fingerprint(
            recipe.resolved(),
            base_models.sha256(request.data),
            identity["base_model_sha256"] + str(request.init_adapter or ""),
        )
        if not request.resume:
            shutil.rmtree(request.checkpoints, ignore_errors=True)
        checkpoint, passed_over = checkpoints.latest(request.checkpoints, run_id)
        for text in passed_over:
            narrator.warn(text)

        progress = Progress(narrator, stop, lambda: loop.tokens_seen, run_id)
        loop = trainer.build(attached, rows, recipe, request.checkpoints, [progress])
        narrator.phase(
            "train",
            f"training on {environment.device()}"
            + (f" from {checkpoint.name}" if checkpoint else ""),
            resumed_from=str(checkpoint) if checkpoint else None,
        )
        began = time.monotonic()
        training(True)
        loop.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        training(False)
        wall_s = time.monotonic() - began
        if loop.state.global_step < loop.state.max_steps:
            raise Preempted(progress.saved_step)

        moved = attach.check_all_changed(attached, before)
        adapter_sha256 = _save_adapter(request.out / "adapter", attached.model, recipe)
        summary = {
            "routine": "train",
            "recipe": recipe.name,
            "steps": loop.state.global_step,
            "epochs": recipe.train.epochs,
            "pairs": len(rows),
            "tokens": loop.tokens_seen,
            "loss_first": _loss_at(loop.state.log_history, 0),
            "loss_last": _loss_at(loop.state.log_history, -1),
            "wall_s": round(wall_s, 2),
            "peak_memory_bytes": environment.peak_memory_bytes(),
            "modules_changed": moved,
            "trainable": attached.trainable,
            "attention": attention,
            "light_loss": loop.light,
            "adapter_sha256": adapter_sha256,
            "base_model": recipe.model.name,
            **identity,
            "chat_template_sha256": _text_sha256(tokenizer.chat_template),
            "versions": environment.versions(),
            "device": environment.device(),
            "seed": recipe.train.seed,
            "smoke": request.smoke,
            "init_adapter": str(request.init_adapter) if request.init_adapter else None,
        }
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        write_atomic(request.out / "summary.json", text.encode())
        shutil.rmtree(request.checkpoints, ignore_errors=True)
        narrator.say(
            f"done: {summary['steps']} steps in {wall_s:.0f} s, loss {summary['loss_first']:.3f} → "
            f"{summary['loss_last']:.3f}; all {moved} modules changed; adapter {adapter_sha256[:12]}"
        )
        events.result(**summary)
    return 0


def _learned(rows: list[data.Row], tokenizer: Any) -> list[str]:
    """The text of exactly the labelled tokens of three rows, for the operator to look at."""
    picked = rows[:: max(1, len(rows) // 3)][:3]
    return [tokenizer.decode([x for x in r.labels if x != data.IGNORED]) for r in picked]


def _loss_at(history: list[dict[str, Any]], index: int) -> float:
    losses = [float(entry["loss"]) for entry in history if "loss" in entry]
    return losses[index] if losses else float("nan")


def _save_adapter(folder: Path, model: Any, recipe: Recipe) -> str:
    """Adapter in safetensors with the resolved recipe beside it; replaced whole or not at all.

    The adapter names its base by the recipe's name, not by a path of this host, and no attempt is
    made to ask a hub about it.
    """
    temp = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temp, ignore_errors=True)
    temp.mkdir(parents=True)
    for config in model.peft_config.values():
        config.base_model_name_or_path = recipe.model.name
    model.save_pretrained(str(temp), safe_serialization=True, save_embedding_layers=False)
    (temp / "README.md").unlink(missing_ok=True)  # an empty form to fill in
    write_atomic(temp / "recipe.yaml", recipe.to_yaml().encode())
    shutil.rmtree(folder, ignore_errors=True)
    temp.rename(folder)
    return base_models.sha256(folder / "adapter_model.safetensors")


def _text_sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _signals() -> Iterator[tuple[Any, Callable[[bool], None]]]:
    """SIGTERM and Ctrl-C: between two steps while training, at once before and after it."""

    class Stop:
        asked = False

    stop, busy = Stop(), [False]

    def handle(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        if not busy[0]:
            raise Preempted()

    def training(on: bool) -> None:
        busy[0] = on

    old = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop, training
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def as_job(folder: Path) -> Request:
    """The request in a job directory's spec.json."""
    from core.jobdir import JobDir

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
        resume=True,  # a job that was preempted and is started again goes on where it stopped
    )


__all__ = ["QAError", "Request", "as_job", "train"]
