"""What stands for a system on the command line: names, registered versions, adapter folders."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import MissingComponent, UsageError
from core.evaluation import vllm_offline
from core.evaluation.arguments import parser, plan_of
from core.evaluation.engines import Asked
from core.evaluation.plan import Plan, check
from core.evaluation.prompting import Prompter
from core.evaluation.systems import key, served_name
from core.registry import open_registry, snapshots, versions
from core.snapshots import freeze
from tests.core.conftest import make_pair
from tests.evaluation.parts import SOURCES, static_set, write_golden, write_rows


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 24, "rank_pattern": {"x": 48}}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def registered(adapter: Path) -> list[str]:
    """Two versions, of two adapters."""
    second = adapter.with_name("second")
    second.mkdir()
    for file in adapter.iterdir():
        (second / file.name).write_bytes(file.read_bytes() + b" ")
    names = []
    with open_registry() as reg:
        snapshot = freeze([make_pair(n) for n in range(3)])
        snapshots.save(reg, snapshot, [make_pair(n) for n in range(3)])
        for n, folder in enumerate((adapter, second)):
            digest = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
            found = versions.register(
                reg,
                base_model="some-base",
                dataset_version=snapshot.id,
                training_config={"n": n},
                adapter_path=str(folder),
                adapter_sha256=digest,
            )
            names.append(found.model_version)
    return names


def plan(*args: str) -> Plan:
    return plan_of(
        parser().parse_args(["--golden", "g.jsonl", "--out", "o", "--sources", "s", *args])
    )


def test_a_registered_version_is_tuned_with_its_own_base_and_adapter(
    registered: list[str], adapter: Path
) -> None:
    p = plan("--systems", f"retrieval,base+retrieval,{registered[0]}")
    assert p.systems == ("retrieval", "base+retrieval", "tuned")
    assert (p.adapter, p.base_model, p.version) == (adapter, "some-base", registered[0])
    assert p.pairs  # both kinds of retrieval search the corpus unless told otherwise
    assert plan("--systems", registered[0], "--base-model", "mine").base_model == "mine"


def test_of_two_versions_the_first_is_the_previous_one(
    registered: list[str], adapter: Path
) -> None:
    p = plan("--systems", ",".join(registered))
    assert p.systems == ("previous", "tuned") and p.version == registered[1]
    assert p.previous_adapter == adapter and p.adapter == adapter.with_name("second")
    with pytest.raises(UsageError, match="3 versions"):
        plan("--systems", "access-qa-v1.0.0,access-qa-v1.1.0,access-qa-v1.2.0")


def test_an_adapters_folder_is_tuned(adapter: Path) -> None:
    p = plan("--systems", f"base,{adapter}")
    assert p.systems == ("base", "tuned") and p.adapter == adapter and p.version is None


def test_an_adapter_that_is_given_wins_over_the_registered_one(
    registered: list[str], tmp_path: Path
) -> None:
    p = plan("--systems", registered[0], "--adapter", str(tmp_path / "mine"))
    assert p.adapter == tmp_path / "mine" and p.version == registered[0]


def test_an_adapter_that_changed_or_went_is_refused(registered: list[str], adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"others")
    with pytest.raises(UsageError, match="not the adapter that was registered"):
        plan("--systems", registered[0])
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(UsageError, match="not here") as e:
        plan("--systems", registered[0])
    assert str(adapter) in e.value.why and "--adapter" in e.value.try_next


def test_with_an_endpoint_a_version_needs_no_adapter_here() -> None:
    p = plan("--systems", "base,access-qa-v3.1.0", "--endpoint", "http://127.0.0.1:1/v1")
    assert p.engine == "endpoint" and p.serve == {"tuned": "access-qa-v3.1.0"}
    assert served_name("tuned", p) == "access-qa-v3.1.0"
    assert served_name("base", p) == served_name("base+retrieval", p) == "smollm2-135m"
    named = plan("--systems", "base", "--endpoint", "http://127.0.0.1:1/v1", "--serve", "base=m")
    assert served_name("base+retrieval", named) == "m"
    assert key("base", named) == key("base+retrieval", named) != key("tuned", named)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--systems", "base+retrieval", "--engine", "endpoint"], "needs an address"),
        (["--systems", "base", "--endpoint", "http://10.0.0.1/v1"], "plain http"),
        (
            ["--systems", "base", "--endpoint", "http://127.0.0.1/v1", "--serve", "tuned=x"],
            "no such system is to answer",
        ),
        (["--systems", "base", "--latency", "/nowhere.json"], "no latency measurement"),
    ],
)
def test_wrong_plans(tmp_path: Path, args: list[str], says: str) -> None:
    from dataclasses import replace

    p = replace(
        plan(*args),
        golden=write_golden(tmp_path / "golden.jsonl", static_set(2)),
        sources=write_rows(tmp_path / "sources.jsonl", SOURCES),
    )
    if "--latency" in args:
        p = replace(p, systems=(), stored={"x": tmp_path / "golden.jsonl"})
    with pytest.raises(UsageError, match=says):
        check(p)


def test_golden_files_are_mounted_beside_the_first(tmp_path: Path) -> None:
    first = write_golden(tmp_path / "a.jsonl", static_set(3))
    from dataclasses import replace

    more = write_golden(tmp_path / "b.jsonl", [replace(q, id=f"b{q.id}") for q in static_set(2)])
    p = Plan(
        golden=first,
        also=(more,),
        out=tmp_path,
        stored={"x": tmp_path / "x.jsonl"},
        sources=write_rows(tmp_path / "sources.jsonl", SOURCES),
    )
    inputs = check(p)
    assert len(inputs.golden.questions) == 5 and [x.items for x in inputs.parts] == [3, 2]
    alone = check(replace(p, also=()))
    assert (
        inputs.golden.sha256
        != alone.golden.sha256
        == hashlib.sha256(first.read_bytes()).hexdigest()
    )


class TestVllm:
    def test_its_arguments(self, adapter: Path, tmp_path: Path) -> None:
        rank = vllm_offline.lora_rank(adapter)
        assert rank == 48
        found = vllm_offline.engine_arguments(tmp_path, dtype="bfloat16", lora_rank=rank)
        assert found["model"] == str(tmp_path) and found["max_lora_rank"] == 64
        assert found["enable_lora"] is True and found["trust_remote_code"] is False
        assert "enable_lora" not in vllm_offline.engine_arguments(tmp_path, dtype="bfloat16")
        sampling = vllm_offline.sampling_arguments(96, frozenset({2, 1}))
        assert (sampling["temperature"], sampling["max_tokens"]) == (0.0, 96)
        assert sampling["stop_token_ids"] == [1, 2]
        lora = vllm_offline.lora_arguments(adapter)
        assert lora["lora_path"] == str(adapter) and lora["lora_int_id"] == 1

    def test_an_adapter_without_a_rank_or_with_too_high_a_one(self, adapter: Path) -> None:
        (adapter / "adapter_config.json").write_text(json.dumps({"r": 9999}))
        with pytest.raises(UsageError, match="rank 9999"):
            vllm_offline.engine_arguments(
                adapter, dtype="x", lora_rank=vllm_offline.lora_rank(adapter)
            )
        (adapter / "adapter_config.json").write_text("{}")
        with pytest.raises(UsageError, match="not an adapter"):
            vllm_offline.lora_rank(adapter)

    def test_where_it_is_not_installed_that_is_said_with_a_way_on(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(vllm_offline, "find_spec", lambda name: None)
        with pytest.raises(MissingComponent, match="vLLM is not installed") as e:
            vllm_offline.load(tmp_path, None, dtype="bfloat16", max_new_tokens=4)
        assert "--endpoint" in e.value.try_next

    def test_what_it_is_given_and_what_is_made_of_its_answers(self) -> None:
        asked: list[Any] = []

        class Tokens:
            all_special_tokens = ("<s>",)

            def get_added_vocab(self) -> dict[str, int]:
                return {"<end>": 9}

            def apply_chat_template(self, messages: Any, **_: Any) -> dict[str, list[int]]:
                return {"input_ids": [len(m["content"]) for m in messages]}

            def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
                return " ".join(map(str, ids))

        def generate(
            prompts: Any, sampling: Any, *, lora_request: Any, use_tqdm: bool
        ) -> list[Any]:
            asked.append((prompts, sampling, lora_request))
            made = [[4, 5, 9], [4] * 6]
            return [
                SimpleNamespace(outputs=[SimpleNamespace(token_ids=t)])
                for t in made[: len(prompts)]
            ]

        one = vllm_offline.Offline(
            SimpleNamespace(generate=generate),
            "greedy",
            "lora",
            Prompter(Tokens(), 100, 6),
            frozenset({9}),
        )
        (answers,) = one.answer_batches([Asked("a", "hello"), Asked("b", "hi <end>")], 8)
        assert asked == [([{"prompt_token_ids": [5]}, {"prompt_token_ids": [9]}], "greedy", "lora")]
        assert [(a.id, a.answer, a.tokens, a.finish) for a in answers] == [
            ("a", "4 5", 2, "stop"),
            ("b", "4 4 4 4 4 4", 6, "length"),
        ]
        assert one.answer_alone(Asked("a", "hello")).latency_s is not None
