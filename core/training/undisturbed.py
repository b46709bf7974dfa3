"""Using a model in the middle of its training so that the training does not notice.

Generating draws no random numbers as long as it is greedy, but libraries may, at their first import or
at a first call; and a census samples. So the state of every generator is put back, with the modes of all
modules: a run that was probed ends in the same bits as one that was not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def undisturbed(model: Any) -> Iterator[Any]:
    """`model` in evaluation mode inside; its modes and all random states as before afterwards."""
    import numpy as np
    import torch

    modes = [(module, module.training) for module in model.modules()]
    python, numpy = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        try:
            model.eval()
            yield model
        finally:
            for module, training in modes:
                module.training = training
            random.setstate(python)
            np.random.set_state(numpy)
