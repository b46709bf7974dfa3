"""A model that answers: base with or without an adapter, greedy, in left-padded batches.

torch is imported when a model is loaded, not when this module is. Answers do not depend on the
batch they were in: in fp32 a batch gives the tokens that one question at a time gives.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from core.errors import UsageError
from core.evaluation.answers import Answer

Dtype = Literal["bfloat16", "float32"]
SMALLEST_COSINE = 0.95
"""A merged adapter must point where the trained one pointed; below it the adapter is not merged."""


class Question(Protocol):
    """What is needed of a golden question."""

    @property
    def id(self) -> str: ...
    @property
    def question(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Generator:
    """A loaded model. notes: what was decided while loading, for the record."""

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    stop_ids: frozenset[int]
    device: str
    dtype: Dtype
    max_new_tokens: int = 64
    notes: tuple[str, ...] = ()

    def prompt_ids(self, question: str) -> list[int]:
        """The question in the model's own chat template, ready for the answer to begin."""
        messages = [{"role": "user", "content": self._harmless(question)}]
        ids = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True
        )["input_ids"]
        room = self._context() - self.max_new_tokens
        if len(ids) > room:  # keep both ends: the template stands there
            ids = ids[: room // 2] + ids[len(ids) - (room - room // 2) :]
        return list(ids)

    def answer_alone(self, question: Question) -> Answer:
        """One answer with its latency: from the text of the question to the text of the answer."""
        start = time.perf_counter()
        answer = self._generate([question])[0]
        took = time.perf_counter() - start
        return Answer(answer.id, answer.answer, took, answer.tokens, answer.finish)

    def answer_batches(
        self, questions: Sequence[Question], batch_size: int
    ) -> Iterator[list[Answer]]:
        """Answers in batches of questions of similar length, the longest first.

        The longest first: if memory does not suffice, it shows at once.
        """
        by_length = sorted(questions, key=lambda q: (-len(self.prompt_ids(q.question)), q.id))
        for start in range(0, len(by_length), batch_size):
            yield self._generate(by_length[start : start + batch_size])

    def _generate(self, questions: Sequence[Question]) -> list[Answer]:
        import torch

        prompts = [self.prompt_ids(q.question) for q in questions]
        width = max(map(len, prompts))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=self.device)
        mask = torch.tensor(
            [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self.device
        )
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=self.max_new_tokens,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=sorted(self.stop_ids),
                pad_token_id=pad,
            )
        return [
            self._answer(q.id, row)
            for q, row in zip(questions, out[:, width:].tolist(), strict=True)
        ]

    def _answer(self, question_id: str, tokens: list[int]) -> Answer:
        end = next((n for n, t in enumerate(tokens) if t in self.stop_ids), None)
        said = tokens if end is None else tokens[:end]
        text = self.tokenizer.decode(said, skip_special_tokens=True).strip()
        finish = "length" if end is None else "stop"
        return Answer(question_id, text, None, len(said), finish)

    def _harmless(self, text: str) -> str:
        """A question must not open a turn of its own: control tokens in it become plain text."""
        # not every tokenizer lists its turn markers among the special tokens
        added = [t for t in self.tokenizer.get_added_vocab() if t[:1] in "<["]
        for token in sorted(
            {*self.tokenizer.all_special_tokens, *added}, key=lambda t: (-len(t), t)
        ):
            if token in text:
                text = text.replace(token, token[:1] + " " + token[1:])
        return text

    def _context(self) -> int:
        length = getattr(self.model.config, "max_position_embeddings", None) or 4096
        return int(min(length, self.tokenizer.model_max_length or length))


