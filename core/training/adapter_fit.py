"""Does an adapter that lies on disk belong to this base model? By the tensors of both; nothing is loaded.

The name in its configuration says what somebody called the base. Widths cannot be mistaken: a factor
of another model fails while it is being attached, which is after minutes of loading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.errors import UsageError
from core.registry.precheck import read_header
from core.training import adapter_files

PREFIX = "base_model.model."
Shapes = Mapping[str, tuple[int, ...]]


def check_fits(adapter: Path, base: Path) -> None:
    """base: a directory whose headers are sound (core.training.inputs).

    Raises MissingComponent, UsageError, EnvironmentProblem as `adapter_files.read`; UsageError for an
    adapter of another base.
    """
    factors = adapter_files.read(adapter).shapes
    wrong = next(misfits(factors, _shapes(base)), None)
    if wrong is not None:
        raise UsageError(
            f"{adapter}: an adapter for another base model than {base}",
            why=wrong,
            try_next="name an adapter of this base, or train a new one",
        )


def misfits(factors: Shapes, weights: Shapes) -> Iterator[str]:
    """What of an adapter has no place in the weights, in words. Experts are passed over: how they are
    named and stacked differs between what is saved and what is loaded."""
    for name, shape in factors.items():
        module, _, rest = name.removeprefix(PREFIX).partition(".lora_")
        kind = rest[:1]
        if kind not in ("A", "B") or not module.endswith("_proj") or ".experts" in module:
            continue
        has = weights.get(f"{module}.weight")
        if has is None:
            yield f"{module[:100]} is adapted, and the base has no such module"
        elif len(has) == 2 and len(shape) == 2:
            wide, wanted = (shape[1], has[1]) if kind == "A" else (shape[0], has[0])
            if wide != wanted:
                side = "inputs" if kind == "A" else "outputs"
                yield f"{module[:100]} was adapted with {wide} {side}, the base has {wanted}"


def _shapes(base: Path) -> Shapes:
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(base.glob("*.safetensors")):
        header, _ = read_header(file)
        for name, tensor in (header or {}).items():
            if name != "__metadata__":
                found[name] = tuple(tensor["shape"])
    return found
