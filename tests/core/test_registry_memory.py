"""Sources, the log of unknown ones, jobs, and the export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.citations import SourceIndex
from core.errors import NotFound, RegistryNotLoaded, UsageError
from core.jobdir import JobSpec, JobState
from core.registry import Registry, audit, exports, jobs, sources, versions
from tests.core.conftest import Evaluated


def test_sources_are_added_and_replaced(reg: Registry, tmp_path: Path) -> None:
    with pytest.raises(RegistryNotLoaded):
        sources.index(reg)
    rows = [
        {"source_id": "doc:new", "display_name": "New", "url": "https://x.org"},
        {"source_id": "doc:old", "status": "renamed", "renamed_to": "doc:new"},
    ]
    assert sources.upsert_many(reg, rows, who="ada", why="moved") == 2
    assert sources.get(reg, "doc:old").renamed_to == "doc:new"
    assert sources.get(reg, "doc:old").display_name == "doc:old"
    sources.upsert_many(reg, [rows[0] | {"display_name": "Newer"}])
    assert sources.get(reg, "doc:new").display_name == "Newer"
    assert len(sources.all(reg)) == 2
    assert audit.entries(reg)[1].why == "moved"
    assert sources.write_jsonl(reg, tmp_path / "sources.jsonl") == 2
    lines = (tmp_path / "sources.jsonl").read_text().splitlines()
    assert SourceIndex.load(map(json.loads, lines)) == sources.index(reg)


@pytest.mark.parametrize(
    "row",
    [
        {"source_id": "nodomain"},
        {"source_id": "doc:a\nb"},
        {},
        {"source_id": "doc:a", "status": "lost"},
        {"source_id": "doc:a", "renamed_to": "doc:b"},
    ],
)
def test_all_sources_or_none(reg: Registry, row: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        sources.upsert_many(reg, [{"source_id": "doc:good"}, row])
    assert sources.all(reg) == ()
    with pytest.raises(NotFound):
        sources.get(reg, "doc:good")


def test_odd_source_ids_are_fine(reg: Registry) -> None:
    for source_id in ("a[b*?:x", "doc:a:b c", "döc:é😀", "d:" + "x" * 5000):
        sources.upsert_many(reg, [{"source_id": source_id}])
        assert sources.get(reg, source_id).source_id == source_id


def test_unknown_sources_are_counted_and_settled(reg: Registry) -> None:
    sources.upsert_many(reg, [{"source_id": "doc:real"}])
    for n in range(3):
        sources.note_unknown(reg, "doc:x", model_version=f"v{n}", example=f"see {n}")
    sources.note_unknown(reg, "doc:y", example="\ud800", occurrences=2)
    sources.note_unknown(reg, "doc:z")
    x, *_ = sources.unknown(reg)
    assert (x.source_id, x.occurrences, x.model_version, x.example) == ("doc:x", 3, "v2", "see 2")
    assert x.first_seen <= x.last_seen
    sources.alias_unknown(reg, "doc:x", "doc:real", who="ada")
    sources.dismiss_unknown(reg, "doc:y", "no such document")
    sources.upsert_many(reg, [{"source_id": "doc:z"}])  # now it is known
    assert sources.unknown(reg) == ()
    settled = {
        u.source_id: (u.resolution, u.resolved_to) for u in sources.unknown(reg, open_only=False)
    }
    assert settled == {
        "doc:x": ("alias", "doc:real"),
        "doc:y": ("dismissed", None),
        "doc:z": ("resolved", "doc:z"),
    }
    for source_id, to in (("doc:nope", "doc:real"), ("doc:x", "doc:nope")):
        with pytest.raises(NotFound):
            sources.alias_unknown(reg, source_id, to)
    assert {s.source_id for s in sources.all(reg)} == {"doc:real", "doc:x", "doc:z"}


def test_jobs(reg: Registry) -> None:
    spec = JobSpec("train-1", "train", ["python"], {"lr": 1e-3}, requested_by="ada", note="smoke")
    first = jobs.record(reg, spec, "gh200")
    assert (first.status, first.spec, first.host, first.requested_by) == (
        "starting", spec, "gh200", "ada",
    )  # fmt: skip
    assert jobs.record(reg, spec, "elsewhere") == first
    running = JobState("running", pid=4, started_at=1.5)
    assert jobs.update(reg, "train-1", running).state == running
    rows = audit.verify(reg).rows
    assert jobs.update(reg, "train-1", running).updated_at
    jobs.update(reg, "train-1", JobState("running", pid=4, started_at=1.5, log_bytes=9))
    done = jobs.update(reg, "train-1", JobState("failed", exit_code=1, reason="out of memory"))
    assert (done.status, done.state.exit_code) == ("failed", 1)
    assert audit.verify(reg).rows == rows  # jobs are observations: no decision, no history
    jobs.record(reg, JobSpec("train-2", "train", []), "gh200")
    assert [j.id for j in jobs.list(reg)] == ["train-2", "train-1"]
    with pytest.raises(NotFound):
        jobs.update(reg, "train-9", running)


def test_export_has_the_fields_of_the_design(
    reg: Registry, evaluated: Evaluated, tmp_path: Path
) -> None:
    a, b = evaluated(), evaluated("NO-GO")
    versions.promote(reg, a, "production", "ada", "first", "GO")
    versions.promote(reg, b, "production", "ada", "pilot", "NO-GO", "to show it")
    versions.rollback(reg, "production", "ada", "shown")
    data = exports.model_versions_json(reg)
    assert [v["model_version"] for v in data["model_versions"]] == [a, b]
    design = "model_version base_model dataset_version training_config eval_metrics created_at"
    assert {*design.split(), "created_by", "status"} <= set(data["model_versions"][0])
    (snapshot,) = data["dataset_snapshots"]
    assert {"dataset_version", "qa_pair_count", "source_breakdown", "domain_breakdown",
            "created_at"} <= set(snapshot)  # fmt: skip
    assert data["live"] == {"production": a}
    assert [d["kind"] for d in data["history"]] == ["promotion", "promotion", "rollback"]
    assert data["history"][1]["override_reason"] == "to show it"
    for name in ("one", "two"):
        exports.write_model_versions(reg, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert json.loads((tmp_path / "one").read_text()) == data
