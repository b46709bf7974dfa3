"""Tracing at the desk: over the registry, writing corrections through the one writer."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from core.errors import QAError
from tui.desk.api_traces import (
    RETRIEVAL,
    AnswerRow,
    AnswersView,
    CorrectionRow,
    MarkRow,
    ReplyView,
    SuspectRow,
    TraceView,
)
from tui.desk.launching import operator

if TYPE_CHECKING:
    from core.citations import Classified, SourceIndex
    from core.evaluation.endpoint import Endpoint
    from core.evaluation.golden import GoldenQuestion
    from core.registry import Registry
    from core.registry.corrections import Correction
    from tui.desk.workbench import Workbench

VERSIONS = 100  # offered to choose from


class WorkbenchTraces:
    """Implements `tui.desk.api_traces.TraceDesk`. Thread-safe."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._asking: set[Endpoint] = set()
        self._lock = threading.Lock()

    def answers(self, version: str | None = None) -> AnswersView:
        """Of the newest evaluated version unless named; nothing where none was evaluated."""
        from core.registry import answers

        reg = self._bench.registry()
        known = answers.versions_with(reg, VERSIONS)
        if version is None and not known:
            return AnswersView("", "", (), ())
        name = version or known[0]
        found = answers.worst_first(answers.of_version(reg, name))
        rows = tuple(
            AnswerRow(
                a.response, a.question, a.answer, answers.badness(a), answers.bad_word(a),
                a.cause, a.category,
            )
            for a in found
        )  # fmt: skip
        return AnswersView(name, found[0].at if found else "", rows, known)

    def trace(self, given: str, version: str | None = None) -> TraceView:
        from core.registry import sources
        from core.tracing import parse, trace

        reg = self._bench.registry()
        self._index(reg)
        found = trace(reg, parse(given), version=version, golden=self._golden())
        queued = {c.pair_id: c.id for c in self._open(reg)}
        facts = found.facts
        return TraceView(
            found.response,
            found.answer,
            found.question,
            found.model_version or "",
            found.by,
            found.base_model,
            found.status,
            found.dataset_version or "",
            found.pairs,
            _marks(found.markers, sources.index(reg)),
            tuple(
                SuspectRow(
                    s.pair.id,
                    s.pair.question,
                    s.pair.answer,
                    s.pair.domain,
                    s.pair.source,
                    s.pair.source_ref,
                    s.score,
                    tuple((r.why, r.what) for r in s.reasons),
                    s.right,
                    s.pair.content_hash,
                    queued.get(s.pair.id),
                )
                for s in found.suspects
            ),
            facts.grade if facts else "",
            facts.expected_answer if facts else "",
            facts.matched if facts else (),
            facts.missing if facts else (),
            facts.contradictions if facts else (),
            found.notes,
        )

    def _index(self, reg: Registry) -> None:
        """Snapshots from before there was a search index, or of a process that was stopped."""
        from core.registry import search_index, snapshots

        if search_index.pending(reg) and not self._bench.read_only:
            self._bench.write(lambda r: snapshots.build_search(r))

    def _golden(self) -> Sequence[GoldenQuestion]:
        """A broken golden set costs the facts, and not the trace; `qa golden check` names it."""
        from core.evaluation.golden.sets import load_set, mounts

        try:
            return load_set(mounts(), paraphrases=True).questions
        except QAError:
            return ()

    # corrections

    def corrections(self) -> tuple[CorrectionRow, ...]:
        return tuple(_row(c) for c in self._open(self._bench.registry()))

    def _open(self, reg: Registry) -> tuple[Correction, ...]:
        from core.registry import corrections

        return corrections.list(reg)

    def correct(self, view: TraceView, pair_id: str, answer: str | None, why: str) -> CorrectionRow:
        from core.registry import corrections

        return _row(
            self._bench.decided(
                lambda reg: corrections.queue(
                    reg, view.snapshot, pair_id, answer, why,
                    response=view.response, model_version=view.version or None, who=operator(),
                )
            )
        )  # fmt: skip

    def dismiss(self, number: int, why: str) -> None:
        from core.registry import corrections

        self._bench.decided(lambda reg: corrections.dismiss(reg, number, why, who=operator()))

    def next_snapshot(self, snapshot: str) -> str:
        from core.registry import corrections

        return self._bench.decided(
            lambda reg: corrections.next_snapshot(reg, snapshot, who=operator())
        )

    # asking

    def ask(self, question: str, who: str) -> ReplyView:
        from core.registry import sources
        from core.tracing import asking

        reg = self._bench.registry()
        if "://" in who:
            mine: list[Endpoint] = []

            def begun(engine: Endpoint) -> None:
                mine.append(engine)
                with self._lock:
                    self._asking.add(engine)

            try:
                reply = asking.ask_endpoint(reg, question, who, begun=begun)
            finally:
                with self._lock:
                    self._asking.difference_update(mine)
        elif who == RETRIEVAL:
            reply = asking.ask_retrieval(reg, question)
        else:
            reply = asking.ask(reg, question, who or None)
        return ReplyView(
            reply.path,
            reply.where,
            reply.answer,
            _marks(reply.markers, sources.index(reg)),
            reply.latency_s,
            reply.deferred,
            reply.tools,
            reply.answered,
            reply.alike,
            reply.note,
            reply.response,
        )

    def stop_asking(self) -> None:
        with self._lock:
            engines = list(self._asking)
        for engine in engines:
            engine.close()


def _marks(found: Iterable[Classified], index: SourceIndex) -> tuple[MarkRow, ...]:
    rows = []
    for m in found:
        target = index.resolve(m.source.source_id) if m.source else None
        shown = target or m.source
        rows.append(
            MarkRow(m.text, m.cls, m.start, m.end, shown.display_name if shown else "",
                    (shown.link or "") if shown else "")
        )  # fmt: skip
    return tuple(rows)


def _row(c: Correction) -> CorrectionRow:
    return CorrectionRow(
        c.id, c.pair_id, c.dataset_version, c.answer, c.why, c.who, c.at, c.status, c.response
    )
