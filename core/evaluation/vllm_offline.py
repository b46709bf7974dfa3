"""vLLM in this process, without a server: the fastest way through many questions on an accelerator.

vLLM pins a torch of its own, so it lives in an environment of its own on the host; elsewhere `load`
says what is missing. The prompts are tokenised here, with the same template and the same treatment
of control tokens as with the other back ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import MissingComponent, UsageError
from core.evaluation.answers import Answer, Trace
from core.evaluation.engines import Question, Unanswered
from core.evaluation.prompting import Prompter, context_of


def engine_arguments(
    base: Path, *, dtype: str, seed: int = 0, lora_rank: int | None = None
) -> dict[str, Any]:
    """Keyword arguments of `vllm.LLM`. lora_rank: of the adapter, None without one."""
    arguments: dict[str, Any] = {
        "model": str(base),
        "tokenizer": str(base),
        "dtype": dtype,
        "seed": seed,
        "trust_remote_code": False,
        "enable_prefix_caching": True,  # every prompt begins with the same template
        # else the model's own file may set a temperature or a penalty
        "generation_config": "vllm",
    }
    if lora_rank is not None:
        arguments |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _allowed(lora_rank)}
    return arguments


def sampling_arguments(max_new_tokens: int, stop_ids: frozenset[int]) -> dict[str, Any]:
    """Keyword arguments of `vllm.SamplingParams` for greedy answers, control tokens kept."""
    return {
        "temperature": 0.0,
        "max_tokens": max_new_tokens,
        "stop_token_ids": sorted(stop_ids),
        "skip_special_tokens": False,
    }


def lora_arguments(adapter: Path) -> dict[str, Any]:
    """Keyword arguments of `LoRARequest`: a name of its own, never used for another adapter."""
    return {"lora_name": str(adapter.resolve()), "lora_int_id": 1, "lora_path": str(adapter)}


def lora_rank(adapter: Path) -> int:
    """The largest rank in an adapter's configuration. Raises UsageError where there is none."""
    import json

    try:
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        return max(
            [int(config["r"]), *(int(r) for r in (config.get("rank_pattern") or {}).values())]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(
            f"{adapter}: not an adapter",
            why=f"adapter_config.json says no rank ({type(e).__name__})",
            try_next="give the folder that qa-train wrote (…/artifacts/adapter)",
        ) from None


def _allowed(rank: int) -> int:
    """vLLM knows only some ranks; the next one up."""
    for allowed in (8, 16, 32, 64, 128, 256, 320, 512):
        if rank <= allowed:
            return allowed
    raise UsageError(f"vLLM serves no adapter of rank {rank}", try_next="answer with transformers")


def need_vllm() -> None:
    """Raises MissingComponent where vLLM is not installed."""
    if find_spec("vllm") is None:
        raise MissingComponent(
            "vLLM is not installed here",
            why="it pins its own torch and lives in an environment of its own",
            try_next="run qa-eval with that environment's Python on the host, serve the model there "
            "and use --endpoint, or answer with --engine transformers",
        )


@dataclass(slots=True)
class Offline:
    """An `engines.Engine` over a `vllm.LLM`."""

    llm: Any = field(repr=False)
    sampling: Any = field(repr=False)
    lora: Any = field(repr=False)
    prompter: Prompter
    stop_ids: frozenset[int]
    notes: tuple[str, ...] = ()

    def answer_alone(self, question: Question) -> Answer:
        start = time.perf_counter()
        answer = self._generate([question])[0]
        return replace(answer, latency_s=time.perf_counter() - start)

    def answer_batches(
        self, questions: Sequence[Question], batch_size: int
    ) -> Iterator[list[Answer]]:
        """vLLM keeps its own batch full; `batch_size` questions are kept at once."""
        for start in range(0, len(questions), batch_size):
            yield self._generate(questions[start : start + batch_size])

    def settle(self) -> int:
        return 0

    def unanswered(self) -> tuple[Unanswered, ...]:
        return ()

    def close(self) -> None:
        self.llm = None

    def _generate(self, questions: Sequence[Question]) -> list[Answer]:
        start = time.perf_counter()
        prompts = [self.prompter.ids(q.question) for q in questions]
        outputs = self.llm.generate(
            [{"prompt_token_ids": ids} for ids in prompts],
            self.sampling,
            lora_request=self.lora,
            use_tqdm=False,
        )
        seconds = time.perf_counter() - start
        return [
            self._answer(q.id, ids, list(out.outputs[0].token_ids), len(questions), seconds)
            for q, ids, out in zip(questions, prompts, outputs, strict=True)
        ]

    def _answer(
        self, question_id: str, prompt: list[int], tokens: list[int], batch: int, seconds: float
    ) -> Answer:
        ended = bool(tokens) and tokens[-1] in self.stop_ids
        said = tokens[:-1] if ended else tokens
        trace = Trace(
            prompt=self.prompter.text(prompt),
            raw=self.prompter.text(tokens),
            prompt_tokens=len(prompt),
            batch=batch,
            seconds=seconds,
            device="vllm",
        )
        finish = "length" if len(tokens) >= self.prompter.max_new_tokens and not ended else "stop"
        return Answer(question_id, self.prompter.said(said), None, len(said), finish, trace)


def load(base: Path, adapter: Path | None, *, dtype: str, max_new_tokens: int) -> Offline:
    """Raises MissingComponent (no vLLM), UsageError (no adapter there, or of too high a rank)."""
    need_vllm()
    from transformers import AutoConfig
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]
    from vllm.lora.request import LoRARequest  # type: ignore[import-not-found]

    from core.training.attach import load_tokenizer

    rank = lora_rank(adapter) if adapter is not None else None
    tokenizer, stop_ids = load_tokenizer(base)
    config = AutoConfig.from_pretrained(str(base), local_files_only=True)
    prompter = Prompter(tokenizer, context_of(config, tokenizer), max_new_tokens)
    llm = LLM(**engine_arguments(base, dtype=dtype, lora_rank=rank))
    sampling = SamplingParams(**sampling_arguments(max_new_tokens, frozenset(stop_ids)))
    lora = LoRARequest(**lora_arguments(adapter)) if adapter is not None else None
    note = f"{base.name} in {dtype} by vLLM" + (f", adapter {adapter.name}" if adapter else "")
    return Offline(llm, sampling, lora, prompter, frozenset(stop_ids), (note,))
