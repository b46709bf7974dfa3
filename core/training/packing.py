"""Rows of a batch laid end to end in one sequence: no padding, the same steps, the same loss.

Position ids start anew with each row, and by that the attention implementations keep rows apart. Not
all of them, nor all versions: so it is proved on a few rows of the run itself, with the model that will
be trained, in two ways. The loss of packed rows is that of each row alone; and other tokens in one row
change nothing in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.training.data import IGNORED, Row
from core.training.recipe import Recipe

PROVED_ON = 4  # rows
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}  # of the loss; bf16 rounds other sums otherwise
LEAK = {"float32": 1e-4, "bfloat16": 2e-2}  # of the largest hidden value

Collator = Callable[[Sequence[dict[str, list[int]]]], dict[str, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Equality:
    """alone, packed: loss per learned token.  leak: how far another first row moves what the model makes
    of the later ones, as a share of its largest value.  dtype: what the tolerance is for."""

    alone: float
    packed: float
    leak: float
    rows: int
    dtype: str

    @property
    def difference(self) -> float:
        return abs(self.packed - self.alone) / max(abs(self.alone), 1e-9)

    @property
    def holds(self) -> bool:
        return self.difference <= TOLERANCE[self.dtype] and self.leak <= LEAK[self.dtype]


@dataclass(frozen=True, slots=True)
class Layout:
    """packed: whether rows are laid end to end.  collator: for the trainer, None = its own, which pads."""

    packed: bool
    text: str
    equality: Equality | None = None
    collator: Collator | None = None

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"packed": self.packed, "text": self.text}
        if self.equality:
            e = self.equality
            out |= {"alone": e.alone, "together": e.packed, "leak": e.leak, "rows": e.rows}
        return out


def settle(recipe: Recipe, rows: Sequence[Row], model: Any) -> Layout:
    """Packed if the recipe asks for it and it is proved equal here; else not, with the reason."""
    if recipe.train.packing == "off":
        return Layout(False, "rows are padded, not packed (recipe)")
    if recipe.train.sharding != "none":
        return Layout(False, "packing off: not proved for a model divided among processes")
    chosen = sorted(rows, key=lambda r: len(r.input_ids))[:PROVED_ON]
    if len(chosen) < 2:
        return Layout(False, "packing off: it takes two rows to prove it")
    try:
        found = compare(model, chosen, recipe.model.dtype)
    except (NotImplementedError, RuntimeError, ValueError, TypeError) as e:
        said = str(e).splitlines()[0][:200] if str(e) else type(e).__name__
        return Layout(False, f"packing off: this model cannot be run on packed rows ({said})")
    if not found.holds:
        return Layout(False, f"packing off: {_why_not(found)}", found)
    text = f"rows are packed: on {found.rows} rows the loss is {found.packed:.5f}, unpacked {found.alone:.5f}"
    return Layout(True, text + ", and no row sees another", found, end_to_end)


def _why_not(found: Equality) -> str:
    if found.difference > TOLERANCE[found.dtype]:
        return f"the loss of {found.rows} rows is {found.packed:.4f} packed and {found.alone:.4f} unpacked"
    return f"a row sees the one before it (a change there moves {found.leak:.1%} of what follows)"


def end_to_end(rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """A batch as one sequence: input_ids, labels and position_ids of shape (1, tokens of all rows).

    There is no attention mask: where one is given, models read position ids only as positions. The
    first label of a row is never learned; what it would be predicted from is the row before.
    """
    ids: list[int] = []
    labels: list[int] = []
    positions: list[int] = []
    for row in rows:
        ids += row["input_ids"]
        labels += [IGNORED, *row["labels"][1:]]
        positions += range(len(row["input_ids"]))
    columns = {"input_ids": ids, "labels": labels, "position_ids": positions}
    return {name: torch.tensor([values]) for name, values in columns.items()}


def tokens_in(batch: dict[str, Any]) -> int:
    """Tokens of a batch that are no padding."""
    mask = batch.get("attention_mask")
    return int(batch["input_ids"].numel() if mask is None else mask.sum())


def compare(model: Any, rows: Sequence[Row], dtype: str) -> Equality:
    """Both proofs. The model is left in the mode it was in."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return _compare(model, rows, dtype)
    finally:
        model.train(training)


def _compare(model: Any, rows: Sequence[Row], dtype: str) -> Equality:
    single = [_hidden(model, end_to_end([_columns(r)])) for r in rows]
    together = _hidden(model, end_to_end([_columns(r) for r in rows]))
    other = Row("", [_another(i, rows) for i in rows[0].input_ids], rows[0].labels)
    moved = _hidden(model, end_to_end([_columns(r) for r in (other, *rows[1:])]))
    head = model.get_output_embeddings()
    learned = sum(r.learned for r in rows)
    labels = [x for r in rows for x in (IGNORED, *r.labels[1:])]
    later, largest = (together - moved)[len(rows[0].input_ids) :], together.abs().max()
    return Equality(
        alone=sum(_nll(h, r.labels, head) for h, r in zip(single, rows, strict=True)) / learned,
        packed=_nll(together, labels, head) / learned,
        leak=float(later.abs().max() / largest.clamp(min=1e-9)),
        rows=len(rows),
        dtype=dtype,
    )


def _columns(row: Row) -> dict[str, list[int]]:
    return {"input_ids": row.input_ids, "labels": row.labels}


def _another(token: int, rows: Sequence[Row]) -> int:
    """Some other token that the rows have."""
    seen = sorted({i for r in rows for i in r.input_ids})
    return seen[(seen.index(token) + 1) % len(seen)]


def _hidden(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the layers make of a batch of one sequence: (tokens, width) in float32."""
    device = next(model.parameters()).device
    out = model(
        input_ids=batch["input_ids"].to(device),
        position_ids=batch["position_ids"].to(device),
        output_hidden_states=True,
        logits_to_keep=1,
        use_cache=False,
    )
    return out.hidden_states[-1][0].float()


def _nll(hidden: torch.Tensor, labels: Sequence[int], head: Any) -> float:
    """Sum of the negative log-likelihoods of the labelled tokens."""
    wanted = torch.tensor([x for x in labels[1:] if x != IGNORED], device=hidden.device)
    places = [n for n, x in enumerate(labels[1:]) if x != IGNORED]
    logits = head(hidden[places].to(head.weight.dtype)).float()
    return float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
