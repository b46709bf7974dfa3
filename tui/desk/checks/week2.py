"""Week 2, data: extractions counted and validated, synced, frozen; the golden set balanced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.errors import PairsError
from tui.desk.api import Say
from tui.desk.checks.found import Found
from tui.desk.checks.week1 import ask
from tui.desk.selecting import current_selection, freeze_selection, read_corpus

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

PILOT_PAIRS = 236  # the design's count for compute-resources


def extract_compute(bench: Workbench, say: Say) -> Found:
    return _extraction("compute-resources", PILOT_PAIRS)


def extract_software(bench: Workbench, say: Say) -> Found:
    return _extraction("software-discovery", 1)


def _extraction(domain: str, wanted: int) -> Found:
    """The extraction's output is here and its rows are good; the live extraction is another tool's work."""
    from core.corpus import pair_files
    from core.pairs import read_pairs

    files = [f for f in pair_files() if f.name.startswith(f"{domain}_")]
    if not files:
        raise PairsError(
            f"no output of the {domain} extraction",
            try_next=f"put {domain}_qa_pairs.jsonl into configs/corpus (QA_CONFIGS moves the folder)",
        )
    report = read_pairs(files)
    cited = sum(bool(p.metadata.get("has_citation")) for p in report.pairs)
    detail = "\n".join(
        [*(f"{f.name}" for f in files), *(_problem(p) for p in report.problems[:20])]
    )
    summary = f"{len(report.pairs)} pairs, {cited} with a citation, {len(report.problems)} problems"
    if len(report.pairs) < wanted:
        return Found("warn", f"{summary}; {wanted} wanted", detail)
    return Found("warn" if report.problems else "pass", summary, detail)


def _problem(p: object) -> str:
    return f"{p.file}:{p.line} {p.code} {p.field or ''} {p.what}"  # type: ignore[attr-defined]


def sync(bench: Workbench, say: Say) -> Found:
    """The pair files go up over the same connection, hashed at both ends."""
    from core.corpus import pair_files

    files = pair_files()
    say(f"pushing {len(files)} files")
    placed = bench.launching.place({f.stem: f for f in files})
    size = sum(f.stat().st_size for f in files)
    lines = [f"{p.sha256[:12]}  {p.path}" for p in placed.values()]
    return Found(
        "pass",
        f"{len(files)} files, {size / 1e6:.1f} MB, hashes equal at both ends",
        "\n".join(lines),
    )


def data_loader(bench: Workbench, say: Say) -> Found:
    """Validate every row, freeze the pilot's snapshot, and load it on the host with the real tokenizer."""
    report = read_corpus(bench)
    say(f"{len(report.pairs)} good pairs, {len(report.problems)} problems")
    from core.augment.pilot import with_forms

    selection = with_forms(current_selection(bench, report.pairs), golden=[bench.golden])
    snapshot = freeze_selection(bench, selection)
    say(f"frozen {snapshot.id}: {snapshot.pair_count} rows")
    from core.training.recipe import load_recipe
    from tui.desk.snapshot_files import place_snapshot

    placed = place_snapshot(bench, snapshot.id)
    say("reading it on the host as training will")
    seen = ask(bench, "data", placed.path, load_recipe(bench.recipe).model.name, timeout=300)
    lines = [
        selection.note,
        f"by domain: {_counts(snapshot.domain_breakdown)}",
        f"by source: {_counts(snapshot.source_breakdown)}",
        f"on the host: {placed.path}",
        *(f"{k}: {v}" for k, v in seen.items()),
        *(_problem(p) for p in report.problems[:20]),
    ]
    return Found(
        "warn" if report.problems else "pass",
        f"{snapshot.id}: {snapshot.pair_count} rows, 0 markers cut, questions masked",
        "\n".join(lines),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{k} {v}" for k, v in counts.items())


def golden_set(bench: Workbench, say: Say) -> Found:
    """Counts by category against the design's, and no golden question close to a training question."""
    from core.evaluation.golden import DESIGN_COUNTS, category_counts, load_golden
    from core.evaluation.near_duplicates import near_duplicates

    golden = load_golden(bench.golden)
    say(f"{len(golden)} golden questions; comparing with every training question")
    counts = category_counts(golden)
    pairs = read_corpus(bench).pairs
    close = near_duplicates([g.question for g in golden], [p.question for p in pairs])
    lines = [f"{c}: {counts.get(c, 0)} (design: {n})" for c, n in DESIGN_COUNTS.items()]
    lines += [f"near-duplicate: {d}" for d in close[:10]]
    off = [c for c, n in DESIGN_COUNTS.items() if counts.get(c, 0) < n]
    if close:
        return Found(
            "fail", f"{len(close)} golden questions repeat a training question", "\n".join(lines)
        )
    if off:
        return Found(
            "warn",
            f"{len(golden)} questions; fewer than the design's in {', '.join(off)}",
            "\n".join(lines),
        )
    return Found(
        "pass",
        f"{len(golden)} questions in the design's six categories, none in the training data",
        "\n".join(lines),
    )
