"""Second opinions at the desk: over the registry, labels through the one writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.desk.api_opinions import LabelRow, OpinionsView
from tui.desk.launching import operator

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


class WorkbenchOpinions:
    """Implements `tui.desk.api_opinions.OpinionsDesk`. Thread-safe."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def of(self, model_version: str) -> OpinionsView:
        """Nothing where the version has not been evaluated."""
        from core.evaluation.pages.gather import opinions_of
        from core.registry import evaluations, judging

        reg = self._bench.registry()
        found = evaluations.latest(reg, model_version)
        if found is None:
            return OpinionsView()
        labels = judging.labels(reg, found.scores.get("questions", ()))
        document = judging.judgement(reg, found.scores_sha256) or {}
        verdicts = {
            (str(system), str(name)): str(said)
            for system, some in (document.get("verdicts") or {}).items()
            for name, said in some.items()
            if said
        }
        return OpinionsView(
            {key: LabelRow(one.label, one.who, one.at, one.stale) for key, one in labels.items()},
            verdicts,
            opinions_of(reg, found.scores, found.scores_sha256),
        )

    def label(
        self, model_version: str, question_id: str, label: str, system: str, answer: str
    ) -> None:
        from core.registry import judging

        given = {(system, question_id): label}
        read = {(system, question_id): judging.digest({"answer": answer})}
        self._bench.decided(
            lambda reg: judging.give(reg, model_version, given, who=operator(), read=read)
        )
