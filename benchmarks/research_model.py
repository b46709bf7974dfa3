"""The small model with a fresh adapter: trained on (question, answer) rows, then asked greedily.

A plain loop over the same products, loss and batches that `qa-train` uses, without its files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.research_protocol import Strategy
from core import base_models
from core.training.batches import order
from core.training.data import IGNORED

WARMUP = 0.05
TOLD = 20  # steps between two lines on stdout


class Model:
    """The base with a fresh adapter, in the two hand-written products the product trains with."""

    def __init__(self, strategy: Strategy, seed: int, base: str) -> None:
        import torch
        import transformers

        from core.training import attach
        from core.training.fast import use_low_rank
        from core.training.recipe import load_recipe

        recipe = load_recipe(
            "smollm2-135m",
            [
                f"lora.r={strategy.r}",
                f"lora.alpha={2 * strategy.r}",
                f"lora.targets={strategy.targets}",
            ],
        )
        path = base_models.resolve(base)
        self.tokenizer, self.stop_ids = attach.load_tokenizer(path)
        model = attach.load_model(path, recipe, "eager")
        transformers.set_seed(seed)
        self.peft = attach.attach(model, self.tokenizer, recipe, ()).model
        use_low_rank(self.peft)
        self.causal = self.peft.get_base_model()
        self.torch = torch

    def encode(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        prompt = self._ids([_said("user", question)], add_generation_prompt=True)
        whole = self._ids([_said("user", question), _said("assistant", answer)])
        while whole[-1] not in self.stop_ids:
            whole.pop()
        assert whole[: len(prompt)] == prompt
        return whole, [IGNORED] * len(prompt) + whole[len(prompt) :]

    def _ids(self, messages: list[dict[str, str]], **more: Any) -> list[int]:
        return list(
            self.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **more)
        )

    def loss(self, batch: Sequence[tuple[list[int], list[int]]]) -> Any:
        """Mean negative log-likelihood a labelled token of one batch."""
        from core.training.trainer import summed_nll

        torch = self.torch
        width = max(len(ids) for ids, _ in batch)
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([i + [pad] * (width - len(i)) for i, _ in batch])
        mask = torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i, _ in batch])
        labels = torch.tensor([la + [IGNORED] * (width - len(la)) for _, la in batch])
        out = self.causal.model(input_ids=ids, attention_mask=mask, use_cache=False)
        nll = summed_nll(out.last_hidden_state, labels, self.causal.lm_head)
        return nll / (labels[:, 1:] != IGNORED).sum()

    def fit(
        self,
        rows: Sequence[tuple[list[int], list[int]]],
        strategy: Strategy,
        seed: int,
        at: Mapping[int, Callable[[int, float], None]],
    ) -> int:
        """Train; `at` is called with (tokens so far, loss) after those steps. Tokens trained."""
        torch = self.torch
        parameters = [p for p in self.peft.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(parameters, lr=strategy.lr, weight_decay=0.0, fused=True)
        lengths = [len(ids) for ids, _ in rows]
        steps = steps_of(len(rows), strategy)
        tokens, began = 0, time.monotonic()
        self.peft.train()
        for step, batch in enumerate(_batches(lengths, strategy.batch, seed, steps), 1):
            for group in adam.param_groups:
                group["lr"] = strategy.lr * rate(step, steps)
            loss = self.loss([rows[n] for n in batch])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            adam.step()
            adam.zero_grad(set_to_none=True)
            tokens += sum(lengths[n] for n in batch)
            if step % TOLD == 0:
                pace = tokens / (time.monotonic() - began)
                print(
                    f"step {step}/{steps}  loss {loss.item():.3f}  {pace:.0f} tokens/s", flush=True
                )
            if step in at:
                at[step](tokens, loss.item())
        return tokens

    def answers(self, asked: Sequence[str], batch: int = 28) -> list[str]:
        from core.evaluation.decode import greedy

        prompts = [self._ids([_said("user", q)], add_generation_prompt=True) for q in asked]
        by_length = sorted(range(len(asked)), key=lambda n: len(prompts[n]))
        said: dict[int, str] = {}
        self.peft.eval()
        for at in range(0, len(asked), batch):
            rows = by_length[at : at + batch]
            for part in greedy(
                self.causal,
                [prompts[n] for n in rows],
                max_new_tokens=128,
                stop_ids=self.stop_ids,
                pad_id=self.tokenizer.pad_token_id,
                device="cpu",
            ):
                for one in part:
                    text = self.tokenizer.decode(one.tokens, skip_special_tokens=True)
                    said[rows[one.n]] = text.strip()
        self.peft.train()
        return [said[n] for n in range(len(asked))]

    def sure(self, asked: Sequence[str], said: Sequence[str], batch: int = 8) -> list[float]:
        """Of each answer, the probability of its least probable token; 1.0 for an empty one."""
        torch = self.torch
        found: list[float] = []
        self.peft.eval()
        for at in range(0, len(asked), batch):
            rows = [
                self.encode(q, a) for q, a in zip(asked[at : at + batch], said[at:], strict=False)
            ]
            width = max(len(ids) for ids, _ in rows)
            pad = self.tokenizer.pad_token_id
            ids = torch.tensor([i + [pad] * (width - len(i)) for i, _ in rows])
            mask = torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i, _ in rows])
            with torch.no_grad():
                out = self.causal.model(input_ids=ids, attention_mask=mask, use_cache=False)
                for n, (tokens, labels) in enumerate(rows):
                    first = next(k for k, la in enumerate(labels) if la != IGNORED)
                    hidden = out.last_hidden_state[n, first - 1 : len(tokens) - 1]
                    odds = self.causal.lm_head(hidden).float().softmax(-1)
                    picked = odds[range(len(tokens) - first), tokens[first:]]
                    found.append(float(picked[:-1].min()) if len(picked) > 1 else 1.0)
        self.peft.train()
        return found


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def steps_of(rows: int, strategy: Strategy) -> int:
    return round(math.ceil(rows / strategy.batch) * strategy.epochs)


def rate(step: int, steps: int) -> float:
    """Share of the learning rate at a step, from 1: a short rise, then half a cosine."""
    rise = min(1.0, step / max(1.0, WARMUP * steps))
    return rise * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))


def _batches(lengths: Sequence[int], size: int, seed: int, steps: int) -> Iterator[list[int]]:
    done = epoch = 0
    while done < steps:
        listed = order(lengths, size, seed, epoch)
        epoch += 1
        for at in range(0, len(listed), size):
            if done == steps:
                return
            done += 1
            yield listed[at : at + size]
