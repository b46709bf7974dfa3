"""Which way to train again, on which rows, and what is asked about values that changed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MissingComponent, SettingsError, UsageError
from core.pairs import Message, Pair
from core.training import adapter_files, negatives, replay, run, strategies
from core.training import recipe as recipes
from core.training.failures import MergeLoss
from core.training.negatives import Negative
from core.training.strategies import Change, decide
from tests.training.adapters import make
from tests.training.conftest import pair as row_of
from tests.training.conftest import some_pairs, write_pairs


def pair(
    number: int, answer: str, *, domain: str = "compute-resources", question: str = ""
) -> Pair:
    asked = question or f"What is thing {number}?"
    turns = (Message("user", asked), Message("assistant", f"{answer} <<SRC:{domain}:x>>"))
    return Pair(f"pair_{number}", "s", "s", domain, turns, {})


BEFORE = [pair(n, f"It has {n + 10} GB of memory.", domain="ab"[n % 2]) for n in range(40)]


# -- the decision -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "strategy", "because"),
    [
        (Change(240, 20, 0, 0), "retrain", "no earlier adapter"),
        (Change(90_000, 20, 0, 0, same_base=False), "retrain", "another base"),
        (Change(240, 20, 0, 0, same_base=True), "retrain", "costs minutes"),
        (Change(90_000, 900, 0, 0, same_base=True), "merge", "minor"),
        (Change(90_000, 4_000, 0, 0, same_base=True), "continue", "moderate"),
        (Change(90_000, 10, 1, 0, same_base=True), "continue", "old value"),
        (Change(90_000, 10, 1, 0, same_base=True, same_targets=False), "retrain", "other targets"),
        (Change(90_000, 20_000, 0, 0, same_base=True), "retrain", "major"),
    ],
)
def test_the_decision_and_its_reason(change: Change, strategy: str, because: str) -> None:
    decision = decide(change)
    assert decision.strategy == strategy
    assert any(because in r for r in decision.reasons)
    assert set(decision.against) == {"retrain", "merge", "continue"} - {strategy}


def test_small_changes_of_values_are_said_even_where_all_is_trained_anew() -> None:
    assert any("old value is gone" in r for r in decide(Change(240, 0, 2, 0, True)).reasons)


# -- the rows ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    fresh=st.integers(1, 30),
    changed=st.integers(0, 8),
    share=st.floats(0.05, 0.9),
    seed=st.integers(0, 99),
    shuffle=st.randoms(use_true_random=False),
)
def test_replay_is_of_its_share_and_order_does_not_matter(
    fresh: int, changed: int, share: float, seed: int, shuffle: Any
) -> None:
    after = [pair(n, f"It has {n + 900} GB of memory.", domain="ab"[n % 2]) for n in range(changed)]
    after += BEFORE[changed:]
    after += [pair(100 + n, f"New thing {n}.") for n in range(fresh)]
    mixed = replay.mix(BEFORE, after, share=share, seed=seed)
    assert (len(mixed.new), len(mixed.changed)) == (fresh, changed)
    assert not set(mixed.replayed) & {*mixed.new, *mixed.changed}
    assert set(mixed.ids) == {*mixed.new, *mixed.changed, *mixed.replayed}
    wanted = round((fresh + changed) * share / (1 - share))
    assert len(mixed.replayed) == max(1, min(wanted, 40 - changed))
    pool = Counter(p.domain for p in BEFORE[changed:])
    for domain, count in mixed.by_domain.items():
        assert abs(count - len(mixed.replayed) * pool[domain] / pool.total()) <= 1
    before, again = list(BEFORE), list(after)
    shuffle.shuffle(before)
    shuffle.shuffle(again)
    other = replay.mix(before, again, share=share, seed=seed)
    assert set(other.ids) == set(mixed.ids) and other.negatives == mixed.negatives
    assert len(mixed.negatives) == changed  # each says which value must be gone


def test_another_seed_replays_other_pairs() -> None:
    after = [*BEFORE, *(pair(100 + n, f"New thing {n}.") for n in range(10))]
    drawn = {replay.mix(BEFORE, after, share=0.3, seed=s).replayed for s in range(4)}
    assert len(drawn) == 4


def test_a_changed_fact_takes_its_other_wordings_with_it() -> None:
    """Another pair still gives the old answer: replayed, it would teach the old value again."""
    same_fact = pair(50, "It has 10 GB of memory.", domain="a", question="How much has thing 0?")
    before = [*BEFORE, same_fact]
    after = [pair(0, "It has 12000 GB of memory.", domain="a"), *BEFORE[1:], same_fact]
    mixed = replay.mix(before, after, share=0.9, seed=0)
    assert mixed.changed == ("pair_0",) and mixed.stale == ("pair_50",)
    assert "pair_50" not in mixed.ids and len(mixed.replayed) == 9
    assert mixed.negatives == (Negative("What is thing 0?", ("10 GB",), "pair_0"),)
    assert "1 changed" in mixed.sentence() and mixed.as_dict()["ids"]["stale"] == ["pair_50"]


def test_a_fact_under_a_new_id_is_found_by_its_question() -> None:
    renamed = pair(77, "It has 5000 GB of memory.", question="what is thing 3")
    after = [p for p in BEFORE if p.id != "pair_3"] + [renamed]
    mixed = replay.mix(BEFORE, after, share=0.3, seed=0)
    assert mixed.removed == ("pair_3",) and mixed.new == ("pair_77",)
    assert [n.was for n in mixed.negatives] == ["pair_3"]


def test_a_new_id_with_the_same_words_teaches_nothing_new() -> None:
    copy = Pair("renamed", "s", "s", "a", BEFORE[0].messages, {})
    with pytest.raises(UsageError, match="nothing new to train"):
        replay.mix(BEFORE, [copy, *BEFORE[1:]], share=0.3, seed=0)


def test_nothing_left_to_replay_is_refused() -> None:
    with pytest.raises(UsageError, match="forgets the rest"):
        replay.mix(BEFORE, [pair(200, "Something else.")], share=0.3, seed=0)


# -- negative questions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "must_not"),
    [
        ("It has 2,488 nodes with 256 GB each.", "It has 1,000 nodes with 256 GB each.", ("2488",)),
        ("It runs on A100 cards.", "It runs on H100 cards.", ("A100",)),
        ("The host is dt-login01.delta.org.", "The host is dt-login02.delta.org.", None),
        ("It is run by Purdue.", "It is run by NCSA.", ("It is run by Purdue.",)),
        ("It has 64 GB.", "It  has 64 GB.", ()),
    ],
)
def test_what_must_not_be_said_any_more(
    old: str, new: str, must_not: tuple[str, ...] | None
) -> None:
    found = negatives.outdated(pair(1, old), pair(1, new))
    if must_not is None:
        assert found and all("01" in phrase for phrase in found)
    else:
        assert found == must_not


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        ("Delta has 2,488 nodes.", True),
        ("Delta has 2488 nodes <<SRC:a:b>>", True),
        ("Delta has 12,488 nodes.", False),
        ("Delta has 2,488.5 of them.", False),
        ("Delta has 1,000 nodes.", False),
        ("", False),
    ],
)
def test_the_old_value_is_found_as_a_value(answer: str, there: bool) -> None:
    item = Negative("How many?", ("2488",), "pair_1")
    assert bool(negatives.found(answer, item)) is there


def test_negatives_outlive_the_file(tmp_path: Path) -> None:
    items = (Negative("Wie viele?", ("1 000 GB",), "p"), Negative("q", ("a", "b"), "r"))
    assert negatives.write(tmp_path / "n.jsonl", items) == 2
    assert negatives.read(tmp_path / "n.jsonl") == items
    assert json.loads((tmp_path / "n.jsonl").read_text().split("\n")[0]).keys() == {
        "question", "must_not", "was",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line", ["[]", "{}", '{"question": "q", "must_not": [], "was": "x"}', "\x00",
             '{"question": "q", "must_not": [1], "was": "x"}'],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_by_line(line: str, tmp_path: Path) -> None:
    good = '{"question": "q", "must_not": ["a"], "was": "x"}'
    (tmp_path / "n.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(UsageError, match=r"n\.jsonl:2: not a negative question"):
        negatives.read(tmp_path / "n.jsonl")


# -- the recipe --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    linear = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    out = tmp_path_factory.mktemp("earlier") / "adapter"
    return make(tiny_model, out, r=8, lora_alpha=16, target_modules=linear)


def tiny(*overrides: str) -> recipes.Recipe:
    return recipes.load_recipe("tiny", overrides)


def test_the_settings_are_typed() -> None:
    assert tiny().incremental.strategy == "retrain"
    with pytest.raises(SettingsError, match="strategy"):
        tiny("incremental.strategy=chain")
    with pytest.raises(SettingsError, match="replay"):
        tiny("incremental.replay=0")  # never none
    with pytest.raises(SettingsError, match="min_survival"):
        tiny("incremental.min_survvial=0.9")


def test_training_anew_is_left_as_it_is(adapter: Path) -> None:
    assert strategies.settled(tiny(), None, None) == (tiny(), ())
    same, said = strategies.settled(tiny(), adapter, None)
    assert same == tiny() and "with replay" in said[0]


def test_going_on_is_slower_and_warmed_up(adapter: Path, tmp_path: Path) -> None:
    recipe = tiny("incremental.strategy=continue", "train.lr=0.01", "train.warmup=0.03")
    settled, said = strategies.settled(recipe, adapter, tmp_path)
    assert (settled.train.lr, settled.train.warmup) == (0.005, 0.1)
    assert "0.01 × 0.5 = 0.005" in said[0]


def test_what_cannot_be_built_on_is_refused(adapter: Path, tmp_path: Path) -> None:
    for strategy in ("merge", "continue"):
        recipe = tiny(f"incremental.strategy={strategy}")
        with pytest.raises(UsageError, match="no earlier adapter is named"):
            strategies.settled(recipe, None, tmp_path)
        with pytest.raises(UsageError, match="pairs are not named") as e:
            strategies.settled(recipe, adapter, None)
        assert "--previous-data" in e.value.try_next
        with pytest.raises(MissingComponent, match="no adapter there"):
            strategies.settled(recipe, tmp_path, tmp_path)
        other = tiny(f"incremental.strategy={strategy}", "model.name=smollm2-135m")
        with pytest.raises(UsageError, match="for the base model tiny"):
            strategies.settled(other, adapter, tmp_path)


def test_an_adapter_goes_on_with_its_own_targets_only(adapter: Path, tmp_path: Path) -> None:
    fewer = tiny("incremental.strategy=continue", "lora.targets=[q_proj, v_proj]")
    with pytest.raises(UsageError, match="the recipe says q_proj, v_proj") as e:
        strategies.settled(fewer, adapter, tmp_path)
    assert "incremental.strategy=merge" in e.value.try_next
    merged = tiny("incremental.strategy=merge", "lora.targets=[q_proj, v_proj]", "lora.r=2")
    assert strategies.settled(merged, adapter, tmp_path)[0] == merged  # a new one may be any
    attention = make_config(tmp_path / "a", ["q_proj", "k_proj"])
    with pytest.raises(UsageError, match="all-linear"):
        strategies.check_targets(attention, tiny())
    strategies.check_targets(attention, tiny("lora.targets=[k_proj, q_proj]"))


def test_experts_by_their_old_names_are_those_that_peft_saves(tmp_path: Path) -> None:
    mixtral = recipes.load_recipe("mixtral-8x7b")
    saved = make_config(
        tmp_path / "a", ["q_proj", "k_proj", "v_proj", "o_proj"], ["mlp.experts.gate_up_proj"]
    )
    strategies.check_targets(saved, mixtral)
    with pytest.raises(UsageError, match="the recipe says"):
        strategies.check_targets(make_config(tmp_path / "b", ["q_proj"]), mixtral)


def make_config(folder: Path, modules: list[str], parameters: list[str] | None = None) -> Path:
    folder.mkdir()
    config = {"target_modules": modules, "target_parameters": parameters}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_a_merge_wants_whole_weights(adapter: Path, tmp_path: Path) -> None:
    merge = "incremental.strategy=merge"
    sharded = tiny(merge, "train.processes=2", "train.sharding=fsdp")
    for recipe in (sharded, tiny(merge, "model.quantise=nf4")):
        with pytest.raises(UsageError, match="is merge, and"):
            strategies.settled(recipe, adapter, tmp_path)


def test_the_rows_of_each_strategy(tmp_path: Path) -> None:
    rows = [row_of(n, f"How many has {n}?", f"It has {n + 100} GB. <<SRC:d:x>>") for n in range(20)]
    before = write_pairs(tmp_path / "before.jsonl", rows)
    changed = row_of(0, "How many has 0?", "It has 7777 GB. <<SRC:d:x>>")
    new = row_of(99, "How many has 99?", "It has 99 TB. <<SRC:d:x>>")
    after = write_pairs(tmp_path / "after.jsonl", [changed, *rows[1:], new])
    every, none = strategies.rows_for(tiny(), after, before)
    assert len(every) == 21 and none is None
    recipe = tiny("incremental.strategy=continue", "incremental.replay=0.5")
    some, mixed = strategies.rows_for(recipe, after, before)
    assert mixed is not None and len(some) == 4 == len(mixed.ids)
    assert {"pair_0", "pair_99"} <= {r.id for r in some}
    assert mixed.negatives[0].must_not == ("100 GB",)
    assert strategies.identity_of(None) == "" and len(strategies.identity_of(before)) == 64


# -- from end to end ----------------------------------------------------------------------------------

SHORT = ("train.epochs=4", "train.batch_size=4", "train.lr=0.02")


@pytest.fixture(scope="session")
def first(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first training on twenty pairs, and those pairs."""
    out = tmp_path_factory.mktemp("first")
    write_pairs(out / "pairs.jsonl", some_pairs(20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QA_MODELS", str(tiny_model.parent))
        run.train(
            run.Request(
                recipe=recipes.load_recipe("tiny", SHORT),
                data=out / "pairs.jsonl",
                out=out,
                events=out / "events.jsonl",
                checkpoints=out / "checkpoints",
            )
        )
    return out


def grown(folder: Path) -> Path:
    """The first pairs, one of them with another value, and two new ones."""
    rows = some_pairs(22)
    answer = rows[3]["messages"][1]
    answer["content"] = answer["content"].replace("32 cores", "99999 cores")
    return write_pairs(folder / "grown.jsonl", rows)


def train_on(first: Path, request_for: Any, tmp_path: Path, *overrides: str) -> dict[str, Any]:
    request = request_for(
        "second",
        *SHORT,
        *overrides,
        data=grown(tmp_path),
        previous_data=first / "pairs.jsonl",
        init_adapter=first / "adapter",
    )
    assert run.train(request) == 0
    summary: dict[str, Any] = json.loads((request.out / "summary.json").read_text())
    return summary


def test_merge_and_a_new_adapter(first: Path, request_for: Any, tmp_path: Path) -> None:
    summary = train_on(first, request_for, tmp_path, "incremental.strategy=merge", "lora.r=4")
    out = tmp_path / "second"
    told = summary["incremental"]
    assert told["strategy"] == "merge" and told["survival"]["survival"] > 0.8
    assert (told["mix"]["new"], told["mix"]["changed"], summary["rows"]) == (2, 1, 4)
    assert negatives.read(out / "negatives.jsonl")[0].must_not == ("32",)
    files = adapter_files.read(out / "adapter")
    assert (files.rank, files.base) == (8 + 4, "tiny")  # the sum, for the base as it is
    assert summary["adapter_sha256"] == files.about["files"]["adapter_model.safetensors"]
    assert adapter_files.read(out / "addition").rank == 4
    assert [p["adapter"] for p in files.about["sum_of"]] == ["adapter", "addition"]


def test_going_on_with_replay(first: Path, request_for: Any, tmp_path: Path) -> None:
    summary = train_on(
        first, request_for, tmp_path, "incremental.strategy=continue", "incremental.replay=0.5"
    )
    assert (summary["rows"], summary["incremental"]["mix"]["replayed"]) == (6, 3)
    assert adapter_files.read(tmp_path / "second" / "adapter").rank == 8
    used = recipes.load_recipe(tmp_path / "second" / "adapter" / "recipe.yaml").train
    assert (used.lr, used.warmup) == (0.01, 0.1)


def test_an_update_too_small_to_merge_ends_the_run(
    first: Path, request_for: Any, tmp_path: Path
) -> None:
    strict = ("incremental.strategy=merge", "incremental.min_survival=0.9999")
    with pytest.raises(MergeLoss, match="would survive the merge in bfloat16"):
        train_on(first, request_for, tmp_path, *strict)
    assert not (tmp_path / "second" / "adapter").exists()
