"""Key facts: found in any spelling, missed when absent, and contradicted by a second value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation import facts
from core.evaluation.facts import FactCheck
from core.evaluation.golden import GoldenQuestion
from core.evaluation.labels import expect
from core.evaluation.normalise import Prepared
from tests.evaluation.parts import number, question


def check(q: GoldenQuestion, answer: str) -> FactCheck:
    return facts.check(expect(q), Prepared(answer))


def good(q: GoldenQuestion, answer: str) -> bool:
    result = check(q, answer)
    return result.all_there and not result.contradictions


MEMORY = question([number(256, "GB")])


@pytest.mark.parametrize(
    "answer",
    [
        "A node has 256 GB of RAM.",
        "256GB",
        "**256** gigabytes of memory per node",
        "two hundred and fifty-six GB",
        "0.256 TB",
        "It has 128 cores and 256 GB.",
    ],
)
def test_a_number_is_found_in_any_spelling(answer: str) -> None:
    assert good(MEMORY, answer)


@pytest.mark.parametrize(
    "answer",
    ["It has 10 TB.", "It has 256 cores.", "It has 256 GiB.", "It has 25.6 GB.", "A lot.", ""],
)
def test_another_number_or_unit_is_not_it(answer: str) -> None:
    assert not check(MEMORY, answer).all_there


def test_what_stands_in_its_place_is_named() -> None:
    assert check(MEMORY, "A node has 10 TB of RAM.").missing == ("256 GB (says 10 tb)",)


def test_powers_of_two_are_how_memory_is_sold() -> None:
    q = question([number(2, "TB")])
    assert good(q, "2048 GB") and good(q, "2,000 GB")
    assert not check(q, "2,100 GB").all_there


def test_tolerance_is_relative_and_stated() -> None:
    assert not check(question([number(100, "GB")]), "101 GB").all_there
    assert good(question([number(100, "GB", tolerance=0.02)]), "101 GB")


@pytest.mark.parametrize(
    ("unit", "answer", "found"),
    [
        ("nodes", "Delta has 132 CPU nodes.", True),
        ("nodes", "The number of nodes is 132.", True),
        ("nodes", "132 of them.", True),
        ("nodes", "132 GB.", False),
        ("nodes", "132 cores.", False),
        ("GPU hours", "132 GPU hours", True),
        ("GPU hours", "132 days", False),
        ("GPUs", "132 A100s", True),
        ("GPUs", "132 cards", True),
        ("GPUs", "132 nodes", False),
        ("SUs", "132 SU per hour", True),
        ("", "132", True),
    ],
)
def test_counted_things(unit: str, answer: str, found: bool) -> None:
    q = question([number(132, unit)], asked="How many nodes has Delta?" if unit == "nodes" else "?")
    assert check(q, answer).all_there is found


def test_a_number_without_a_unit_takes_what_the_expected_answer_counts() -> None:
    cores = question([number(40, "")], asked="What is in it?", expected="A node has 40 cores.")
    assert good(cores, "It has 40 CPU cores.")
    assert not check(cores, "It has 40 GB.").all_there
    assert not check(cores, "It has 40 nodes.").all_there
    assert not good(cores, "It has 40 cores, or 64 cores.")
    model = question([number(7763, "")], asked="Which CPU?", expected="An AMD EPYC 7763 (Milan).")
    assert good(model, "EPYC 7763") and not check(model, "7763 GB").all_there


def test_a_second_value_for_the_same_thing_is_a_contradiction() -> None:
    assert check(MEMORY, "It has 256 GB of memory, or 512 GB of RAM.").contradictions == (
        "says 512 gb beside 256 gb",
    )
    # another thing in the same unit is none
    assert good(MEMORY, "It has 256 GB of memory and 960 GB of local disk.")
    # nor is the other side of a comparison that the labels know
    both = question([number(256, "GB"), number(512, "GB")])
    assert good(both, "Delta has 256 GB of memory and Anvil 512 GB of memory.")


def test_a_second_count_of_the_same_thing_is_a_contradiction() -> None:
    q = question([number(132, "nodes")], asked="How many CPU nodes?", expected="132 CPU nodes.")
    assert not good(q, "There are 132 CPU nodes and 200 CPU nodes.")
    assert good(q, "There are 132 CPU nodes and 100 GPU nodes.")
    # a model number beside a count is no count
    assert good(q, "There are 132 CPU nodes; the processor is EPYC 7742.")


def test_a_total_is_no_second_value() -> None:
    q = question([number(8, "GPUs")], asked="How many GPUs?", expected="Eight GPUs a node.")
    assert good(q, "Each of the 24 nodes has eight GPUs, 192 GPUs in total.")
    assert good(q, "8 GPUs in each node, a total of 192 GPUs.")
    assert not good(q, "It has 8 GPUs, or 192 GPUs.")


def test_an_alias_does_not_hide_a_second_value() -> None:
    q = question(
        [number(8, "GPUs", aliases=["eight V100s"])],
        asked="How many GPUs?",
        expected="Eight V100s.",
    )
    assert good(q, "Eight V100s.")
    assert not good(q, "Eight V100s, or 16 GPUs.")


def test_a_text_that_is_a_measured_number_guards_too() -> None:
    q = question([["256 GB", "0.25 TB"]])
    assert good(q, "It has 256 GB of memory.")
    assert not good(q, "It has 256 GB or 300 GB of memory.")


def test_alternatives_are_whole_words_in_any_case() -> None:
    q = question([["Slurm", "slurm workload manager"]], asked="Which scheduler has Delta?")
    assert good(q, "delta runs SLURM.") and good(q, "It uses **Slurm**")
    assert not check(q, "It uses slurmish things").all_there


def test_denied_facts_do_not_count() -> None:
    q = question([["Slurm"]], expected="Anvil runs Slurm.", asked="What does Anvil run?")
    assert not check(q, "Anvil does not use Slurm, it uses PBS.").all_there
    assert not check(q, "Anvil isn't running Slurm").all_there
    assert not check(q, "It is not true that the machine called Anvil runs Slurm.").all_there
    assert good(q, "It is not true that Anvil runs PBS. It runs Slurm.")
    assert good(q, "Anvil does not use PBS; it runs Slurm.")
    assert good(q, "Anvil runs not only Slurm.")


def test_a_fact_that_the_expected_answer_denies_must_be_denied() -> None:
    q = question([["GPUs"]], expected="Anvil has no GPUs.", asked="What about Anvil?")
    assert good(q, "There are no GPUs.")
    assert not check(q, "There are GPUs.").all_there


def test_yes_against_no() -> None:
    q = question([number(4096, "cores")], expected="No, a job is capped at 4,096 cores.", asked="?")
    assert good(q, "No: 4096 cores at most.") and good(q, "4096 cores at most.")
    assert check(q, "Yes, 4,096 cores.").contradictions == ("says yes, expected no",)


def test_forbidden_texts_are_found_as_labelled() -> None:
    q = question(
        [["x"]], forbidden=["four B200", "1.0", "gpu:h100", "9,000", "<<SRC:made:up>>", ".sdsc.edu"]
    )

    def hits(answer: str) -> tuple[str, ...]:
        return facts.forbidden_texts(expect(q), Prepared(answer))

    assert hits("It has 4 B200 cards") == ("four B200",)
    assert hits("version 1.0 and 11.0") == ("1.0",)
    assert hits("version 11.0, 1.05") == ()
    assert hits("--constraint gpu:h100") == ("gpu:h100",)
    assert hits("9000 GPUs") == ("9,000",)
    assert hits("see <<SRC:made:up>>") == ("<<SRC:made:up>>",)
    assert hits("login.halcyon.sdsc.edu") == (".sdsc.edu",)


def test_unsupported_numbers_and_names_are_counted() -> None:
    said = "It has 256 GB (0.256 TB), 4 TB of disk, two sockets and B200 cards for one user."
    assert facts.unsupported(expect(MEMORY), Prepared(said)) == ("4 tb", "2 socket", "b200")


def test_without_key_facts_the_rule_is_named() -> None:
    plain = question([], asked="How much?", expected="It has 128 cores and 256 GB.")
    assert check(plain, "256 GB, 128 cores").rule == "numbers"
    assert good(plain, "256 GB, 128 cores") and not check(plain, "256 GB").all_there
    assert not good(plain, "128 cores, 256 GB of memory, 300 GB of memory")
    words = question([], asked="?", expected="Ocean, a two-tier system under one namespace.")
    assert check(words, "Ocean").rule == "token_f1"
    names = question([], asked="Which GPUs has it?", expected="Delta has A100 cards.")
    assert check(names, "A100").all_there and not check(names, "H100 cards").all_there
    year = question([], asked="Where is Julia?", expected="In the 2024 catalogue it is on Anvil.")
    assert check(year, "2024 catalogue: Anvil").rule == "numbers+f1"
    assert not check(year, "In the 2024 catalogue it is on Expanse and Bridges.").all_there


def test_token_f1_ignores_the_words_of_the_question() -> None:
    q = question(
        [],
        asked="What network connects the nodes of Delta?",
        expected="The nodes of Delta are connected by HPE Slingshot.",
    )
    right, wrong = "Delta uses HPE Slingshot.", "The nodes of Delta are connected by InfiniBand."
    assert check(q, right).rule == "token_f1"
    assert good(q, right) and good(q, q.expected_answer)
    assert not check(q, wrong).all_there


@given(st.integers(2, 10**6), st.integers(2, 10**6))
def test_only_the_labelled_value_matches(wanted: int, said: int) -> None:
    q = question([number(wanted, "GB")], asked="How much?", expected=f"It has {wanted} GB.")
    assert check(q, f"It has {said:,} GB of memory.").all_there is (wanted == said)


@given(st.text(max_size=200))
def test_no_answer_breaks_the_check(answer: str) -> None:
    result = check(MEMORY, answer)
    assert len(result.results) == 1
    assert facts.unsupported(expect(MEMORY), Prepared(answer)) is not None


@pytest.mark.parametrize(
    "answer",
    [
        "It does not have 256 GB.",
        "No node has 256 GB.",
        "There isn't 256 GB of memory in a node.",
        "It is not the case that a node of it has 256 GB.",
        "It isn't true that every ordinary node has 256 GB of memory.",
        "It is false that a node has as much as 256 GB.",
    ],
)
def test_a_number_that_is_denied_is_not_there(answer: str) -> None:
    assert check(MEMORY, answer).missing == ("256 GB (says not 256 gb)",)


@pytest.mark.parametrize(
    "answer",
    [
        "No more than 256 GB.",
        "Not all 256 GB are usable.",
        "It is not shared: 256 GB.",
        "It has no GPUs, but 256 GB.",
        "It does not have 512 GB but 256 GB of memory.",
        "It is not true that a node has 512 GB; it has 256 GB.",
    ],
)
def test_a_number_beside_a_negation_is_still_said(answer: str) -> None:
    assert good(MEMORY, answer)


def test_other_versions_beside_the_right_one_are_a_second_answer() -> None:
    q = question(
        [["1.13"], ["1.16.1"]],
        expected="FASTER listed SAMtools 1.13, 1.14 and 1.16.1.",
        asked="Which SAMtools does FASTER have?",
    )
    assert good(q, "FASTER listed SAMtools 1.13, 1.14 and 1.16.1 in the 2024 catalogue.")
    assert good(q, "In the 2024 list: 1.13 and 1.16.1, with HTSlib 1.17 beside them.")
    for answer in (
        "SAMtools 1.13, 1.16.1 and 1.19.",
        "SAMtools 1.13 and 1.16.1 or 1.17",
        "1.12, 1.13, 1.16.1",
    ):
        found = check(q, answer)
        assert found.all_there and found.contradictions, answer


def test_a_row_of_a_table_is_no_list_of_alternatives() -> None:
    q = question([number(256, "")], expected="Delta: 256.", asked="Memory of Delta, in GB?")
    assert good(
        q, "| resource | cores | GB | sockets |\n|---|---|---|---|\n| Delta | 128 | 256 | 4 |"
    )


@pytest.mark.parametrize("between", [", ", "; ", " / "])
def test_who_lists_all_numbers_has_not_answered(between: str) -> None:
    found = check(MEMORY, "- " + between.join(["40", "80", "256", "512"]))
    assert found.contradictions or not found.all_there


def test_a_number_that_the_expected_answer_denies_must_be_denied() -> None:
    q = question([number(256, "GB")], expected="No, a node does not have 256 GB.")
    assert check(q, "A node does not have 256 GB.").all_there
    assert not check(q, "A node has 256 GB.").all_there


@pytest.mark.parametrize(
    "answer", ["40, 80, 160 or 256 GB.", "128 or 256 GB", "64, 128 and 256 GB", "256 or 512 GB"]
)
def test_who_lists_what_it_may_be_has_not_answered(answer: str) -> None:
    assert not good(MEMORY, answer)
    bare = question([number(256, "")], expected="256")
    assert not good(bare, answer.replace(" GB", ""))


@pytest.mark.parametrize("answer", ["Since 2021, 256 GB.", "With 2 CPUs and 256 GB.", "256 GB."])
def test_two_numbers_side_by_side_are_no_list(answer: str) -> None:
    assert good(MEMORY, answer)
