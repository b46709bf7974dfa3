"""Week 4, evaluation: answers scored, compared with the base model and retrieval, written down, decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from tui.desk.api import Outcome, Say
from tui.desk.checks.found import Found
from tui.desk.evaluating import start_evaluation
from tui.desk.jobs import report_dir
from tui.desk.outcomes import scores_of, wait

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def qa_eval(bench: Workbench, say: Say) -> Found:
    """Base, retrieval and the newest candidate answer the golden set on the host."""
    version = newest_version(bench)
    job_id = start_evaluation(bench, version)
    say(f"job {job_id}")
    wait(bench, job_id, say)
    scores = scores_of(bench, job_id)
    tuned = scores["systems"]["tuned"]
    summary = (
        f"{version}: accuracy {percent(tuned['accuracy'])}, citations present "
        f"{percent(tuned['citation_presence'])}, fabricated {percent(tuned['fabricated'])}, "
        f"deferral {percent(tuned['deferral'])}"
    )
    return Found("pass", f"evaluated {summary}", "\n".join(scores.get("headline", [])), job_id)


def newest_version(bench: Workbench) -> str:
    from core.registry import versions

    found = [v for v in versions.list(bench.registry()) if v.status != "failed"]
    if not found:
        raise NotFound("no version is registered yet", try_next="run the item 'Run full training'")
    return found[0].model_version


def compare_base(bench: Workbench, say: Say) -> Found:
    """The tuned version against the untouched base model and against retrieval, on the same questions."""
    scores = _scores(bench)
    lines = []
    for name, m in scores["systems"].items():
        lines.append(
            f"{name}: accuracy {percent(m['accuracy'])}, citations {percent(m['citation_presence'])}, "
            f"fabricated {percent(m['fabricated'])}, deferral {percent(m['deferral'])}"
        )
    base, tuned = scores["systems"]["base"]["accuracy"], scores["systems"]["tuned"]["accuracy"]
    retrieval = scores["systems"]["retrieval"]["accuracy"]
    worst: Outcome = "pass"
    text = f"accuracy {percent(base)} → {percent(tuned)} over the base model"
    if tuned["estimate"] <= base["estimate"]:
        worst, text = "fail", f"{text}: no better than before"
    elif tuned["estimate"] < retrieval["estimate"]:
        worst, text = "warn", f"{text}, but below retrieval ({percent(retrieval)})"
    return Found(worst, text, "\n".join(lines))


def document(bench: Workbench, say: Say) -> Found:
    """The decision page as a file, and the registry exported as the design's model_versions.json."""
    scores = _scores(bench)
    page, export = write_record(bench, scores)
    say(f"wrote {page}")
    return Found(
        "pass",
        f"decision page and model_versions.json written for {scores['version']}",
        f"{page}\n{export}",
    )


def write_record(bench: Workbench, scores: dict[str, Any]) -> tuple[Path, Path]:
    """The decision page of a version, and model_versions.json; the two paths."""
    from core.evaluation.report import render
    from core.registry.exports import write_model_versions

    page = report_dir() / f"{scores['version']}.md"
    page.write_text(render(scores), "utf-8")
    export = report_dir() / "model_versions.json"
    write_model_versions(bench.registry(), export)
    return page, export


def go_no_go(bench: Workbench, say: Say) -> Found:
    """What the gates say. The decision itself is a person's: this is the evidence for it."""
    scores = _scores(bench)
    outcome: Outcome = {"GO": "pass", "NO-GO": "fail"}.get(scores["verdict"], "warn")  # type: ignore[assignment]
    reasons = [str(r) for r in scores.get("reasons", [])]
    return Found(outcome, f"the gates say {scores['verdict']}", "\n".join(reasons))


def _scores(bench: Workbench) -> dict[str, Any]:
    scores = bench.scores()
    if scores is None:
        raise NotFound("nothing has been evaluated yet", try_next="run the item 'Run qa-eval'")
    return scores


def percent(m: dict[str, Any] | None) -> str:
    """`9 % [6–15]` from {"estimate", "low", "high"} in 0..1; – when there is nothing to count."""
    if not m or m.get("estimate") is None:
        return "–"
    return f"{100 * m['estimate']:.0f} % [{100 * m['low']:.0f}–{100 * m['high']:.0f}]"