def load(
    base: Path,
    adapter: Path | None = None,
    *,
    dtype: Dtype = "bfloat16",
    max_new_tokens: int = 64,
    device: str | None = None,
) -> Generator:
    """The base model, with the adapter merged in memory if that loses nothing.

    A small update does not survive rounding to bf16. The merge is therefore checked: where the
    surviving update points elsewhere than the trained one (SMALLEST_COSINE), the adapter stays
    beside the weights, which is slower and right.
    Raises UsageError: no adapter there, or one for another model.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from core.training.attach import load_tokenizer

    logging.set_verbosity_error()  # no progress bars in a log that is mirrored byte by byte
    logging.disable_progress_bar()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer, stop_ids = load_tokenizer(base)
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(base), dtype=getattr(torch, dtype), local_files_only=True
    )
    notes = [f"{base.name} in {dtype} on {device}"]
    if adapter is not None:
        model, note = _with_adapter(model, adapter)
        notes.append(note)
    model = model.to(device).eval()
    return Generator(
        model, tokenizer, frozenset(stop_ids), device, dtype, max_new_tokens, tuple(notes)
    )


def settle_threads(model: Generator) -> int:
    """On a CPU, take the number of threads that is fastest now; 0 on an accelerator.

    All cores are fastest on a quiet machine. Where another program holds one of them, the threads
    wait for each other at every layer: on two cores, twelve times slower than one thread alone.
    """
    if model.device != "cpu":
        return 0
    import torch

    from core.training.environment import usable_cpus

    cpus = usable_cpus()
    prompt = torch.tensor([model.prompt_ids("How many cores does a node of Delta have?")])

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        start = time.perf_counter()
        with torch.inference_mode():
            model.model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=3,
                min_new_tokens=3,
                do_sample=False,
                pad_token_id=model.tokenizer.pad_token_id,
            )
        return time.perf_counter() - start

    seconds(1)  # the first call pays for allocation
    best = min(sorted({1, max(1, cpus // 2), cpus}), key=seconds)
    torch.set_num_threads(best)
    return best


def _with_adapter(model: Any, adapter: Path) -> tuple[Any, str]:
    from peft import PeftModel

    if not (adapter / "adapter_config.json").is_file():
        raise UsageError(
            f"{adapter}: not an adapter",
            why="there is no adapter_config.json",
            try_next="give the folder that qa-train wrote (…/artifacts/adapter)",
        )
    try:
        peft = PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
    except (RuntimeError, ValueError) as e:
        raise UsageError(
            f"{adapter}: the adapter does not fit the base model",
            why=str(e).splitlines()[0][:300],
            try_next="give the base model that it was trained on",
        ) from e
    change, cosine = merge_quality(peft)
    kept = f"update {change * 100:.2g} % of the weights' norm, cosine after merging {cosine:.3f}"
    if cosine < SMALLEST_COSINE:
        return peft, f"adapter {adapter.name} not merged ({kept})"
    return peft.merge_and_unload(), f"adapter {adapter.name} merged ({kept})"


def merge_quality(peft: Any) -> tuple[float, float]:
    """(norm of the update / norm of the weights, smallest cosine of the update that survives
    rounding to the weights' dtype with the one that was trained), over all adapted layers.

    Cosine 1.0 where nothing is adapted or the update is zero.
    """
    import torch

    change = weights = 0.0
    smallest = 1.0
    for layer in peft.modules():
        if not hasattr(layer, "get_delta_weight") or not hasattr(layer, "active_adapters"):
            continue
        weight = getattr(layer.get_base_layer(), "weight", None)
        if weight is None:  # experts held as bare parameters
            continue
        weight = weight.detach()
        delta = sum(layer.get_delta_weight(name).float() for name in layer.active_adapters)
        if not isinstance(delta, torch.Tensor) or float(delta.norm()) == 0.0:
            continue
        # the same rounding as in the merge: the delta is cast first, then the sum is
        merged = weight + delta.to(weight.dtype)
        survived = merged.float() - weight.float()
        change += float(delta.norm()) ** 2
        weights += float(weight.float().norm()) ** 2
        norms = float(survived.norm()) * float(delta.norm())
        cosine = float((survived * delta).sum()) / norms if norms else 0.0
        smallest = min(smallest, cosine)
    return ((change / weights) ** 0.5 if weights else 0.0), smallest
