"""One model over several accelerators: FSDP2's settings from the recipe, and proof that it is engaged.

The trainer falls back to plain data-parallel without a word where it cannot shard, and then each
process holds the whole model. So the accelerator is asked what it does, before the first step.
"""

from __future__ import annotations

import os
from typing import Any

from core.errors import EnvironmentProblem, JobFailed
from core.training import distributed
from core.training.recipe import Recipe

STATES = {"full": "FULL_STATE_DICT", "sharded": "SHARDED_STATE_DICT"}


def wanted(recipe: Recipe) -> bool:
    return recipe.train.sharding == "fsdp"


def require(recipe: Recipe, *, gpu: bool) -> None:
    """Raises EnvironmentProblem where the model is to be divided and there is nothing to hold a part."""
    if wanted(recipe) and not gpu:
        raise EnvironmentProblem(
            "the recipe divides the model among accelerators, and there is none here",
            why="on a CPU the trainer would leave sharding out without a word, and each process would "
            "hold the whole model",
            try_next="run it on a host that has them, or --set train.sharding=none",
        )


def before_loading(recipe: Recipe) -> None:
    """So that the loader reads the weights in the first process only; the others get their part of them
    when the model is divided. Processes must know each other by then.
    """
    if not wanted(recipe) or not recipe.fsdp.load_once or distributed.world_size() == 1:
        return
    import torch
    from accelerate import PartialState

    os.environ.update(
        ACCELERATE_USE_FSDP="true", FSDP_VERSION="2", FSDP_CPU_RAM_EFFICIENT_LOADING="true"
    )
    PartialState(cpu=not torch.cuda.is_available())


def arguments(recipe: Recipe, model: Any) -> dict[str, Any]:
    """Arguments of the trainer's configuration; {} for a model that is not divided.

    Decoder layers are the units that are gathered and given back, so a process holds its share and one
    layer. Activation checkpointing is FSDP's own then: the model's would gather each layer once more.
    """
    if not wanted(recipe):
        return {}
    f = recipe.fsdp
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "transformer_layer_cls_to_wrap": layer_classes(model),
            "reshard_after_forward": f.reshard,
            "cpu_offload": f.cpu_offload,
            "cpu_ram_efficient_loading": f.load_once,
            "state_dict_type": STATES[f.state],
            "activation_checkpointing": recipe.train.gradient_checkpointing,
        },
    }


def layer_classes(model: Any) -> list[str]:
    """Names of the classes of a model's layers, as it declares them itself."""
    return sorted(model.get_base_model()._no_split_modules or ())


def assert_engaged(accelerator: Any, recipe: Recipe) -> None:
    """Raises JobFailed where the model was to be divided and is not."""
    kind = str(getattr(accelerator.distributed_type, "value", accelerator.distributed_type))
    if wanted(recipe) and kind != "FSDP":
        raise JobFailed(
            f"the recipe divides the model (train.sharding: fsdp), the trainer does not: {kind}",
            why="each process would hold the whole model, which was not planned for",
            try_next="start it with torchrun on accelerators, or --set train.sharding=none",
        )


def whole(tensor: Any) -> Any:
    """A tensor with all its parts. On a divided one every process has to call this."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def gather_adapter(model: Any) -> int:
    """Give every process the whole adapter, so that one of them can check and save it; how many tensors
    were divided. To be called in all processes, once training is over."""
    from torch import nn

    divided = [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.requires_grad and hasattr(parameter, "full_tensor")
    ]
    for module, name, parameter in divided:
        module._parameters[name] = nn.Parameter(whole(parameter.detach()))
    return len(divided)
