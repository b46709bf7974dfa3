"""TRL's SFTTrainer with a light loss: the output head only where there is something to learn.

With prompts masked, about half of the positions carry a label. Projecting only those onto the
vocabulary gives the same loss and gradients for a fraction of the work, and on an accelerator it
saves the memory of the other logits. TRL's own loss does that too, but spends about as much again
on entropy and accuracy per token, which nobody reads at every step.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerState
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl import SFTConfig, SFTTrainer

from core.training import four_bit, packing, sharding
from core.training.adapter_files import WEIGHTS
from core.training.attach import Attached
from core.training.batches import ByLength
from core.training.data import IGNORED, Row
from core.training.fast import CPU_LENGTH, HeadLoss, use_low_rank
from core.training.layer import use_layers
from core.training.recipe import Recipe

# Families whose logits are head(hidden) and nothing else: no soft cap, no scale.
PLAIN_HEAD = frozenset({"mistral", "llama", "mixtral", "qwen2", "qwen3"})


class LightSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """Loss = sum of the negative log-likelihoods of labelled tokens / their number in the step."""

    light = False
    layers_by_hand = 0
    tokens_seen = 0
    batches: ByLength | None = None

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.batches or super()._get_train_sampler(train_dataset)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        if model.training:
            self.tokens_seen += packing.tokens_in(inputs)
        if not self.light or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        nll = model(**inputs, light_loss=True)
        count = (
            (inputs["labels"] != IGNORED).sum()
            if num_items_in_batch is None
            else (num_items_in_batch)
        )
        loss = nll / torch.as_tensor(count, device=nll.device).clamp(min=1)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # data-parallel averages over processes
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self.light:
            Trainer.log(self, logs, start_time)  # TRL's would average metrics it has not taken
        else:
            super().log(logs, start_time)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None at checkpoints: the run's own record says more."""


class EpochOfBatches(TrainerCallback):  # type: ignore[misc]
    """Tells the sampler its epoch. The library does so itself, but of several processes not where it goes
    on in the middle of an epoch: the sampler is then one wrapper deeper than it looks, and would begin
    with the batches of the first epoch.
    """

    def __init__(self, batches: ByLength) -> None:
        self._batches = batches

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._batches.set_epoch(int(state.epoch or 0))  # 5.2 where an epoch was begun before


def take_checkpoint(trainer: LightSFTTrainer, attached: Attached, checkpoint: Path) -> None:
    """Weights and standing of a checkpoint, for a run that needs no further step."""
    trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    take_weights(attached, checkpoint)


def take_weights(attached: Attached, checkpoint: Path) -> None:
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(attached.model, load_file(checkpoint / WEIGHTS))


def use_light_loss(trainer: LightSFTTrainer, model: Any) -> bool:
    """Teach the causal model inside `model` the light loss; False if its family is not known.

    It goes into `forward`, not around the model, so that data-parallel hooks still see one call.
    """
    causal = model.get_base_model()
    if causal.config.model_type not in PLAIN_HEAD:
        return False
    original = causal.forward

    @functools.wraps(original)
    def forward(*args: Any, light_loss: bool = False, **kwargs: Any) -> Any:
        if not light_loss:
            return original(*args, **kwargs)
        labels = kwargs.pop("labels")
        hidden = causal.model(*args, **kwargs, use_cache=False).last_hidden_state
        return summed_nll(hidden, labels, causal.lm_head)

    causal.forward = forward
    trainer.light = True
    return True


def summed_nll(hidden: torch.Tensor, labels: torch.Tensor, head: Any) -> torch.Tensor:
    """Sum over labelled positions of -log p(next token); a scalar in float32.

    hidden: (rows, tokens, width).  labels: (rows, tokens), IGNORED where nothing is learned; the
    label of position t is predicted from position t - 1.
    """
    wanted = labels[:, 1:] != IGNORED
    hidden = hidden[:, :-1][wanted]  # (labelled, width)
    return HeadLoss.apply(hidden, head.weight, labels[:, 1:][wanted])


def build(
    attached: Attached,
    rows: Sequence[Row],
    recipe: Recipe,
    checkpoints: Path,
    callbacks: list[TrainerCallback],
    collator: Any = None,
) -> LightSFTTrainer:
    """The trainer over encoded rows; nothing is tokenised, truncated or packed behind our back.

    collator: lays the rows of a batch out; None pads them.
    """
    from datasets import Dataset

    gpu = torch.cuda.is_available()
    t = recipe.train
    by_recall, divided = recipe.stop.rule == "recall", sharding.wanted(recipe)
    config = SFTConfig(
        output_dir=str(checkpoints),
        num_train_epochs=t.epochs,
        per_device_train_batch_size=t.batch_size,
        gradient_accumulation_steps=t.accumulate,
        learning_rate=t.lr,
        lr_scheduler_type=t.schedule if t.schedule != "constant" else "constant_with_warmup",
        warmup_steps=t.warmup,
        weight_decay=t.weight_decay,
        max_grad_norm=t.max_grad_norm,
        optim=t.optimizer,
        gradient_checkpointing=t.gradient_checkpointing and not divided,  # FSDP has its own
        max_length=None,
        packing=False,
        pad_to_multiple_of=None if gpu else CPU_LENGTH,
        bf16=gpu and recipe.model.dtype == "bfloat16",
        fp16=False,
        use_cpu=not gpu,
        seed=t.seed,
        data_seed=t.seed,
        logging_steps=t.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it would hide a loss that is not a number
        save_strategy="steps" if t.checkpoint_every else "epoch",
        save_steps=t.checkpoint_every or 500,
        # with 1 the library would at the end remove the last one beside the best
        save_total_limit=max(t.keep_checkpoints, 2) if by_recall else t.keep_checkpoints,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        **sharding.arguments(recipe, attached.model),
    )
    columns: dict[str, list[Any]] = {
        "input_ids": [r.input_ids for r in rows],
        "labels": [r.labels for r in rows],
    }
    trainer = LightSFTTrainer(
        model=attached.model,
        args=config,
        train_dataset=Dataset.from_dict(columns),
        processing_class=attached.tokenizer,
        callbacks=callbacks,
        data_collator=collator,
    )
    sharding.assert_engaged(trainer.accelerator, recipe)
    four_bit.keep_adapter_float32(attached.model, recipe)
    lengths = [len(r.input_ids) if t.group_by_length else 0 for r in rows]
    trainer.batches = ByLength(lengths, t.batch_size, t.seed)
    trainer.add_callback(EpochOfBatches(trainer.batches))
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if t.light_loss and not divided:  # the head's weight would be a part of itself
        use_light_loss(trainer, attached.model)
    if not gpu and t.low_rank_in_model_dtype:
        use_low_rank(attached.model)  # for layers that are not fit for the next
        trainer.layers_by_hand = use_layers(attached.model)
    return trainer
