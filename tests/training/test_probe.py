"""One probe: what the answers add up to, and that asking leaves the model as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.citations import SourceIndex
from core.evaluation.answers import Answer
from core.evaluation.engines import Question
from core.evaluation.golden.sets import load_set
from core.training import data, probe_set
from core.training.negatives import Negative
from core.training.probe import Probe, Prober
from core.training.recipe import ProbePart
from core.training.undisturbed import undisturbed
from tests.training.conftest import MARK, PLACES, some_pairs, write_pairs
from tests.training.probe_parts import some_golden, write_rows

DEFERS = (
    "That needs live data. I cannot answer it from stored knowledge; `get_infrastructure_news` can."
)


class Nothing(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)


@dataclass
class Scripted:
    """An engine whose answers are known. batches: questions it was given."""

    answers: dict[str, str]
    model: Any
    batches: int = 0

    def answer_batches(self, questions: Sequence[Question], size: int) -> Iterator[list[Answer]]:
        for at in range(0, len(questions), size):
            self.batches += 1
            yield [Answer(q.id, self.answers.get(q.id, "")) for q in questions[at : at + size]]


def prober(tmp_path: Path, negatives: Sequence[Negative] = (), count: int = 4) -> Prober:
    file = write_pairs(tmp_path / "trained.jsonl", some_pairs(6))
    trained = probe_set.pairs_of(data.read_conversations(file), file)
    golden = load_set(write_rows(tmp_path / "golden.jsonl", some_golden(count))).questions
    questions = probe_set.choose(trained, golden, ProbePart())
    index = SourceIndex.load({"source_id": f"compute-resources:{p}.access-ci.org"} for p in PLACES)
    return Prober(questions, index, trained, negatives)


def ask(asked: Prober, answers: dict[str, str]) -> Probe:
    found = asked.ask(Scripted(answers, Nothing()), 10, 1.0)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_each_count_says_what_its_name_says(tmp_path: Path) -> None:
    delta, anvil = MARK.format(PLACES[0]), MARK.format(PLACES[1])
    found = ask(
        prober(tmp_path),
        {
            "held_0": f"A node of Delta has 8 cores.\n\n{delta}",  # right, cited rightly
            "held_1": f"A node of Anvil has 99 cores.\n\n{anvil}",  # right source, invented value
            "held_2": "A node of Bridges2 has 24 cores.\n\n<<SRC:compute-resources:made.up>>",
            "held_3": "I do not know that.",
            "trained_pair_4": "A node of Expanse has 40 cores.",
            "dyn_1": DEFERS,
            "dyn_2": "No, all is well.",
            "can_1": "I know of no resource called Wrenfield.",
            "can_2": "You type ssh korvane.psc.edu.",
        },
    )
    assert found.counts == {
        "recall": (2, 4),
        "trained_wording": (1, 2),
        "citation": (2, 4),
        "fabricated": (2, 4),
        "refusal": (1, 2),
        "false_refusal": (1, 4),
        "canary": (1, 2),
        "outdated": (0, 0),
    }
    assert found.right == {"pair_0": True, "pair_1": False, "pair_2": True, "pair_3": False}
    assert found.score == 0.0
    table = {row["id"]: row for row in found.rows}
    assert table["trained_pair_4"]["stratum"] == "trained wording"
    assert table["held_1"] | {"right": False, "fabricated": True, "cited": True} == table["held_1"]
    assert table["can_1"]["right"] and not table["can_2"]["right"]


def test_what_the_training_rows_say_of_a_cited_source_is_no_fabrication(tmp_path: Path) -> None:
    asked = prober(tmp_path)
    delta = MARK.format(PLACES[0])
    # a question about Delta that is trained asks for its node 5; there is no node 77
    said = {"held_0": f"A node of Delta has 8 cores, unlike node 5.\n\n{delta}"}
    made_up = {"held_0": f"A node of Delta has 8 cores, unlike node 77.\n\n{delta}"}
    assert ask(asked, said).counts["fabricated"][0] == 0
    assert ask(asked, made_up).counts["fabricated"][0] == 1


def test_facts_that_changed_are_asked_for_their_old_value(tmp_path: Path) -> None:
    old = [Negative("How many nodes has Delta?", ("124 nodes",), "pair_70")]
    asked = prober(tmp_path, old)
    for answer, k in (("It has 124 nodes.", 1), ("It has 132 nodes.", 0)):
        found = ask(asked, {"negative_0": answer})
        assert found.counts["outdated"] == (k, 1)
        assert found.rows[-1]["fact"] == "pair_70" and found.rows[-1]["right"] == (k == 0)


def test_a_set_without_unseen_wordings_has_no_score(tmp_path: Path) -> None:
    assert ask(prober(tmp_path, count=0), {}).score is None


def test_a_probe_is_given_up_between_two_batches(tmp_path: Path) -> None:
    engine = Scripted({}, Nothing())
    assert prober(tmp_path).ask(engine, 1, 1.0, lambda: True) is None  # type: ignore[arg-type]
    assert engine.batches == 1


def test_modes_and_random_states_are_as_before() -> None:
    model = Nothing()
    model.train()
    model.dropout.eval()  # as a frozen part may be
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    expected = (torch.rand(1).item(), np.random.rand(), random.random())
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    try:
        with undisturbed(model):
            assert not model.training
            torch.rand(5), np.random.rand(5), random.random()
            torch.manual_seed(0)
            raise RuntimeError
    except RuntimeError:
        pass
    assert model.training and not model.dropout.training
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_a_model_made_quick_answers_the_same_and_is_as_before(models: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from core.training.fast import use_low_rank
    from core.training.quick import quick

    base = AutoModelForCausalLM.from_pretrained(str(models / "tiny"), dtype=torch.bfloat16)
    peft = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear"))
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    by_hand = use_low_rank(peft)
    forwards = {name: m.__dict__.get("forward") for name, m in peft.named_modules()}
    ids = torch.arange(5, 45).view(2, 20)
    with torch.inference_mode():
        before = peft(ids).logits
        with quick(peft.get_base_model()) as packed:
            assert packed > by_hand > 0  # every weight an adapter stands beside, and the head
            within = peft(ids).logits
        after = peft(ids).logits
    assert {name: m.__dict__.get("forward") for name, m in peft.named_modules()} == forwards
    assert torch.equal(before, after)
    assert (within - before).abs().max() < 0.05 * before.abs().max()  # rounding of bf16
    assert peft(ids, labels=ids).loss.requires_grad
