"""The pilot, headless: sixteen checklist items, then a release, a small retrain, and the way back.

Everything goes through the same functions as the screens. A failed item does not stop later items
that do not need it; a failed job does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core import locations
from tui.desk.api import EvidenceRow
from tui.desk.checks.week4 import newest_version, percent, write_record
from tui.desk.evaluating import start_evaluation
from tui.desk.following import clock
from tui.desk.jobs import report_dir, start_training
from tui.desk.outcomes import version_of, wait
from tui.desk.release import compare
from tui.desk.selecting import freeze_selection, read_corpus
from tui.desk.snapshot_files import latest_snapshot
from tui.desk.specs import find_job

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

Print = Callable[[str], None]
SHAPES = {"pass": "✔", "fail": "✘", "warn": "▲", "note": "·"}
ENVIRONMENT = "staging"
REHEARSAL = "pilot rehearsal of the release path in staging; not for users"
NEEDED = frozenset({"sync", "data-loader", "golden-set", "full-training", "qa-eval"})


def run_pilot(bench: Workbench, out: Print) -> int:
    """Run everything; returns the exit code. Non-zero only if a step could not be done, not for NO-GO."""
    began = time.monotonic()

    def stamp(text: str) -> None:
        out(f"[{clock(time.monotonic() - began):>5}] {text}")

    stamp(f"host {bench.host_name}: connecting")
    bench.connect()
    link = bench.link()
    stamp("route " + " ━ ".join(["laptop", *(_hop(h.name, h.rtt_ms) for h in link.hops)]))
    broken = _checklist(bench, out, stamp)
    if broken:
        out(
            f"\nThe pilot stopped at {broken}. Nothing recorded is lost; run it again after mending."
        )
        _last_line(bench, out)
        return 4
    _page(bench, out)
    _release(bench, out, stamp)
    out(f"\ndone in {clock(time.monotonic() - began)} minutes")
    _last_line(bench, out)
    return 0


def _hop(name: str, rtt_ms: float | None) -> str:
    return f"{name} {rtt_ms:.0f} ms" if rtt_ms is not None else name


def _checklist(bench: Workbench, out: Print, stamp: Print) -> str | None:
    week = 0
    for item in bench.items():
        if item.week != week:
            week = item.week
            out(f"\nWeek {week} · {item.week_title}")
        stamp(item.title)
        evidence = bench.run_item(item.id, lambda line: out(f"          {line}"))
        _tell(evidence, out)
        if evidence.outcome == "fail" and item.id in NEEDED:
            return f"“{item.title}”"
    return None


def _tell(evidence: EvidenceRow, out: Print) -> None:
    out(f"        {SHAPES[evidence.outcome]} {evidence.summary}")
    if evidence.outcome == "fail":
        for line in evidence.detail.splitlines()[:12]:
            out(f"          {line}")


def _page(bench: Workbench, out: Print) -> None:
    from core.evaluation.report import render_text

    scores = bench.scores()
    assert scores is not None
    out("")
    out(render_text(scores))


def _release(bench: Workbench, out: Print, stamp: Print) -> None:
    out("\nRelease")
    first = newest_version(bench)
    stamp(f"registered {first} (evaluated)")
    _promote(bench, first, stamp)

    out("\nA small retrain")
    second = _retrain(bench, first, stamp, out)
    result = compare(bench.registry(), first, second)
    for line in comparison_lines(result):
        out(f"        {line}")
    _promote(bench, second, stamp)
    back = bench.roll_back(ENVIRONMENT, "pilot: proving the way back")
    scores = bench.scores(second)
    assert scores is not None
    write_record(bench, scores)
    stamp(f"rolled back: {ENVIRONMENT} serves {back}")
    assert back == first


def _promote(bench: Workbench, version: str, stamp: Print) -> None:
    reason = bench.why_not_promote(version, ENVIRONMENT)
    if reason:
        stamp(f"the gates object to {version}: {reason}")
        bench.promote(version, ENVIRONMENT, override_reason=REHEARSAL)
        stamp(f"promoted {version} to {ENVIRONMENT} with the reason on record: “{REHEARSAL}”")
    else:
        bench.promote(version, ENVIRONMENT)
        stamp(f"promoted {version} to {ENVIRONMENT}")


def _retrain(bench: Workbench, first: str, stamp: Print, out: Print) -> str:
    """Continue from the first adapter with a few more pairs; evaluate with the first as `previous`."""
    from core.augment.pilot import with_forms
    from core.corpus import pilot_selection, retrain_selection

    def say(line: str) -> None:
        out(f"          {line}")

    pairs = read_corpus(bench).pairs
    parent = latest_snapshot(bench)
    first_data = pilot_selection(pairs, all=bench.all_pairs)
    more = with_forms(
        retrain_selection(pairs, all=bench.all_pairs), after=first_data, golden=[bench.golden]
    )
    snapshot = freeze_selection(bench, more, parent=parent)
    stamp(f"frozen {snapshot.id}: {snapshot.pair_count} rows ({more.note})")
    train_job = start_training(
        bench,
        bench.recipe,
        snapshot_id=snapshot.id,
        init_from=find_job(bench, "train", smoke=False).id,
        overrides=["profile=continue"],
    )
    wait(bench, train_job, say)
    second = version_of(bench, train_job)
    stamp(f"candidate {second}: {bench.version_detail(second)['bump_reason']}")
    eval_job = start_evaluation(bench, second, previous=first)
    wait(bench, eval_job, say)
    return second


def comparison_lines(result: dict[str, Any]) -> list[str]:
    """A comparison of two versions in a few lines."""
    data, flips = result["data"], result["flips"]
    lines = [
        f"{result['b']} against {result['a']}: {data['added']} pairs added, {data['removed']} removed, "
        f"{data['changed']} changed",
        f"accuracy {percent(result['accuracy']['a'])} → {percent(result['accuracy']['b'])}; "
        f"{len(flips['regressions'])} answers got worse, {len(flips['improvements'])} better, "
        f"p = {result['p_value']:.3g} (exact McNemar)",
    ]
    for flip in flips["regressions"][:3]:
        lines.append(f"worse: {flip['id']} {flip['question'][:80]}")
    return lines


def _last_line(bench: Workbench, out: Print) -> None:
    live = bench.overview().live.get(ENVIRONMENT)
    page = report_dir() / f"{live}.md"
    out(
        f"report: {page if page.exists() else report_dir()}   registry: {locations.registry_path()}"
    )
