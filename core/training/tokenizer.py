"""The tokenizer of a base model, fit to train with: a chat template, and padding of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import EnvironmentProblem, UsageError

# Unused by any conversation, in the families that recipes are written for.
UNUSED = (
    "<|finetune_right_pad_id|>",
    "<|reserved_special_token_0|>",
    "[control_8]",
    "<|endoftext|>",
    "<pad>",
    "<unk>",
)


def load_tokenizer(base: Path) -> tuple[Any, set[int]]:
    """Tokenizer with a pad token of its own, and the ids that end a turn.

    One whose padding was mended says so: `mended`.

    Raises UsageError (no chat template, nothing to pad with), EnvironmentProblem (unreadable).
    """
    from transformers import AutoTokenizer, GenerationConfig

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(base), local_files_only=True)
        eos: set[int] = {tokenizer.eos_token_id}
        if (base / "generation_config.json").is_file():
            ids = GenerationConfig.from_pretrained(str(base), local_files_only=True).eos_token_id
            eos |= set(ids) if isinstance(ids, list) else {ids}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise EnvironmentProblem(
            f"{base}: the tokenizer cannot be read",
            why=str(e).splitlines()[0] if str(e) else type(e).__name__,
            try_next="fetch or copy the model again (`qa model fetch NAME`)",
        ) from e
    if not tokenizer.chat_template:
        raise UsageError(
            f"{base}: the model has no chat template",
            why="it is a base model, not an instruction-tuned one, or the template file is missing",
            try_next="use the instruction-tuned form of the model",
        )
    eos.discard(None)  # type: ignore[arg-type]
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id in eos:
        _give_pad(tokenizer, eos)
    return tokenizer, eos


def mended(tokenizer: Any) -> str | None:
    """What it padded with before it was given another token, "" = nothing; None if it was left alone."""
    before: str | None = getattr(tokenizer, "padded_with", None)
    return before


def _give_pad(tokenizer: Any, eos: set[int]) -> None:
    """Padding with end-of-turn teaches or hides the stop; take an unused token instead."""
    vocabulary = tokenizer.get_vocab()
    for token in UNUSED:
        if vocabulary.get(token, tokenizer.eos_token_id) not in eos:
            tokenizer.padded_with = tokenizer.pad_token or ""
            tokenizer.pad_token = token
            return
    raise UsageError(
        "the tokenizer has no token to pad with besides end-of-turn",
        try_next="add a pad token to its tokenizer_config.json",
    )
