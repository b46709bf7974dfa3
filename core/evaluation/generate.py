"""A model that answers: base with or without an adapter, greedy, in left-padded batches.

torch is imported when a model is loaded, not when this module is. In fp32 a batch gives the tokens
that one question at a time gives. In bf16 it need not: two tokens may be so close that the order of a
sum decides, and that differs with the number of rows; `qa-eval` looks how often it happens.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UsageError
from core.evaluation.answers import Answer, Trace
from core.evaluation.decode import Said, fitting, greedy
from core.evaluation.engines import Question, Unanswered
from core.evaluation.packing import pack
from core.evaluation.prompting import Prompter, context_of
from core.evaluation.side_by_side import SideBySide

if TYPE_CHECKING:
    from core.evaluation.straight import Pass

Dtype = Literal["bfloat16", "float32"]
WORTH_A_THREAD = 24
"""Questions: every step reads all weights, whatever the number of rows, so that small batches cost more."""
MOST_BESIDE = 4
LARGEST_BESIDE = 2 << 30
"""Bytes of weights: where products are large, threads hardly wait, and reading weights twice costs more."""
SMALLEST_COSINE = 0.95
"""A merged adapter must point where the trained one pointed; below it the adapter is not merged."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A loaded model, an `engines.Engine`. notes: what was decided while loading, for the record."""

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    stop_ids: frozenset[int]
    device: str
    dtype: Dtype
    max_new_tokens: int = 64
    notes: tuple[str, ...] = ()
    way: Pass | None = field(default=None, repr=False)
    beside: SideBySide = field(default_factory=lambda: SideBySide(1), repr=False)

    def prompt_ids(self, question: str) -> list[int]:
        """The question in the model's own chat template, ready for the answer to begin."""
        return self._prompter().ids(question)

    def answer_alone(self, question: Question) -> Answer:
        """One answer with its latency: from the text of the question to the text of the answer."""
        start = time.perf_counter()
        prompter = self._prompter()
        prompts = {question.id: prompter.ids(question.question)}
        said = next(self._said([question], prompts, None))
        (answer,) = self._answers([question], prompts, said, prompter)
        return replace(answer, latency_s=time.perf_counter() - start)

    def answer_batches(
        self, questions: Sequence[Question], batch_size: int
    ) -> Iterator[list[Answer]]:
        """Answers as they end, of batches of questions of similar length, the longest first.

        The longest first: if memory does not suffice, it shows at once. Where there are questions
        enough, `beside` takes several batches at a time, batch_size questions together at most.
        """
        prompter = self._prompter()
        prompts = {q.id: prompter.ids(q.question) for q in questions}
        left = sorted(questions, key=lambda q: (-len(prompts[q.id]), q.id))
        share = min(batch_size, len(left)) // self.beside.threads
        threads = self.beside.threads if share >= WORTH_A_THREAD else 1
        batches: list[list[Question]] = []
        while left:
            lengths = [len(prompts[q.id]) for q in left]
            size = fitting(self.model, lengths, self.max_new_tokens, batch_size, threads)
            now, left = left[: size * threads], left[size * threads :]
            # every so-many-th question: each thread has long and short ones
            batches += [some for k in range(threads) if (some := now[k::threads])]
        if threads == 1:
            for batch in batches:
                for said in self._said(batch, prompts, None):
                    yield self._answers(batch, prompts, said, prompter)
            return
        for batch, said in self.beside.answered(
            lambda some, wanted: self._said(some, prompts, wanted), batches
        ):
            yield self._answers(batch, prompts, said, prompter)

    def settle(self) -> int:
        if self.beside.running:  # whose threads would be measured, not the machine
            import torch

            threads: int = torch.get_num_threads()
            return threads
        return settle_threads(self)

    def unanswered(self) -> tuple[Unanswered, ...]:
        return ()

    def close(self) -> None:
        """Nothing to release: the memory goes with the object."""

    def _said(
        self,
        questions: Sequence[Question],
        prompts: Mapping[str, list[int]],
        wanted: Callable[[], None] | None,
    ) -> Iterator[list[Said]]:
        """Of one batch, as answers end; in any thread."""
        return greedy(
            self.model,
            [prompts[q.id] for q in questions],
            max_new_tokens=self.max_new_tokens,
            stop_ids=self.stop_ids,
            pad_id=self.tokenizer.pad_token_id,
            device=self.device,
            way=self.way,
            wanted=wanted,
        )

    def _answers(
        self,
        questions: Sequence[Question],
        prompts: Mapping[str, list[int]],
        said: Sequence[Said],
        prompter: Prompter,
    ) -> list[Answer]:
        asked = [questions[s.n].id for s in said]
        return [
            self._answer(i, prompter, prompts[i], s, len(questions))
            for i, s in zip(asked, said, strict=True)
        ]

    def _answer(
        self, question_id: str, prompter: Prompter, prompt: list[int], said: Said, batch: int
    ) -> Answer:
        ended = bool(said.tokens) and said.tokens[-1] in self.stop_ids
        tokens = said.tokens[:-1] if ended else said.tokens
        trace = Trace(
            prompt=prompter.text(prompt),
            raw=prompter.text(said.tokens),
            prompt_tokens=len(prompt),
            batch=batch,
            seconds=said.seconds,
            first_token_s=said.first_s,
            device=self.device,
        )
        finish = "stop" if ended else "length"
        return Answer(question_id, prompter.said(tokens), None, len(tokens), finish, trace)

    def _prompter(self) -> Prompter:
        context = context_of(self.model.config, self.tokenizer)
        return Prompter(self.tokenizer, context, self.max_new_tokens)


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

    from core.evaluation.kv_room import has_room_for
    from core.evaluation.straight import straight
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
    if packed := pack(model):
        notes.append(f"{packed} layers packed for this CPU")
    way = straight(model) if has_room_for(model) else None
    if way is not None:
        notes.append("read and answered the shorter way, checked for equal logits")
    beside = side_by_side(model, way)
    if beside.threads > 1:
        notes.append(f"{beside.threads} batches answered side by side, where there are enough")
    return Generator(
        model,
        tokenizer,
        frozenset(stop_ids),
        device,
        dtype,
        max_new_tokens,
        tuple(notes),
        way,
        beside,
    )


def side_by_side(model: Any, way: Pass | None, cpus: int = 0) -> SideBySide:
    """How many batches this model answers at a time. cpus: 0: those this process may use.

    However busy they are: which questions are a batch, and with it the last bits in bf16, does not
    depend on the moment.
    """
    from core.training.environment import usable_cpus

    if not cpus:
        said = os.environ.get("OMP_NUM_THREADS", "")
        cpus = min(usable_cpus(), int(said) if said.isdecimal() and int(said) else usable_cpus())
    large = sum(p.nbytes for p in model.parameters()) > LARGEST_BESIDE
    if way is None or large or _turns_change(model):
        return SideBySide(1)
    threads = min(cpus, MOST_BESIDE)
    return SideBySide(threads, cpus // threads)


def _turns_change(model: Any) -> bool:
    """Whether a forward pass writes its rotary frequencies into the model, for all threads to see."""
    kinds = (str(getattr(part, "rope_type", "")) for part in model.modules())
    return any("dynamic" in kind or kind == "longrope" for kind in kinds)


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
