"""Keys and values of a batch in room that is made once, instead of copied at every token.

transformers' own cache appends to its tensors: with every token, all that was read so far is copied.
Here each layer's tensors have room for the whole answer from the start, prompts of a batch are read in
parts into their rows, and rows that have ended are moved out. Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer


def has_room_for(model: Any) -> bool:
    """Whether the model keeps plain keys and values: no sliding window, no state of another kind."""
    if model.config.is_encoder_decoder:
        return False
    supports = getattr(model, "_supports_default_dynamic_cache", None)
    if supports is None or not supports():
        return False
    layers = DynamicCache(config=model.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


class Room(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """One layer's keys and values, (rows, heads, room, size of a head), filled from the left.

    While prompts are read, it takes them in at given rows so that they all end at the same column.
    """

    def __init__(self, rows: int, room: int) -> None:
        super().__init__()
        self.rows, self.room, self.used = rows, room, 0
        self.reading: tuple[int, int] | None = None  # first row, column behind the prompts

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        def made(like: torch.Tensor) -> torch.Tensor:
            # zeros: what stands before a short prompt is masked, and must be a number for that
            return like.new_zeros((self.rows, like.shape[1], self.room, like.shape[3]))

        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = made(key_states), made(value_states)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None  # made by lazy_initialization
        count, _, length, _ = key_states.shape
        if self.reading is not None:
            row, end = self.reading
            self.keys[row : row + count, :, end - length : end] = key_states
            self.values[row : row + count, :, end - length : end] = value_states
            return key_states, value_states
        begin, self.used = self.used, self.used + length
        self.keys[:count, :, begin : self.used] = key_states
        self.values[:count, :, begin : self.used] = value_states
        return self.keys[:count, :, : self.used], self.values[:count, :, : self.used]

    def get_seq_length(self) -> int:
        return 0 if self.reading is not None else self.used

    def keep(self, rows: torch.Tensor) -> None:
        """Move these rows to the front."""
        assert self.keys is not None and self.values is not None  # something was read
        for states in (self.keys, self.values):
            states[: len(rows), :, : self.used] = states[rows, :, : self.used]


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring rows of a batch.  begin: column before which none of them has a token."""

    rows: slice
    begin: int


class Rooms:
    """The rooms of all layers, as the `past_key_values` of a model.

    groups: rows whose keys are looked at together, once all prompts are read; empty: all rows.
    wanted: called between two layers; it raises where the answers are not waited for any more.
    """

    def __init__(
        self, layers: int, rows: int, room: int, wanted: Callable[[], None] | None = None
    ) -> None:
        """rows: prompts.  room: tokens of the longest prompt and of the longest answer together."""
        self.layers = [Room(rows, room) for _ in range(layers)]
        self.cache = Cache(layers=list(self.layers))
        self.groups: list[Group] = []
        self.wanted = wanted or (lambda: None)

    def read_at(self, row: int, end: int) -> None:
        """The next prompts go to the rows from `row` on, and end before the column `end`."""
        for layer in self.layers:
            layer.reading = (row, end)

    def all_read(self, end: int) -> None:
        """From now on every token stands in the next column, from `end` on."""
        for layer in self.layers:
            layer.reading, layer.used = None, end

    def keep(self, rows: Sequence[int]) -> torch.Tensor:
        """Only these rows go on, in this order; their numbers as a tensor."""
        first = self.layers[0].keys
        assert first is not None  # something was read
        chosen = torch.tensor(rows, device=first.device)
        for layer in self.layers:
            layer.keep(chosen.to(layer.device))
        return chosen


def grouped(begins: Sequence[int], worth: int) -> list[Group]:
    """The rows cut where their beginnings differ, so that fewer columns without a token are looked at.

    begins: first column of each row with a token in it.  worth: rows times columns that a cut must save.
    """
    done: list[Group] = []
    todo = [(0, len(begins))]
    while todo:
        start, stop = todo.pop()
        some = begins[start:stop]
        before = list(accumulate(some, min))
        behind = list(accumulate(reversed(some), min))[::-1]
        low = behind[0]
        saved = {
            n: n * (before[n - 1] - low) + (len(some) - n) * (behind[n] - low)
            for n in range(1, len(some))
        }
        cut = max(saved, key=saved.__getitem__, default=0)
        if cut and saved[cut] > worth:
            todo += [(start + cut, stop), (start, start + cut)]
        else:
            done.append(Group(slice(start, stop), low))
    return done
