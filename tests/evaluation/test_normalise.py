"""Normalisation: the spellings it joins, those it keeps apart, and what it survives."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.aliases import SPELLINGS as NAMES
from core.evaluation.normalise import (
    Prepared,
    convert,
    normalise,
    quantities,
    stem,
    unit_name,
    words,
)
from core.evaluation.patterns import any_of

SPELLINGS_OF_NAMES = [(name, list(others)) for name, others in NAMES.items()]

SAME = [
    ("4x A100", "4 A100"),
    ("x4 A100", "4× A100"),
    ("four A100", "4 x A100"),
    ("1,024 GB", "1024 gigabytes"),
    ("256GB", "256 GB"),
    ("256-GB", "256 gb"),
    ("1\u202f024 nodes", "1024 nodes"),
    ("one hundred and twenty-eight cores", "128 cores"),
    ("three million credits", "3,000,000 credits"),
    ("500 million million", "500 trillion"),
    ("5\nmillion hours", "5,000,000 hours"),
    ("1.1 exaflop/s", "1.1 EF"),
    ("2 exabytes", "2 EB"),
    ("Delta has \uff1c\uff1cSRC:compute-resources:delta-512\uff1e\uff1e it", "Delta has it"),
    ("Delta has <<S\u200bRC:compute-resources:delta 512>> it", "Delta has it"),
    ("400k credits", "400,000 credits"),
    ("1.5M credits", "1,500,000 credits"),
    ("$52 million", "52000000 dollars"),
    ("September 1, 2022", "1 September 2022"),
    ("9/1/2022", "September 1, 2022"),
    ("31/12/2024", "2024-12-31"),
    ("Bridges 2 has 4", "Bridges-2 has 4"),
    ("Bridges2", "bridges-2"),
    ("Stampede 3", "Stampede3"),
    ("Jetstream-2", "Jetstream2"),
    ("Delta AI", "DeltaAI"),
    ("the Open Science Pool", "the OSPool"),
    ("1st of Sept 2022", "2022-09-01"),
    ("6.2 petaflops", "6.2 PF"),
    ("200 Gbps", "200 Gb/s"),
    ("50 percent", "50%"),
    ("**Delta** has `Slurm`", "Delta has Slurm"),
    ("[Delta](https://access-ci.org/delta) is up", "Delta is up"),
    ("## Answer\n- Delta", "Answer Delta"),
    ("Bridges‑2", "Bridges-2"),
    (
        "It is Slurm. <<SRC:compute-resources:delta.ncsa.access-ci.org>>",
        "It is Slurm.",
    ),
    ("It is Slurm. <<SRC:compute-resources:delta.ncsa.ac", "It is Slurm."),
    ("ＦＵＬＬ ｗｉｄｔｈ １２８", "full width 128"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_spellings_of_one_thing_meet(a: str, b: str) -> None:
    assert words(normalise(a)) == words(normalise(b))


APART = [
    ("400 Gb/s", "400 GB/s"),
    ("256 GB", "256 GiB"),
    ("A100", "100"),
    ("Bridges-2", "Bridges"),
    ("4.5 TB", "45 TB"),
    ("1.5.2", "1.52"),
    ("five and three", "eight"),
    ("Bridges 2.5", "Bridges-2"),
    ("Delta and AI", "DeltaAI"),
    ("2 bridges", "Bridges-2"),
    ("13/13/2024", "2024-13-13"),
    ("10 GB", "10 TB"),
]


@pytest.mark.parametrize(("a", "b"), APART)
def test_different_things_stay_apart(a: str, b: str) -> None:
    assert words(normalise(a)) != words(normalise(b))


def test_numbers_in_names_are_no_quantities() -> None:
    text = normalise("Bridges-2 has A100 and EPYC nodes on Stampede3; Anvil has 16.")
    assert [q.literal for q in quantities(text)] == ["16"]


def test_quantity_knows_unit_and_what_it_counts() -> None:
    memory, cores, flops, jobs = quantities(
        normalise("256 GB of memory, 128 AMD cores, 64 FP64 TFLOPS, 10 jobs per hour")
    )
    assert (memory.value, memory.unit, memory.nouns) == (256, "gb", ("of", "memory"))
    assert (cores.value, cores.unit, cores.nouns) == (128, "", ("amd", "core"))
    assert flops.unit == "tflops"
    assert jobs.unit == "" and jobs.nouns[0] == "job"


def test_a_version_is_no_number() -> None:
    (version,) = quantities(normalise("Julia 1.5.2 is there"))
    assert version.literal == "1.5.2" and version.value is None


@pytest.mark.parametrize(
    ("value", "unit", "to", "result"),
    [
        (2, "tb", "gb", 2000),
        (1, "gib", "mib", 1024),
        (1, "gb", "gib", None),
        (90, "minute", "hour", 1.5),
        (1, "gbit/s", "gb/s", None),
        (1, "node", "gb", None),
    ],
)
def test_conversion_stays_in_its_family(
    value: float, unit: str, to: str, result: float | None
) -> None:
    assert convert(value, unit, to) == (None if result is None else pytest.approx(result))


def test_unit_name_knows_spellings_and_capitals() -> None:
    assert unit_name("GB") == "gb" and unit_name("hours") == "hour"
    assert unit_name("Gb/s") == "gbit/s" and unit_name("GB/s") == "gb/s"
    assert unit_name("nodes") == "" and unit_name("") == ""


def test_stem_joins_plurals() -> None:
    assert stem("gpus") == "gpu" and stem("sus") == "su" and stem("a100s") == "a100"
    assert stem("class") == "class" and stem("is") == "is"


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing_more_than_once(text: str) -> None:
    once = words(normalise(text))
    assert words(normalise(" ".join(once))) == words(normalise(" ".join(once)))
    assert "<<src:" not in normalise(f"{text} <<SRC:a:b>>")


@given(st.integers(0, 10**12))
def test_thousands_separators_never_change_a_number(n: int) -> None:
    assert [q.value for q in quantities(normalise(f"has {n:,} nodes"))] == [n]


@given(st.floats(0.001, 1e6), st.sampled_from(["GB", "TB", "GHz", "hours", "percent"]))
def test_a_number_keeps_its_value_whether_the_unit_is_attached_or_not(x: float, unit: str) -> None:
    number = f"{x:.3f}"
    apart = quantities(normalise(f"is {number} {unit} now"))
    joined = quantities(normalise(f"is {number}{unit} now"))
    assert [(q.value, q.unit) for q in apart] == [(q.value, q.unit) for q in joined]
    assert apart[0].unit


WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()


@given(st.sampled_from(range(13)), st.sampled_from(range(2, 10)))
def test_number_words_add_up(small: int, tens: int) -> None:
    tens_word = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()[tens]
    assert normalise(f"{WORDS[small]} nodes") == f"{small} nodes"
    if 1 <= small <= 9:
        expected = 1000 * small + 100 * small + 10 * tens + small
        said = f"{WORDS[small]} thousand {WORDS[small]} hundred and {tens_word}-{WORDS[small]}"
        assert normalise(said) == str(expected)


@pytest.mark.parametrize(
    "bit",
    [
        "<<SRC:",
        "[",
        "one ",
        "one and ",
        "1,",
        "x4",
        "_",
        "1.",
        "é",
        "😀",
        "`",
        "٣",
        "Ⅷ",
        "1 ",
        "](",
    ],
)
def test_a_megabyte_of_anything_is_read(bit: str) -> None:
    # doubling the text must not more than about double the work: count the work in characters read
    text = bit * (1_000_000 // len(bit.encode()))
    prepared = Prepared(text)
    assert isinstance(prepared.words, list)
    assert isinstance(prepared.quantities, list)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_can_be_prepared(text: str) -> None:
    p = Prepared(text)
    assert all(isinstance(w, str) and w for w in p.words)
    assert all(q.literal for q in p.quantities)


# ── any number, unit, date, name ────────────────────────────────────────────────────────────────

SPELLINGS = {
    "gb": ["GB", "gb", "gigabytes", "Gigabyte"],
    "gib": ["GiB", "gib", "gibibytes"],
    "tb": ["TB", "terabytes", "TBs"],
    "pflops": ["PF", "petaflops", "PFLOPS", "PFlop"],
    "ghz": ["GHz", "ghz", "gigahertz"],
}


@given(
    st.integers(1, 10**6),
    st.sampled_from([(u, s) for u, names in SPELLINGS.items() for s in names]),
    st.sampled_from(["{n} {u}", "{n}{u}", "{n:,} {u}", "{n:,}-{u}", "**{n}** {u}", "`{n:,}{u}`"]),
)
def test_every_spelling_of_a_measure_is_the_same_measure(
    n: int, unit: tuple[str, str], form: str
) -> None:
    name, spelling = unit
    (q,) = quantities(normalise(f"It has {form.format(n=n, u=spelling)} in all"))
    assert (q.value, q.unit) == (n, name)


@given(st.integers(1, 9999), st.sampled_from(["A100", "V100s", "nodes", "GPUs", "cards"]))
def test_times_stand_before_or_after_or_are_spelled(n: int, thing: str) -> None:
    plain = words(normalise(f"It has {n} {thing}."))
    for form in (
        "{n}x {t}",
        "{n} x {t}",
        "x{n} {t}",
        "x {n} {t}",
        "{n}\u00d7 {t}",
        "\u00d7{n} {t}",
    ):
        assert words(normalise(f"It has {form.format(n=n, t=thing)}.")) == plain


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2090, 1, 1)))
def test_every_spelling_of_a_date_is_the_same_date(day: date) -> None:
    month = "January February March April May June July August September October November December"
    name = month.split()[day.month - 1]
    for text in (
        f"{name} {day.day}, {day.year}",
        f"{day.day} {name} {day.year}",
        f"{name[:3]}. {day.day}, {day.year}",
        f"{day.month}/{day.day}/{day.year}",
        f"{day.month:02}/{day.day:02}/{day.year}",
        day.isoformat(),
    ):
        assert normalise(f"since {text} it runs") == f"since {day.isoformat()} it runs"


@given(st.sampled_from([(name, o) for name, others in SPELLINGS_OF_NAMES for o in others]))
def test_every_spelling_of_a_resource_is_the_same_name(names: tuple[str, str]) -> None:
    name, other = names
    for form in ("{} has 4 GPUs", "the {}, a machine", "on {}.", "{}'s nodes", "({})"):
        assert words(normalise(form.format(other.title()))) == words(normalise(form.format(name)))


@given(st.lists(st.sampled_from("zero one two seven twelve nineteen thirty ninety".split())))
def test_the_pattern_of_a_word_list_finds_those_words_only(some: list[str]) -> None:
    import re

    pattern = re.compile(any_of(some))
    for word in "zero one two seven seventeen twelve nine nineteen thirty ninety on".split():
        assert bool(some and pattern.fullmatch(word)) is (word in some)


@pytest.mark.parametrize(
    ("said", "is_read"),
    [
        ("2.01 million", "2010000"),
        ("2.3456789 thousand", "2345.6789"),
        ("9" * 400 + " million", "9" * 400 + " million"),
    ],
)
def test_thousands_in_a_word_are_read_to_the_last_digit(said: str, is_read: str) -> None:
    assert normalise(said) == is_read
