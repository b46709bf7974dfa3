"""Swapped values in comparisons are found; right answers in any order of words are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import locations
from core.evaluation.golden import GoldenQuestion, load_golden
from core.evaluation.grading import Grader
from core.evaluation.labels import expect
from tests.evaluation.parts import number, question

NODES = question(
    [number(2488, "nodes"), number(1000, "nodes")],
    asked="Put the CPU node counts of Derecho and Anvil next to each other.",
    expected="Derecho has 2,488 CPU nodes, Anvil 1,000.",
    category="comparisons",
)
CORES = question(
    [number(128, "cores"), number(80, "cores")],
    asked="Does a node of Delta have more cores than an ICX node of Stampede3?",
    expected="Yes, 128 against 80 cores.",
)
GPUS = question(
    [number(8, "GPUs", aliases=["eight V100s"]), number(4, "GPUs", aliases=["four V100s"])],
    asked="Which server holds more V100 GPUs, one at PSC or one at SDSC, and what are the counts?",
    expected="The one at PSC: a Bridges-2 GPU node has eight V100s, an Expanse GPU node four.",
)
QUEUES = question(
    [number(1, "SUs"), number(1.5, "SUs"), number(2, "SUs")],
    asked="How many SUs go for a node-hour on Stampede3 in skx, in icx and in spr?",
    expected="skx costs 1 SU, icx 1.5 SUs and spr 2 SUs per node-hour.",
)
BATCH = question(
    [["PBS"], ["Kubernetes", "k8s"]],
    asked="On Derecho and on Voyager my Slurm scripts are useless. What do the two run instead?",
    expected="Derecho uses PBS Pro, Voyager Kubernetes.",
)
ARM = question(
    [["DeltaAI"], ["Grace"], ["Ookami"], ["A64FX"]],
    asked="Which two ACCESS systems are Arm, and what processor does each have?",
    expected="DeltaAI has NVIDIA Grace processors, Ookami the Fujitsu A64FX.",
)
CARDS = question(
    [["A40"], number(48, "GB"), number(40, "GB")],
    asked="On Delta's 4-way nodes, which card has more memory, the A40 or the A100?",
    expected="The A40 with 48 GB; the A100 has 40 GB.",
)


def mixed(q: GoldenQuestion, answer: str) -> bool:
    graded = Grader(q).grade(answer)
    assert graded.grade == "incorrect" or not graded.contradictions
    assert not graded.contradictions or graded.misplaced
    return bool(graded.contradictions)


@pytest.mark.parametrize(
    ("q", "answer"),
    [
        (NODES, "Derecho has 1,000 CPU nodes, Anvil 2,488."),
        (NODES, "Anvil: 2488 nodes\nDerecho: 1000 nodes"),
        (NODES, "Derecho and Anvil have 1,000 and 2,488 CPU nodes."),
        (NODES, "1,000 nodes on Derecho, 2,488 nodes on Anvil"),
        (CORES, "An ICX node has 128 cores, Delta has 80 cores."),
        (CORES, "Delta: 80 cores; Stampede3: 128 cores"),
        (GPUS, "Bridges 2 has four V100s per node, Expanse has eight V100s per node."),
        (GPUS, "Bridges-2 and Expanse have 4 and 8 GPUs respectively."),
        (QUEUES, "skx 2 SUs, icx 1.5 SUs, spr 1 SU"),
        (BATCH, "Derecho runs Kubernetes and Voyager runs PBS Pro."),
        (ARM, "DeltaAI has the Fujitsu A64FX, Ookami NVIDIA Grace."),
        (CARDS, "A40: 40 GB, A100: 48 GB"),
    ],
)
def test_swapped_values_are_wrong(q: GoldenQuestion, answer: str) -> None:
    assert mixed(q, answer)


@pytest.mark.parametrize(
    ("q", "answer"),
    [
        (NODES, "Derecho has 2,488 nodes and Anvil has 1,000. Anvil has 2,488 nodes."),
        (GPUS, "Bridges-2 has eight V100s. Expanse has four V100s. Expanse has eight V100s."),
    ],
)
def test_a_second_value_for_the_same_name_is_wrong(q: GoldenQuestion, answer: str) -> None:
    assert mixed(q, answer)


@pytest.mark.parametrize(
    ("q", "answer"),
    [
        (NODES, "Compared with Anvil, Derecho has 2,488 nodes against 1,000."),
        (NODES, "Derecho has 2,488 CPU nodes, 1,488 more than the 1,000 nodes of Anvil."),
        (NODES, "The number of CPU nodes is 1,000 on Anvil and 2,488 on Derecho."),
        (NODES, "Anvil has fewer nodes than Derecho: 1,000 against 2,488."),
        (NODES, "Derecho: 2488 nodes\nAnvil: 1000 nodes"),
        (NODES, "There are 2,488 nodes in Derecho. Anvil is smaller. It has 1,000 nodes."),
        (NODES, "Derecho and Anvil differ: the latter has 1,000 nodes, the former 2,488."),
        (NODES, "Anvil does not have 2,488 nodes but 1,000; Derecho has 2,488 nodes."),
        (CORES, "Yes: 128 cores against 80 cores"),
        (GPUS, "An Expanse node has four V100s, while Bridges-2 nodes have eight V100s."),
        (GPUS, "Bridges-2 has more GPUs than Expanse: 8 against 4 GPUs."),
        (QUEUES, "1 SU for skx, 1.5 SU for icx and 2 SUs for spr"),
        (BATCH, "Voyager: Kubernetes. Derecho: PBS."),
        (ARM, "Ookami has A64FX, DeltaAI has Grace."),
        (CARDS, "The A40, at 48 GB, compared with 40 GB for the A100."),
    ],
)
def test_right_answers_are_left_alone(q: GoldenQuestion, answer: str) -> None:
    assert not mixed(q, answer)
    assert Grader(q).grade(answer).grade == "correct"


NAMES = ["Derecho", "Anvil", "Expanse", "FASTER", "Ranch", "Stampede3", "Bridges-2"]
FORMS = [
    "{a} has {x} nodes, {b} {y}.",
    "{a} has {x} nodes and {b} has {y} nodes.",
    "{a}: {x} nodes; {b}: {y} nodes",
    "{x} nodes on {a}, {y} nodes on {b}",
    "There are {x} nodes on {a} while {b} has {y}.",
    "{a} and {b} have {x} and {y} nodes.",
]


@given(
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True),
    st.lists(st.integers(2, 9999), min_size=2, max_size=2, unique=True),
    st.sampled_from(FORMS),
    st.booleans(),
)
def test_any_two_names_and_numbers(
    names: list[str], counts: list[int], form: str, turned: bool
) -> None:
    (a, b), (x, y) = names, counts
    q = question(
        [number(x, "nodes"), number(y, "nodes")],
        asked=f"How many nodes have {a} and {b}?",
        expected=f"{a} has {x} nodes, {b} {y}.",
    )
    pairs = [(a, x), (b, y)]
    (p, m), (r, n) = reversed(pairs) if turned else pairs
    assert not mixed(q, form.format(a=p, x=m, b=r, y=n))
    assert mixed(q, form.format(a=p, x=n, b=r, y=m))


def test_a_list_of_things_is_no_comparison() -> None:
    q = question(
        [["Python"], ["Java"]],
        asked="Can I define Pegasus workflows in Python, Java or R?",
        expected="Yes, Pegasus workflows can be defined with Python, Java or R.",
    )
    assert expect(q).sides == ()
    assert not mixed(q, "Pegasus takes Java and Python.")


def test_the_golden_comparisons_have_sides_and_accept_their_own_answers() -> None:
    golden = load_golden(locations.configs() / "corpus" / "golden.jsonl")
    with_sides = [q for q in golden if q.category == "comparisons" and expect(q).sides]
    assert len(with_sides) >= 12
    assert not any(mixed(q, q.expected_answer) for q in golden)


@given(st.text(max_size=200))
def test_no_answer_breaks_it(answer: str) -> None:
    Grader(NODES).grade(f"Derecho 2488 nodes {answer} Anvil 1000 nodes")
