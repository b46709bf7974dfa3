"""Greedy decoding of a batch that shrinks as its answers end.

In fp32 the tokens are those of `model.generate(do_sample=False)`. What makes it faster: prompts are read in
parts of like length, keys and values are not copied at every token (`kv_room`), only the last position
has its logits computed, and rows that have ended leave the batch: in a batch of short answers more than
half of the work is otherwise spent on rows that nobody waits for. torch is imported at the first call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from core.evaluation.straight import Pass

REVISION = 5  # raised where an answer in bf16 may come out otherwise than before
SHRINK_AT = 8  # rows leave the batch once an eighth of it has ended: each leaving copies the rest
BLOCK = 256  # of the vocabulary, when the best token is looked for
ROOM_BYTES = 2 << 30  # for keys and values in main memory
READ_TOKENS = 2048  # of prompts read together: more is not faster, and pads more
READ_TOKENS_CPU = 512  # what lies between two products then stays in a core's cache
WORTH_A_CUT = (
    400  # rows times columns: what a further call of the attention kernel takes as long as
)


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. n: number of its prompt.  tokens: the stop token that ended it is the last.

    first_s, seconds: from the start of the batch to the first token, and to the last.
    """

    n: int
    tokens: list[int]
    first_s: float | None
    seconds: float


def greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
    pad_id: int,
    device: str,
    way: Pass | None = None,
    wanted: Callable[[], None] | None = None,
) -> Iterator[list[Said]]:
    """The answers as they end, some at a time, until every prompt has one.

    prompts: token ids, at least one each; best in order of their length.
    way: the shorter way through the model, where `straight` found one.
    wanted: called between its layers; raises where the answers are not waited for any more.
    Raises torch's OutOfMemoryError where the batch has no room; see `fitting`.
    """
    from core.evaluation.kv_room import has_room_for

    began = time.perf_counter()
    if not has_room_for(model):
        tokens = _by_generate(model, prompts, max_new_tokens, stop_ids, pad_id, device)
        seconds = time.perf_counter() - began
        yield [Said(n, t, None, seconds) for n, t in enumerate(tokens)]
        return
    batch = _Batch(model, way, prompts, max_new_tokens, pad_id, device, wanted)
    said: list[list[int]] = [[] for _ in prompts]
    first: list[float] = []
    chosen: list[int] = []
    for part in batch.parts():
        chosen += batch.read(part)
        first += [time.perf_counter() - began] * (len(chosen) - len(first))
    rows = list(range(len(prompts)))  # which prompt each row of the batch belongs to
    ended: list[Said] = []
    for step in range(max_new_tokens):
        if step:
            chosen = batch.next()
        now = time.perf_counter() - began
        going = []
        for at, (row, token) in enumerate(zip(rows, chosen, strict=True)):
            if row < 0:
                continue
            said[row].append(token)
            if token in stop_ids or step + 1 == max_new_tokens:
                ended.append(Said(row, said[row], first[row], now))
                rows[at] = -1
            else:
                going.append(at)
        if not going:
            break
        if (len(rows) - len(going)) * SHRINK_AT >= len(rows):
            batch.keep(going)
            rows = [rows[at] for at in going]
            yield ended
            ended = []
    if ended:
        yield ended


