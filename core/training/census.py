"""What the base model knows before it is trained: the classes of Gekhman et al. 2024 (SliCK).

Each fact is asked behind a few solved examples, with several sets of them: the answer a model gives
depends on the examples, and the class says how much.

    HighlyKnown   right with every set, answering greedily
    MaybeKnown    right with some set
    WeaklyKnown   right only when sampled
    Unknown       never right

The share of Unknown facts is the best prognosis there is of what a training will teach and of what it
will teach to invent. Answers are graded by the evaluation's own rules. torch is imported when a model
is asked.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from core import citations, locations
from core.evaluation.engines import Asked
from core.evaluation.grading import Grader
from core.jobdir import write_atomic
from core.pairs import Pair
from core.subjects import entities
from core.training.probe_set import as_trained, draw, facts_of
from core.training.recipe import CensusPart

if TYPE_CHECKING:
    from core.evaluation.generate import Generator

Class = Literal["HighlyKnown", "MaybeKnown", "WeaklyKnown", "Unknown"]
CLASSES: tuple[Class, ...] = get_args(Class)
FILE = "census.jsonl"
BATCH = 32
TOP_K = 40  # as in the paper
# facts, sets of examples, samples of each: about a minute on a GPU with a 7 B model, seconds on a CPU
BY_DEVICE = {"cuda": (200, 4, 4), "cpu": (16, 2, 2)}


@dataclass(frozen=True, slots=True)
class Known:
    """One fact. greedy, sampled: (right, asked)."""

    fact: str
    question: str
    greedy: tuple[int, int]
    sampled: tuple[int, int]

    @property
    def cls(self) -> Class:
        right, asked = self.greedy
        if right == asked:
            return "HighlyKnown"
        if right:
            return "MaybeKnown"
        return "WeaklyKnown" if self.sampled[0] else "Unknown"


@dataclass(frozen=True, slots=True)
class Census:
    """known: of the facts asked.  facts: all of the training rows.  cached: taken from an earlier run."""

    known: tuple[Known, ...]
    facts: int
    part: CensusPart
    cached: bool = False

    @property
    def classes(self) -> dict[str, int]:
        found = Counter(k.cls for k in self.known)
        return {name: found[name] for name in CLASSES}

    @property
    def unknown_share(self) -> float | None:
        return self.classes["Unknown"] / len(self.known) if self.known else None

    def as_dict(self) -> dict[str, Any]:
        share = self.unknown_share
        return {
            "classes": self.classes,
            "asked": len(self.known),
            "facts": self.facts,
            "unknown_share": None if share is None else round(share, 4),
            "cached": self.cached,
            **self.part.model_dump(exclude={"before_training", "facts"}),
        }

    def sentence(self) -> str:
        parts = ", ".join(f"{n} {name}" for name, n in self.classes.items())
        again = ", from an earlier census" if self.cached else ""
        return f"the base knows of {len(self.known)} of {self.facts} facts: {parts}{again}"

    def write(self, path: Path) -> None:
        rows = ({**asdict(k), "class": k.cls} for k in self.known)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(path, text.encode("utf-8", "replace"))


def settled(part: CensusPart, device: str) -> CensusPart:
    """With the sizes that were left to the device."""
    facts, prompts, samples = BY_DEVICE["cuda" if device.startswith("cuda") else "cpu"]
    return part.model_copy(
        update={
            "facts": part.facts or facts,
            "prompts": part.prompts or prompts,
            "samples": part.samples or samples,
        }
    )


def take(
    engine: Generator,
    trained: Sequence[Pair],
    part: CensusPart,
    *,
    base_sha256: str,
    data_sha256: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Census:
    """Ask the base, or read what an earlier run asked of the same base about the same pairs.

    engine: the bare base model.  part: settled.  progress: (questions done, in all).
    """
    fact_of = facts_of(trained)
    names = list(dict.fromkeys(fact_of.values()))
    by_id = {p.id: p for p in trained}
    facts = [by_id[name] for name in draw(names, part.facts)]
    prompts = list(_prompts(facts, [by_id[name] for name in names], part))
    # of one file a smoke run, or one that goes on, trains other rows
    asked_sha256 = hashlib.sha256("\n".join(p.question for p in prompts).encode()).hexdigest()
    cache = cache_path(part, base_sha256, f"{data_sha256} {asked_sha256}")
    if (known := _read(cache)) is not None:
        return Census(known, len(names), part, cached=True)
    graders = {p.id: Grader(as_trained(p)) for p in facts}
    total = len(prompts) * (1 + part.samples)
    greedy, sampled = Counter[str](), Counter[str]()
    done = 0

    def right(fact: str, answer: str) -> bool:
        return graders[fact].grade(_first(answer)).grade == "correct"

    from core.training.quick import quick
    from core.training.undisturbed import undisturbed

    with undisturbed(engine.model), quick(engine.model):
        for batch in engine.answer_batches(prompts, BATCH):
            for answer in batch:
                greedy[_fact(answer.id)] += right(_fact(answer.id), answer.answer)
            progress(done := done + len(batch), total)
        for answers in _sampled(engine, prompts, part):
            for prompt_id, text in answers:
                sampled[_fact(prompt_id)] += right(_fact(prompt_id), text)
            progress(done := done + len(answers), total)
    asked = Counter(_fact(p.id) for p in prompts)
    found = tuple(
        Known(
            p.id,
            p.question,
            (greedy[p.id], asked[p.id]),
            (sampled[p.id], asked[p.id] * part.samples),
        )
        for p in facts
    )
    census = Census(found, len(names), part)
    cache.parent.mkdir(parents=True, exist_ok=True)
    census.write(cache)
    return census


def cache_path(part: CensusPart, base_sha256: str, data_sha256: str) -> Path:
    settings = part.model_dump_json(exclude={"before_training"})
    key = hashlib.sha256(f"{base_sha256} {data_sha256} {settings}".encode()).hexdigest()
    return locations.cache_dir() / "census" / f"{key[:32]}.jsonl"


def _read(path: Path) -> tuple[Known, ...] | None:
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        return tuple(
            Known(r["fact"], r["question"], _pair(r["greedy"]), _pair(r["sampled"])) for r in rows
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pair(value: Sequence[int]) -> tuple[int, int]:
    k, n = value
    return int(k), int(n)


def _prompts(facts: Sequence[Pair], examples: Sequence[Pair], part: CensusPart) -> Iterator[Asked]:
    """`prompts` wordings of each fact, id "fact#n"; examples are facts of other entities."""
    for pair in facts:
        about = set(entities(pair))
        others = [p for p in examples if about.isdisjoint(entities(p))]
        for n in range(part.prompts):
            rng = random.Random(f"{pair.id} {n}")
            shown = rng.sample(others, min(part.shots, len(others)))
            solved = "".join(
                f"Question: {p.question}\nAnswer: {citations.without_markers(p.answer).strip()}\n\n"
                for p in shown
            )
            yield Asked(f"{pair.id}#{n}", f"{solved}Question: {pair.question}\nAnswer:")


def _fact(prompt_id: str) -> str:
    return prompt_id.rpartition("#")[0]


def _first(answer: str) -> str:
    """The answer alone, where the model went on with a question of its own."""
    return answer.partition("\nQuestion:")[0].strip()


def _sampled(
    engine: Generator, prompts: Sequence[Asked], part: CensusPart
) -> Iterator[list[tuple[str, str]]]:
    """(prompt id, answer), `samples` of each prompt; the same ones each time."""
    import torch

    pad, per_batch = engine.tokenizer.pad_token_id, max(1, BATCH // part.samples)
    torch.manual_seed(0)
    ids = {p.id: engine.prompt_ids(p.question) for p in prompts}
    by_length = sorted(prompts, key=lambda p: (-len(ids[p.id]), p.id))
    for at in range(0, len(by_length), per_batch):
        batch = by_length[at : at + per_batch]
        width = len(ids[batch[0].id])
        rows = [[pad] * (width - len(ids[p.id])) + ids[p.id] for p in batch]
        tokens = torch.tensor(rows, device=engine.device)
        mask = torch.tensor(
            [[0] * (width - len(ids[p.id])) + [1] * len(ids[p.id]) for p in batch],
            device=engine.device,
        )
        with torch.inference_mode():
            out = engine.model.generate(
                input_ids=tokens,
                attention_mask=mask,
                max_new_tokens=engine.max_new_tokens,
                do_sample=True,
                temperature=part.temperature,
                top_k=TOP_K,
                top_p=1.0,
                num_return_sequences=part.samples,
                eos_token_id=sorted(engine.stop_ids),
                pad_token_id=pad,
                use_cache=True,
            )
        said = engine.tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        yield [(batch[n // part.samples].id, text) for n, text in enumerate(said)]
