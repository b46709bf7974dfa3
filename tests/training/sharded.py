"""Run by torchrun in two processes on the CPU: the model divided by the settings a recipe gives.

The trainer itself does not divide on a CPU; the function of accelerate that it would call is called here.
Prints one JSON object from the first process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from trl import SFTConfig

from core.errors import JobFailed
from core.training import adapter, attach, distributed, sharding
from core.training import recipe as recipes


def main(base: Path, out: Path) -> None:
    sets = ["model.dtype=float32", "train.sharding=fsdp", "train.processes=2"]
    recipe = recipes.load_recipe("tiny", sets)
    tokenizer, _ = attach.load_tokenizer(base)
    model = attach.load_model(base, recipe, "eager")
    held = sorted({p.device.type for p in model.parameters()})
    torch.manual_seed(0)
    attached = attach.attach(model, tokenizer, recipe, ())
    before = attach.fingerprints(attached.model)
    config = SFTConfig(
        output_dir=str(out / "ck"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        **sharding.arguments(recipe, attached.model),
    )
    plugin = FullyShardedDataParallelPlugin(**config.fsdp_plugin_args)
    engaged = "engaged"
    try:
        sharding.assert_engaged(Accelerator(cpu=True, fsdp_plugin=plugin), recipe)
    except JobFailed as e:
        engaged = e.what
    facts = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        is_main_process=distributed.is_main(),
        mixed_precision="no",
        device=torch.device("cpu"),
        process_index=int(torch.distributed.get_rank()),
    )
    divided = fsdp2_prepare_model(facts, attached.model)
    units = [type(m).__name__ for m in divided.modules() if type(m).__name__.startswith("FSDP")]
    shares = [p.to_local().numel() / p.numel() for p in divided.parameters()]
    optimizer = torch.optim.AdamW([p for p in divided.parameters() if p.requires_grad], lr=0.05)
    ids = torch.arange(5, 45).reshape(2, 20)
    rank = torch.distributed.get_rank()
    for _ in range(2):
        optimizer.zero_grad()
        divided(input_ids=ids[rank : rank + 1], labels=ids[rank : rank + 1]).loss.backward()
        optimizer.step()
    logits = divided(input_ids=ids).logits.detach()
    gathered = sharding.gather_adapter(divided)
    moved = attach.check_all_changed(attached, before)
    if distributed.is_main():
        adapter.save(out / "adapter", attached.model, recipe)
        torch.save(logits, out / "logits.pt")
        told: dict[str, Any] = {"held": held, "units": sorted(set(units)), "count": len(units)}
        told |= {"share": max(shares), "gathered": gathered, "moved": moved, "engaged": engaged}
        print(json.dumps(told))
    torch.distributed.barrier()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
