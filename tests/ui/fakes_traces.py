"""What the Trace screen is given: nine stored answers, one traced to four suspects, and replies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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

V = "access-qa-v1.1.0"
SNAPSHOT = "dataset-2026-11-22-ab12cd34ef56"
DELTA = "compute-resources:delta.ncsa.access-ci.org"
SAID = (
    f"Each GPU node of Delta has 512 GB of memory <<SRC:{DELTA}>> and eight GPUs "
    "<<SRC:compute-resources:delta9.example.org>>."
)
ASKED = "How much memory does a GPU node of Delta have?"
LINK = "https://access-ci.org/resource/delta/"


def marks(said: str, *found: tuple[str, str, str, str]) -> tuple[MarkRow, ...]:
    """(source id, class, name, link) → marks at their places in the text."""
    out = []
    for source, cls, name, link in found:
        marker = f"<<SRC:{source}>>"
        start = said.index(marker)
        out.append(MarkRow(marker, cls, start, start + len(marker), name, link))
    return tuple(out)


MARKS = marks(
    SAID,
    (DELTA, "correct", "Delta Hardware Specifications", LINK),
    ("compute-resources:delta9.example.org", "unknown_entity", "", ""),
)
ANSWERS = AnswersView(
    V,
    "2026-11-22T14:10:00Z",
    tuple(
        AnswerRow(
            f"{V}/rs-{n:03}/tuned", ASKED, SAID, badness, word,
            "wrong_attribute" if badness > 1 else "", "resource_specs",
        )
        for n, (badness, word) in enumerate(
            [(3, "wrong but cited")] * 4 + [(2, "wrong")] * 2 + [(1, "not attempted")]
            + [(0, "right")] * 2
        )
    ),
    (V, "access-qa-v1.0.0"),
)  # fmt: skip
SUSPECTS = (
    SuspectRow(
        "cr_delta_5", "How much memory is in a GPU node of Delta?",
        f"A GPU node of Delta has 512 GB of memory.\n\n<<SRC:{DELTA}>>", "compute-resources",
        "mcp_extraction", "mcp://compute-resources/delta.ncsa.access-ci.org", 0.93,
        (("text", "its answer is 78 % alike"), ("entity", f"cites {DELTA} too"),
         ("wording", "its question is 80 % alike"), ("value", "states the wrong value too: 512 gb")),
        False, "a" * 64,
    ),
    SuspectRow(
        "cr_delta_6", "What is the memory of the A100 nodes of Delta?",
        f"Delta's A100 nodes have 256 GB each.\n\n<<SRC:{DELTA}>>", "compute-resources",
        "mcp_extraction", "mcp://compute-resources/delta.ncsa.access-ci.org", 0.61,
        (("entity", f"cites {DELTA} too"), ("wording", "its question is 44 % alike")),
        True, "b" * 64,
    ),
    SuspectRow(
        "cr_delta_9", "How many GPUs does Delta have?",
        f"Delta has 848 GPUs in all.\n\n<<SRC:{DELTA}>>", "compute-resources", "doc_generated",
        "delta-guide.pdf#p4", 0.47, (("entity", f"cites {DELTA} too"),), False, "c" * 64,
    ),
    SuspectRow(
        "cr_anvil_3", "Memory per node of Anvil?", "Anvil has nodes with 512 GB of memory.",
        "compute-resources", "user_qa", "ticket 41", 0.24,
        (("value", "states the wrong value too: 512 gb"),), False, "d" * 64,
    ),
)  # fmt: skip
TRACED = TraceView(
    f"{V}/rs-000/tuned", SAID, ASKED, V, "by the stored answer", "mistral-7b", "deployed", SNAPSHOT,
    1458, MARKS, SUSPECTS, "incorrect", "256 GB on the A100 nodes.", (), ("256 GB (says 512 gb)",),
    ("says 512 gb beside 256 gb",),
)  # fmt: skip
NOT_STORED = replace(
    TRACED, response="", answer="Delta has 512 GB.", question="", by="assumed: live in production",
    marks=(), grade="", expected="", missing=(), against=(), suspects=SUSPECTS[:1],
    notes=("the question is not known: pairs are judged by sources and values alone",),
)  # fmt: skip
QUEUED = CorrectionRow(
    7, "cr_delta_5", SNAPSHOT, f"A GPU node of Delta has 256 GB of memory.\n\n<<SRC:{DELTA}>>",
    "the A40 nodes were meant", "jsmith", "2026-11-22T14:20:00Z", "open", TRACED.response,
)  # fmt: skip
STORED = ReplyView(
    "stored", f"{V}/rs-000/tuned", SAID, MARKS, 0.84, answered=ASKED, alike=0.71,
    response=f"{V}/rs-000/tuned",
)  # fmt: skip
LIVE = ReplyView(
    "retrieval", SNAPSHOT, "That needs live data. Please check it with the tool `get_system_status`.",
    (), 0.021, True, ("get_system_status",), "Is Delta up?", 0.8,
)  # fmt: skip


class FakeTraces:
    """Implements tui.desk.api_traces.TraceDesk for a FakeDesk."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        empty = desk.state == "empty"
        self.view = AnswersView("", "", (), ()) if empty else ANSWERS
        self.traced = TRACED
        self.queue: tuple[CorrectionRow, ...] = ()
        self.replies = {"": STORED, RETRIEVAL: LIVE}

    def answers(self, version: str | None = None) -> AnswersView:
        self.desk._asked("traces.answers", version)
        return replace(self.view, version=version or self.view.version)

    def trace(self, given: str, version: str | None = None) -> TraceView:
        self.desk._asked("traces.trace", given)
        found = self.traced if given == TRACED.response else NOT_STORED
        queued = {c.pair_id: c.id for c in self.queue}
        return replace(
            found,
            suspects=tuple(replace(s, queued=queued.get(s.pair_id)) for s in found.suspects),
        )

    def corrections(self) -> tuple[CorrectionRow, ...]:
        self.desk._asked("traces.corrections")
        return self.queue

    def correct(self, view: TraceView, pair_id: str, answer: str | None, why: str) -> CorrectionRow:
        self.desk._asked("traces.correct", pair_id, answer, why)
        row = replace(QUEUED, pair_id=pair_id, answer=answer, why=why)
        self.queue = (row, *self.queue)
        return row

    def dismiss(self, number: int, why: str) -> None:
        self.desk._asked("traces.dismiss", number, why)
        self.queue = tuple(c for c in self.queue if c.id != number)

    def next_snapshot(self, snapshot: str) -> str:
        self.desk._asked("traces.next_snapshot", snapshot)
        self.queue = ()
        return "dataset-2026-11-22-000000000000"

    def ask(self, question: str, who: str) -> ReplyView:
        self.desk._asked("traces.ask", question, who)
        return self.replies.get(who, STORED)

    def stop_asking(self) -> None:
        self.desk.calls.append(("traces.stop_asking",))
