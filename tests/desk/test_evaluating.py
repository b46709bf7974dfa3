"""What an evaluation is started with: every system, every mounted golden file, the version before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import locations
from core.errors import UsageError
from core.evaluation.plan import Plan, check
from core.registry import open_registry, snapshots, versions
from core.snapshots import freeze
from tests.core.conftest import make_pair
from tui.desk.evaluating import golden_files, start_evaluation
from tui.desk.launching import Placed, sha256_file

A, B, C = "access-qa-v1.0.0", "access-qa-v1.0.1", "access-qa-v2.0.0"


class Placing:
    """Launching without a host: a file is "placed" where it is."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.started: list[tuple[str, dict[str, Any], list[Placed]]] = []

    def place(self, files: dict[str, Path]) -> dict[str, Placed]:
        return {n: Placed(n, str(p), sha256_file(p)) for n, p in files.items()}

    def place_rows(self, name: str, rows: list[dict[str, Any]]) -> Placed:
        path = self.work / f"{name}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
        return self.place({name: path})[name]

    def on_host(self, relative: str) -> str:
        return str(self.work / relative)

    def start(self, routine: str, settings: dict[str, Any], inputs: list[Placed], note: str) -> str:
        self.started.append((routine, settings, inputs))
        return "evaluate-1"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Any]:
    """A desk with two versions of one base model and one of another, adapters where they should be."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text("{}")
    with open_registry() as reg:
        pairs = [make_pair(n) for n in range(20)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        for name, base, folder in ((A, "base", "a"), (B, "base", "b"), (C, "other", "b")):
            made = versions.register(
                reg, base_model=base, dataset_version=snapshot.id, adapter_path=str(tmp_path / folder),
                training_config={"of": name},
            )  # fmt: skip
            assert made.model_version == name
        helper = SimpleNamespace(call=lambda _, path: {"size": 2} if Path(path).exists() else None)
        yield SimpleNamespace(
            registry=lambda: reg,
            launching=Placing(tmp_path),
            golden=locations.configs() / "corpus" / "golden.jsonl",
            all_pairs=False,
            host_name="gh200",
            line=SimpleNamespace(route=lambda: SimpleNamespace(helper=lambda: helper)),
        )


def started(bench: Any, version: str, **more: Any) -> tuple[dict[str, Any], Plan]:
    assert start_evaluation(bench, version, **more) == "evaluate-1"
    routine, settings, inputs = bench.launching.started[-1]
    assert routine == "evaluate" and all(Path(i.path).is_file() for i in inputs)
    json.dumps(settings)  # it travels as a file
    return settings, Plan.from_settings(settings, Path(bench.launching.work) / "out")


def test_all_systems_answer_all_mounted_questions(bench: Any) -> None:
    settings, plan = started(bench, A)
    assert set(plan.systems) == {"retrieval", "base", "base+retrieval", "tuned"}
    assert settings["left_out"] == {}  # there was no version before
    assert plan.shared == Path(bench.launching.work) / "answers"
    found = check(Plan(**{f: getattr(plan, f) for f in ("golden", "also", "sets", "out", "sources")},
                       systems=("retrieval",), pairs=plan.pairs))  # fmt: skip
    counts = {p.name: p.items for p in found.parts}
    assert set(counts) == {"design", "deferrals", "canaries"}
    assert counts["design"] >= 170 and len(found.golden.questions) == sum(counts.values())
    assert sum(q.canary for q in found.golden.questions) == counts["canaries"]
    # enough to decide the gate on refusals: the design's own 30 are not
    assert sum(q.should_defer and not q.canary for q in found.golden.questions) >= 60


def test_the_version_it_was_made_from_is_asked_too(bench: Any, tmp_path: Path) -> None:
    settings, plan = started(bench, B)
    assert "previous" in plan.systems and plan.previous_adapter == tmp_path / "a"
    assert settings["previous_version"] == A and plan.adapter == tmp_path / "b"


def test_why_the_version_before_is_not_asked_is_on_record(bench: Any, tmp_path: Path) -> None:
    _, plan = started(bench, C, previous=B)
    assert "previous" not in plan.systems
    assert plan.left_out == {"previous": f"{B} has another base model, base"}
    (tmp_path / "a" / "adapter_config.json").unlink()
    _, plan = started(bench, B)
    assert plan.left_out == {"previous": f"the adapter of {A} is no longer on gh200"}
    assert "previous" not in plan.systems
    _, plan = started(bench, B, previous="access-qa-v9.9.9")
    assert "not registered" in plan.left_out["previous"]


def test_paraphrases_are_asked_where_the_configuration_says_so(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert started(bench, A)[1].paraphrases is False
    configs = tmp_path / "configs"
    configs.mkdir()
    for file in ("gates.yaml", "corpus"):
        (configs / file).symlink_to(locations.configs() / file)
    text = (locations.configs() / "golden.yaml").read_text("utf-8")
    (configs / "golden.yaml").write_text(text.replace("paraphrases: false", "paraphrases: true"))
    monkeypatch.setenv("QA_CONFIGS", str(configs))
    assert started(bench, A)[1].paraphrases is True


def test_a_golden_file_of_ones_own_is_asked_alone(tmp_path: Path) -> None:
    own = tmp_path / "team.jsonl"
    assert [m.path for m in golden_files(own)] == [own]


def test_what_the_live_tools_took_reaches_the_job(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert started(bench, A)[1].mcp_latency is None
    tools = tmp_path / "mcp.csv"
    tools.write_text("id,latency_s\nspec-001,0.8\nspec-002,1.1\n", "utf-8")
    settings, plan = started(bench, A, mcp_latency=tools)
    assert plan.mcp_latency == tools and settings["mcp_latency"] == str(tools)
    sent = {i.name for i in bench.launching.started[-1][2]}
    assert "mcp_latency" in sent  # it travels with the job, verified like every input

    configs = tmp_path / "configs"
    configs.mkdir()
    for file in ("gates.yaml", "golden.yaml", "corpus"):
        (configs / file).symlink_to(locations.configs() / file)
    (configs / "evaluation.yaml").write_text("mcp_latency: ../mcp.csv\n")
    monkeypatch.setenv("QA_CONFIGS", str(configs))
    found = started(bench, A)[1].mcp_latency
    assert found is not None and found.samefile(tools)
    tools.write_text("id,latency_s\nspec-001,soon\n", "utf-8")
    before = len(bench.launching.started)
    with pytest.raises(UsageError, match="is no time"):
        start_evaluation(bench, A)
    assert len(bench.launching.started) == before
