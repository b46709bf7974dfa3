"""From the text of a question to the tokens a model reads: its own chat template, and nothing else.

Shared by the back ends that tokenise here (transformers, vLLM offline); an endpoint applies the
template itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Prompter:
    """A tokenizer with a chat template. context: tokens the model can hold, the answer included."""

    tokenizer: Any = field(repr=False)
    context: int
    max_new_tokens: int

    def ids(self, question: str) -> list[int]:
        """The question as the user's turn, ready for the answer to begin.

        One that is too long loses its middle: the template stands at both ends.
        """
        messages = [{"role": "user", "content": self._harmless(question)}]
        ids: list[int] = list(
            self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
        )
        room = max(2, self.context - self.max_new_tokens)
        if len(ids) > room:
            ids = ids[: room // 2] + ids[len(ids) - (room - room // 2) :]
        return ids

    def text(self, ids: list[int]) -> str:
        """Tokens as text, control tokens included."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))

    def said(self, ids: list[int]) -> str:
        """Tokens as the reader of an answer sees them."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _harmless(self, text: str) -> str:
        """A question must not open a turn of its own: control tokens in it become plain text."""
        # not every tokenizer lists its turn markers among the special tokens
        added = [t for t in self.tokenizer.get_added_vocab() if t[:1] in "<["]
        for token in sorted(
            {*self.tokenizer.all_special_tokens, *added}, key=lambda t: (-len(t), t)
        ):
            if token in text:
                text = text.replace(token, token[:1] + " " + token[1:])
        # half a character pair, as broken JSON escapes leave it, is no text to a tokenizer
        return text.encode("utf-8", "replace").decode("utf-8")


def context_of(config: Any, tokenizer: Any) -> int:
    """Tokens that model and tokenizer both allow; 4096 where neither says."""
    length = getattr(config, "max_position_embeddings", None) or 4096
    return int(min(length, tokenizer.model_max_length or length))
