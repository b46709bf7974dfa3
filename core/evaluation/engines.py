"""What can answer questions: one Protocol, three back ends.

    transformers   a model in this process           core.evaluation.generate
    endpoint       any OpenAI-compatible server      core.evaluation.endpoint
    vllm           vLLM in this process, no server   core.evaluation.vllm_offline

All answer greedily. A question is data to all of them: it cannot open a turn of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from core.evaluation.answers import Answer

EngineName = Literal["transformers", "endpoint", "vllm"]
ENGINES: tuple[EngineName, ...] = ("transformers", "endpoint", "vllm")


class Question(Protocol):
    """What is needed of a question. question: the user's whole turn, retrieved pairs included."""

    @property
    def id(self) -> str: ...
    @property
    def question(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in the wording that one system is given."""

    id: str
    question: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question the engine could not get an answer to. why: in words, without secrets."""

    id: str
    why: str


class Engine(Protocol):
    """One system, ready to be asked. One thread asks."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided while it was made ready, for the record."""

    def answer_alone(self, question: Question) -> Answer | None:
        """One answer with its latency, nothing else being asked. None: it is in `unanswered`."""

    def answer_batches(
        self, questions: Sequence[Question], batch_size: int
    ) -> Iterator[list[Answer]]:
        """The answers as they come, in any order; what is missing in the end is in `unanswered`."""

    def settle(self) -> int:
        """Adapt to what the machine has free now: the number of threads taken, 0 if none are."""

    def unanswered(self) -> tuple[Unanswered, ...]:
        """Questions without an answer, so far."""

    def close(self) -> None:
        """Let go of what it holds; requests on their way are cut off."""
