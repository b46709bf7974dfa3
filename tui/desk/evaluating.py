"""Starting an evaluation on the host: all systems on the same questions, previous version included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from tui.desk import lineage
from tui.desk.launching import Placed
from tui.desk.selecting import probe_rows

if TYPE_CHECKING:
    from core.evaluation.golden.sets import Mount
    from core.registry.records import Version
    from tui.desk.workbench import Workbench

SYSTEMS = ("retrieval", "base", "base+retrieval", "tuned")
SHARED = "answers"  # folder of the host's work folder; see core.evaluation.shared_answers


def start_evaluation(
    bench: Workbench,
    model_version: str,
    *,
    previous: str | None = None,
    mcp_latency: Path | None = None,
) -> str:
    """Launch qa-eval for a registered version, beside retrieval, the base model with and without
    retrieved pairs, and the previous version. The job's id.

    previous: the version to compare with; by default the one this one was made from.  A previous
    version that cannot be asked is left out, and the reason is on record with the scores.
    mcp_latency: what the live tools took; by default what configs/evaluation.yaml names.  Raises
    UsageError before anything is sent: that file holds no latencies.
    """
    from core.evaluation.gates import load_gates
    from core.evaluation.golden.sets import asks_paraphrases
    from core.evaluation.plan import MAX_NEW_TOKENS
    from core.evaluation.recorded import configured, read_recorded
    from core.registry import sources, versions
    from tui.desk.snapshot_files import place_snapshot

    reg = bench.registry()
    version = versions.get(reg, model_version)
    recorded = mcp_latency or configured()
    if recorded is not None:
        read_recorded(recorded)
    mounts = golden_files(bench.golden)
    names = ["golden", *(f"golden {m.name or m.path.stem}" for m in mounts[1:])]
    golden = [_placed(bench, name, m.path) for name, m in zip(names, mounts, strict=True)]
    inputs = {
        "pairs": place_snapshot(bench, version.dataset_version),
        "probe": bench.launching.place_rows("probe", probe_rows(bench)),
        "sources": bench.launching.place_rows("sources", sources.rows(reg)),
    }
    if recorded is not None:
        inputs["mcp_latency"] = _placed(bench, "mcp_latency", recorded)
    under = lineage.lineage(bench, version.train_job)
    earlier = lineage.place(bench, (s for s in under.snapshots if s != version.dataset_version))
    before, why_not = _previous(bench, version, previous)
    settings: dict[str, Any] = {
        **{name: placed.path for name, placed in inputs.items()},
        "trained": [placed.path for placed in earlier],
        "rewordings": under.rewordings,
        "golden": golden[0].path,
        "also": [placed.path for placed in golden[1:]],
        "sets": [mount.name for mount in mounts],
        "paraphrases": asks_paraphrases(),
        "systems": [*SYSTEMS, *(["previous"] if before else [])],
        "left_out": {"previous": why_not} if why_not else {},
        "model_name": version.base_model,
        "base_model": None,
        "adapter": version.adapter_path,
        "previous_adapter": before.adapter_path if before else None,
        "version": model_version,
        "previous_version": before.model_version if before else None,
        "gates": load_gates().model_dump(mode="json"),
        "max_new_tokens": MAX_NEW_TOKENS,
        "shared": bench.launching.on_host(SHARED),
    }
    return bench.launching.start(
        "evaluate", settings, [*golden, *inputs.values(), *earlier], f"evaluate {model_version}"
    )


def golden_files(golden: Path) -> list[Mount]:
    """The golden file, and those that configs/golden.yaml mounts beside it."""
    from core.evaluation.golden.sets import beside, named

    return [named(golden), *beside(golden)]


def _placed(bench: Workbench, name: str, path: Path) -> Placed:
    return bench.launching.place({name: path})[name]


def _previous(bench: Workbench, version: Version, wanted: str | None) -> tuple[Version | None, str]:
    """The version to compare with, or why there is none to ask ("" where there is none at all)."""
    from core.registry import versions

    name = wanted or version.parent_version
    if not name:
        return None, ""
    try:
        before = versions.get(bench.registry(), name)
    except NotFound:
        return None, f"{name} is not registered here"
    if before.base_model != version.base_model:
        return None, f"{name} has another base model, {before.base_model}"
    folder = before.adapter_path
    if not folder:
        return None, f"{name} has no adapter on record"
    helper = bench.line.route().helper()
    if helper.call("stat", path=f"{folder}/adapter_config.json") is None:
        return None, f"the adapter of {name} is no longer on {bench.host_name}"
    return before, ""
