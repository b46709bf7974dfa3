"""The training set through the real tokenizer before a launch, in a process of its own.

Reading a tokenizer imports what would hold the app's threads up for seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import locations
from core.errors import MissingComponent, QAError, UsageError
from tui.desk.api_plans import PreflightRow, PreflightView

PATIENCE_S = 120.0
ROWS = 5  # links shown of one finding


def asked(data: Path, recipe: Mapping[str, Any]) -> PreflightView:
    """Ask a new process. Raises UsageError with what it said, MissingComponent if it says nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tui.desk.preflighting", str(data)],
            input=json.dumps(recipe), capture_output=True, text=True, timeout=PATIENCE_S,
            cwd=locations.project_root(),
        )  # fmt: skip
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as e:
        raise MissingComponent("the preflight of the rows did not end", why=str(e)[:200]) from None
    if "problem" in found:
        raise UsageError(*found["problem"])
    return view(found["report"])


def view(report: Mapping[str, Any] | None) -> PreflightView:
    """A report of core.training.preflight as a screen shows it; None: no tokenizer here."""
    if not isinstance(report, Mapping):
        return PreflightView(False)
    lengths = report.get("lengths")
    longest = lengths.get("longest") if isinstance(lengths, Mapping) else None
    findings = report.get("findings")
    return PreflightView(
        True,
        _count(report.get("rows")),
        _count(report.get("markers")),
        str(report.get("template_sha256", ""))[:12],
        longest if isinstance(longest, int) else None,
        tuple(_row(f) for f in findings if isinstance(f, Mapping))
        if isinstance(findings, list)
        else (),
    )


def _row(finding: Mapping[str, Any]) -> PreflightRow:
    links = finding.get("rows")
    return PreflightRow(
        str(finding.get("severity", "note")),
        str(finding.get("text", "")),
        str(finding.get("why", "")),
        str(finding.get("try_next", "")),
        tuple(_link(r) for r in links[:ROWS]) if isinstance(links, list) else (),
    )


def _link(row: object) -> str:
    if not isinstance(row, Mapping):
        return str(row)
    return f"line {row.get('line', '?')}: {row.get('id', '')}"


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def main(data: Path) -> None:
    from core.training.preflight import locally
    from core.training.recipe import from_settings

    said = sys.stdout
    sys.stdout = sys.stderr  # nothing that is imported may write between
    try:
        found = locally(data, from_settings(json.load(sys.stdin)))
        answer: dict[str, Any] = {"report": None if found is None else found.as_dict()}
    except QAError as e:
        answer = {"problem": [e.what, e.why, e.try_next]}
    said.write(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