def fitting(
    model: Any, lengths: Sequence[int], max_new_tokens: int, most: int, beside: int = 1
) -> int:
    """How many of these prompts, the first ones, may be a batch: at most `most`, and as many as have
    room for their keys and values. lengths: tokens of each prompt, the longest first.
    beside: batches at the same time, which share all of that evenly.
    """
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    each: int = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    row = int(each * (lengths[0] + max_new_tokens))
    rows: int = _room_bytes(model) // row
    return max(1, min(most, rows, len(lengths) + beside - 1) // beside)


def _room_bytes(model: Any) -> int:
    if model.device.type != "cuda":
        return ROOM_BYTES
    import torch

    free: int = torch.cuda.mem_get_info(model.device)[0]
    return free // 2


class _Batch:
    """Prompts at the left of a common column, answers growing to its right."""

    def __init__(
        self,
        model: Any,
        way: Pass | None,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        pad_id: int,
        device: str,
        wanted: Callable[[], None] | None,
    ) -> None:
        import torch

        from core.evaluation.kv_room import Rooms
        from core.evaluation.straight import through

        self._way = way or through(model)
        self._prompts, self._pad, self._device = prompts, pad_id, device
        self._width = max(map(len, prompts))
        room = self._width + max_new_tokens
        layers = model.config.get_text_config().num_hidden_layers
        self._rooms = Rooms(layers, len(prompts), room, wanted)
        self._begins = [self._width - len(p) for p in prompts]
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        columns = torch.arange(room, device=device)
        self._mask = (columns >= self._width - lengths[:, None]).long()
        self._position = lengths[:, None] - 1  # of the last token
        self._last: list[torch.Tensor] = []

    def parts(self) -> Iterator[range]:
        """Neighbouring prompts, so many tokens together at most, padding included."""
        most = READ_TOKENS_CPU if self._device == "cpu" else READ_TOKENS
        start = width = 0
        for n, prompt in enumerate(self._prompts):
            width = max(width, len(prompt))
            if n > start and width * (n + 1 - start) > most:
                yield range(start, n)
                start, width = n, len(prompt)
        yield range(start, len(self._prompts))

    def read(self, part: range) -> list[int]:
        """The first token of the answer to each of these prompts."""
        import torch

        prompts = [self._prompts[n] for n in part]
        width = max(map(len, prompts))
        ids = torch.tensor(
            [[self._pad] * (width - len(p)) + list(p) for p in prompts], device=self._device
        )
        mask = self._mask[part.start : part.stop, self._width - width : self._width]
        self._rooms.read_at(part.start, self._width)
        tokens = self._forward(ids, mask, (mask.cumsum(-1) - 1).clamp(min=0))
        self._last.append(tokens)
        if part.stop == len(self._prompts):
            self._rooms.all_read(self._width)
            self._group()
            self._last = [torch.cat(self._last)]
        return list(tokens.tolist())

    def next(self) -> list[int]:
        """The next token of every row."""
        self._width += 1
        self._position = self._position + 1
        mask = self._mask[:, : self._width]
        self._last = [self._forward(self._last[0][:, None], mask, self._position)]
        return list(self._last[0].tolist())

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows go on."""
        import torch

        with torch.inference_mode():
            chosen = self._rooms.keep(rows).to(self._device)
            self._last = [self._last[0][chosen]]
            self._position, self._mask = self._position[chosen], self._mask[chosen]
        self._begins = [self._begins[row] for row in rows]
        self._group()

    def _group(self) -> None:
        from core.evaluation.kv_room import grouped

        self._rooms.groups = grouped(self._begins, WORTH_A_CUT)

    def _forward(self, ids: Any, mask: Any, position: Any) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            best = _first_best(self._way(ids, mask, position, self._rooms))
        return best


def _first_best(logits: torch.Tensor) -> torch.Tensor:
    """argmax over the vocabulary, of equal ones the first. logits: (rows, vocabulary); ids: (rows,).

    Block by block, and as integers: of positive floating-point numbers the larger one has the larger
    bits, and a CPU compares integers several times faster than it compares bf16.
    """
    import torch
    import torch.nn.functional as F

    rows, vocabulary = logits.shape
    if vocabulary % BLOCK:
        logits = F.pad(logits, (0, -vocabulary % BLOCK), value=float("-inf"))
    blocks = logits.view(rows, -1, BLOCK)
    whole = {2: torch.int16, 4: torch.int32}[logits.dtype.itemsize]
    bits = blocks.view(whole)
    highest, block = bits.amax(-1).max(-1)
    if bool((highest <= 0).any()):  # negative numbers are in the other order
        bits = blocks
        block = bits.amax(-1).max(-1).indices
    within = bits[torch.arange(rows, device=logits.device), block].max(-1).indices
    return block * BLOCK + within


def _by_generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    stop_ids: Collection[int],
    pad_id: int,
    device: str,
) -> list[list[int]]:
    import torch

    width = max(map(len, prompts))
    ids = torch.tensor([[pad_id] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            eos_token_id=sorted(stop_ids),
            pad_token_id=pad_id,
        )
    said = []
    for row in out[:, width:].tolist():
        end = next((n for n, t in enumerate(row) if t in stop_ids), len(row))
        said.append(row[: end + 1])
    return said
